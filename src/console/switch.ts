/** `switch`: goes to other brokers while nothing is under way anywhere. */
import { isDeepStrictEqual } from 'node:util';
import { type BrokerAddress, brokers } from '../config/types.ts';
import { connectBrokers } from '../connect-check.ts';
import { ACTS, type Request } from './acts.ts';
import { Refusal } from './scope.ts';
import type { Settings } from './settings.ts';
import type { Subject } from './subject.ts';

function brokersIn(url: string): BrokerAddress[] {
  try {
    return brokers.parse(url);
  } catch (error) {
    throw new Refusal(
      `${url.includes('@') ? 'the URL' : url} ${(error as Error).message}: allowed is ${brokers.allowed}`,
    );
  }
}

/** @throws Refusal */
export async function switchTo(subject: Subject, settings: Settings, request: Request): Promise<string> {
  const [url] = request.args;
  if (url === undefined) throw new Refusal('to which broker? AMQP_URL');
  const upstream = brokersIn(url);
  if (isDeepStrictEqual(upstream, subject.config.upstream))
    throw new Refusal('that is where it is connected to');
  const config = { ...subject.config, upstream };
  const found = await connectBrokers(config);
  if (!found.ok)
    throw new Refusal(`no broker can be reached: ${found.lines.join('; ')}; nothing has changed`);
  const began = performance.now();
  const resume = async (): Promise<{ waited: number }[]> =>
    subject.each('resume', { args: [], options: new Map(), signal: request.signal });
  const force = request.options.has('force');
  let closed = 0;
  /** By the operator's wish, from before: it stays so. */
  let already = false;
  try {
    const held = await subject.each('hold', request);
    already = held.includes(null);
    if (already) throw new Refusal('it is paused already: amqproxy resume, then switch');
    const holdOn = held.some(one => one !== null && (!one.quiet || one.left.length > 0));
    if (request.signal.aborted)
      throw new Refusal('nobody waits for the answer any more; nothing has changed');
    if (holdOn && !force)
      throw new Refusal(`${ACTS.hold.told(held, request)}; nothing has changed (--force closes them)`);
    if (holdOn) closed = (await subject.each('evict', request)).reduce((a, b) => a + b, 0);
    await settings.put(config, 'upstream');
  } catch (error) {
    if (!already) await resume();
    throw error;
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(2);
  const waited = (await resume()).reduce((n, one) => n + one.waited, 0);
  return `${brokers.show(upstream)} is in use: everything was paused for ${seconds} s, ${waited} waited${closed > 0 ? `, ${closed} closed` : ''}. Write it into the settings: the next reload goes by them`;
}
