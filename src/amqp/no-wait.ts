/** Which methods of a client the broker answers: its sender may have asked it not to. */
import type { Method } from './methods.ts';

/** The bit of the no-wait flag among a method's flags. */
const NO_WAIT: ReadonlyMap<string, number> = new Map([
  ['exchange.declare', 16],
  ['exchange.delete', 2],
  ['exchange.bind', 1],
  ['exchange.unbind', 1],
  ['queue.declare', 16],
  ['queue.bind', 1],
  ['queue.purge', 1],
  ['queue.delete', 4],
  ['basic.consume', 8],
  ['basic.cancel', 1],
  ['confirm.select', 1],
]);
const NEVER: ReadonlySet<string> = new Set([
  'basic.publish',
  'basic.ack',
  'basic.nack',
  'basic.reject',
  'basic.recover-async',
]);

/** `args` is where the method's arguments begin. */
export function isAnswered({ name, args: types }: Method, buf: Buffer, args: number): boolean {
  if (NEVER.has(name)) return false;
  const bit = NO_WAIT.get(name);
  if (bit === undefined) return true;
  // before the flags there are shorts and short strings only
  let flags = args;
  for (const type of types.slice(0, types.indexOf('b'))) flags += type === 's' ? 2 : 1 + buf[flags];
  return (buf[flags] & bit) === 0;
}
