/** Which upstreams of a pool have been idle, or alive, for too long, and what the loss of one means. Pure. */
import { type CloseReason, isFaultless } from '../amqp/errors.ts';
import type { Config } from '../config/options.ts';
import { share } from '../share.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** Seconds that an upstream is kept for a secret that was used once, after the same user has come with another … */
const USED_ONCE_S = 5;
/** … and that one is kept for another client of the same name. */
const NAMED_S = 5;

type Kept = Pick<Upstream, 'id' | 'retired' | 'holder' | 'busy' | 'idleSince' | 'openedAt' | 'namedFor'>;

const idle = (upstream: Kept): boolean =>
  !upstream.retired && upstream.holder === null && upstream.busy === 0;

/** The one that nobody uses for the longest time; null when there is none. */
export function idlest<T extends Kept>(upstreams: readonly T[]): T | null {
  let found: T | null = null;
  for (const upstream of upstreams)
    if (idle(upstream) && (found === null || upstream.idleSince < found.idleSince)) found = upstream;
  return found;
}

/** What counts besides the settings. */
interface Circumstances {
  /** Nobody is likely to log in with this secret again. */
  once: boolean;
  /** Clients have declared what a restart of the broker takes away. */
  declared: boolean;
}

/** Those that are to take no more leases. `now` as of the coarse clock. */
export function outdated<T extends Kept>(
  upstreams: readonly T[],
  config: Pick<Config, 'maxLifetime' | 'idleConnectionTimeout' | 'minUpstreams'>,
  { once, declared }: Circumstances,
  now: number,
): T[] {
  const { maxLifetime, idleConnectionTimeout, minUpstreams } = config;
  const idleMax = once ? Math.min(idleConnectionTimeout || USED_ONCE_S, USED_ONCE_S) : idleConnectionTimeout;
  // the last one tells whether the broker, and with it what clients have declared, is still there
  const least = Math.max(once ? 0 : share.of(minUpstreams), declared ? 1 : 0);
  const current = upstreams.filter(({ retired }) => !retired);
  // those that were opened together are not closed together
  const lifetime = ({ id }: Kept): number => maxLifetime * (1000 - 10 * (id % 10));
  const old = current.filter(upstream => maxLifetime > 0 && now - upstream.openedAt > lifetime(upstream));
  let staying = current.length - old.length;
  const named = ({ namedFor }: Kept): number => Number(namedFor !== '');
  for (const upstream of current.sort((a, b) => named(b) - named(a))) {
    const kept = upstream.namedFor === '' ? idleMax : Math.min(idleMax || NAMED_S, NAMED_S);
    if (kept === 0 || staying <= least) break;
    if (old.includes(upstream) || !idle(upstream)) continue;
    if (now - upstream.idleSince <= kept * 1000) continue;
    old.push(upstream);
    staying--;
  }
  return old;
}

/** It is to end with its last lease. */
export const isSpent = ({ retired, channels }: Pick<Upstream, 'retired' | 'channels'>): boolean =>
  retired || channels.stuck > 0;

/**
 * Milliseconds from shortly before a broker is seen to be lost until its cluster has got over that. RabbitMQ keeps, by channel, the
 * node that led a quorum queue when the channel first published there; one that is gone then takes nothing on that channel as
 * long as it is away, and without confirms nobody hears that.
 */
const LOST_BEFORE_MS = 1000;
const LOST_AFTER_MS = 15_000;

/** Whether a channel that was opened at that time may wait for another lease. Times are of the coarse clock. */
export function mayKeep(
  openedAt: number,
  { config, lostAt }: { config: Pick<Config, 'channelLifetime'>; lostAt: number },
  now: number,
): boolean {
  if (openedAt >= lostAt - LOST_BEFORE_MS && openedAt <= lostAt + LOST_AFTER_MS) return false;
  return config.channelLifetime === 0 || now - openedAt < config.channelLifetime * 1000;
}

/** A broker that restarts ends all connections, and without naming a fault; `upstreams` are those that are left. */
export function mayHaveRestarted(
  upstreams: readonly Pick<Upstream, 'address'>[],
  broker: string,
  why: CloseReason | null,
): boolean {
  return isFaultless(why) && !upstreams.some(({ address }) => address === broker);
}
