/** What the end of a lease means for its channel: every way to end, and all that may come after it. Pure. */
import type { LeaseEnd } from '../upstream/lease.ts';

/** What is to come after the end of a lease. */
export type Next =
  /** The client has closed the channel. */
  | 'close'
  /** The client goes on, over another upstream channel. */
  | 'rebind'
  /** The proxy closes the channel, as the broker would. */
  | 'error'
  /** The client has closed the connection. */
  | 'leave'
  /** The client uses the channel: nobody has asked for the end. */
  | 'use';

export type Sequel =
  /** It is free for the next lease. */
  | 'unbound'
  /** The client gets its close-ok. */
  | 'closed'
  /** The client is sent channel.close. */
  | 'closing'
  /** One channel less that a leaving client waits for. */
  | 'left'
  /** The same, and it is sent channel.close before: a late error reaches its owner. */
  | 'left with an error'
  /** Something was lost with the upstream: the client's connection ends. */
  | 'lost';

/** `lost` depends on whether something is at stake: a publish that neither a barrier nor a confirm has proven, or an answer. */
const SEQUELS: Record<
  Next,
  Record<Exclude<LeaseEnd['how'], 'lost'>, Sequel> & { lost: [safe: Sequel, atStake: Sequel] }
> = {
  // no close-ok from a broker that has died, whatever was under way
  close: { clean: 'closed', closed: 'closing', lost: ['lost', 'lost'] },
  leave: { clean: 'left', closed: 'left with an error', lost: ['lost', 'lost'] },
  rebind: { clean: 'unbound', closed: 'closing', lost: ['unbound', 'lost'] },
  error: { clean: 'closing', closed: 'closing', lost: ['lost', 'lost'] },
  use: { clean: 'unbound', closed: 'closing', lost: ['lost', 'lost'] },
};

export function sequel(how: LeaseEnd['how'], next: Next, atStake: boolean): Sequel {
  const sequels = SEQUELS[next];
  return how === 'lost' ? sequels.lost[atStake ? 1 : 0] : sequels[how];
}
