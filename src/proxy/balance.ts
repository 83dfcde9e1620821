/**
 * Each broker's share of the upstreams. Upstreams live long, so that a broker that was away would carry nothing for as long
 * when it is back: the others give some of theirs back, a few at a time, and those that are wanted again go there.
 */
import type { Pool } from '../pool/pool.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** Milliseconds between two looks. */
const EVERY_MS = 5000;
/** Of what is too many, this part moves at once. */
const PART = 8;

interface Broker {
  readonly name: string;
  readonly down: boolean;
  readonly unknown: boolean;
  readonly drained: boolean;
}

/** Where upstreams can be: a route. */
interface Place {
  readonly dialer: { readonly brokers: Iterable<Broker>; favour(names: string[]): void };
}

/** How many to take from the fullest, and who is to have them; null when the shares are fair enough. */
export function move(shares: ReadonlyMap<string, number>): { from: string; to: string; n: number } | null {
  const sorted = [...shares].sort(([, a], [, b]) => a - b);
  if (sorted.length < 2) return null;
  const [to, least] = sorted[0];
  const [from, most] = sorted[sorted.length - 1];
  // one pool's one more is no reason: whoever moves logs in anew
  if (most - least < 2 || least * 2 >= most) return null;
  return { from, to, n: Math.max(1, Math.floor((most - least) / PART)) };
}

/** The upstreams that could be let go of without any client's noticing, by broker. */
function movable(pools: readonly Pool[]): Map<string, { pool: Pool; upstream: Upstream }[]> {
  const found = new Map<string, { pool: Pool; upstream: Upstream }[]>();
  for (const pool of pools) {
    const shared = pool.upstreams.filter(
      ({ retired, holder, state }) => !retired && holder === null && state === 'live',
    );
    // the last one tells whether what clients have declared is still there
    for (const upstream of pool.topologies.any ? shared.slice(1) : shared) {
      const there = found.get(upstream.address) ?? [];
      found.set(upstream.address, there);
      there.push({ pool, upstream });
    }
  }
  return found;
}

export class Balance {
  private last = 0;

  /** `now` as of the coarse clock. */
  maintain(now: number, routes: readonly Place[], pools: Iterable<Pool>): void {
    if (now - this.last < EVERY_MS) return;
    this.last = now;
    for (const route of routes) {
      const brokers = [...route.dialer.brokers].filter(({ drained }) => !drained);
      if (brokers.length < 2) continue;
      route.dialer.favour([]);
      this.even(
        route,
        brokers.filter(({ down, unknown }) => !down && !unknown),
        [...pools].filter(({ way }) => (way.route as object) === route),
      );
    }
  }

  private even({ dialer }: Place, brokers: readonly Broker[], pools: readonly Pool[]): void {
    const upstreams = movable(pools);
    const of = (name: string): { pool: Pool; upstream: Upstream }[] => upstreams.get(name) ?? [];
    // one that hangs gets none
    const hanging = new Set(
      pools.flatMap(pool => pool.upstreams.filter(({ suspect }) => suspect).map(({ address }) => address)),
    );
    const fit = brokers.filter(({ name }) => !hanging.has(name));
    const found = move(new Map(fit.map(({ name }) => [name, of(name).length])));
    if (found === null) return;
    const idleFirst = of(found.from).sort((a, b) => a.upstream.busy - b.upstream.busy);
    dialer.favour(Array<string>(found.n).fill(found.to));
    for (const { pool, upstream } of idleFirst.slice(0, found.n))
      pool.letGo(upstream, `Upstream ends with its last lease: ${found.to} has fewer`);
  }
}
