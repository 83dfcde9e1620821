/** Which upstreams of a pool have been idle, or alive, for too long. Pure. */
import type { Config } from '../config/options.ts';
import type { Upstream } from '../upstream/upstream.ts';

type Kept = Pick<Upstream, 'id' | 'retired' | 'holder' | 'busy' | 'idleSince' | 'openedAt'>;

const idle = (upstream: Kept): boolean =>
  !upstream.retired && upstream.holder === null && upstream.busy === 0;

/** The one that nobody uses for the longest time; null when there is none. */
export function idlest<T extends Kept>(upstreams: readonly T[]): T | null {
  let found: T | null = null;
  for (const upstream of upstreams)
    if (idle(upstream) && (found === null || upstream.idleSince < found.idleSince)) found = upstream;
  return found;
}

/** Those that are to take no more leases; of the idle ones, `least` upstreams stay. `now` as of the coarse clock. */
export function outdated<T extends Kept>(
  upstreams: readonly T[],
  { maxLifetime, idleConnectionTimeout }: Pick<Config, 'maxLifetime' | 'idleConnectionTimeout'>,
  least: number,
  now: number,
): T[] {
  const current = upstreams.filter(({ retired }) => !retired);
  // those that were opened together are not closed together
  const lifetime = ({ id }: Kept): number => maxLifetime * (1000 - 10 * (id % 10));
  const old = current.filter(upstream => maxLifetime > 0 && now - upstream.openedAt > lifetime(upstream));
  let staying = current.length - old.length;
  for (const upstream of current) {
    if (idleConnectionTimeout === 0 || staying <= least) break;
    if (old.includes(upstream) || !idle(upstream)) continue;
    if (now - upstream.idleSince <= idleConnectionTimeout * 1000) continue;
    old.push(upstream);
    staying--;
  }
  return old;
}
