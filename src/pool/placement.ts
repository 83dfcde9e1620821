/** Which upstream of a pool a lease goes to: one pure function ranks them for a purpose. */
import type { Purpose } from '../upstream/lease.ts';

/** What is looked at in an upstream. */
export interface Placeable {
  /** The broker does not read it, because of an alarm. */
  readonly blocked: string | null;
  /** It carries consumers only, as long as it is in use. */
  readonly consuming: boolean;
  /** Channels in use. */
  readonly busy: number;
  /** The broker owes it an answer and is silent. */
  readonly suspect: boolean;
}

/** As good as can be: no other need be looked at. */
export const BEST = 0;
/** Up to here an upstream is as good as a new one; above, one is opened first, if it may be. */
export const GOOD = 1;

/**
 * How well an upstream suits a purpose; lower is better.
 *
 * Consumers share upstreams with consumers only, and who does not publish gets one that the broker has not blocked: they go
 * on during an alarm. A publisher gets a blocked one if there is one, so that it blocks no other (`alarm`: some upstream of
 * the pool is blocked). One that is silent is the last choice.
 */
export function rank(upstream: Placeable, purpose: Purpose, alarm: boolean): number {
  if (upstream.suspect) return 5;
  const fits = upstream.busy === 0 || upstream.consuming === (purpose === 'consume');
  if (!fits) return 4;
  if (purpose !== 'publish') return upstream.blocked === null ? BEST : 3;
  if (!alarm || upstream.blocked !== null) return BEST;
  return upstream.busy === 0 ? GOOD : 2;
}
