/** The upstreams of a pool that may have a channel to lend, or be lent as a whole, and the choice among them. */
import type { Lease, LeaseHolder, Purpose } from '../upstream/lease.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { BEST, rank, UNFIT, type Want } from './placement.ts';

/** How a pool lends, as it is now. */
export interface Terms {
  /** No upstream gets more channels. */
  readonly newChannels: number;
  /** The broker has blocked some upstreams. */
  readonly alarm: boolean;
  /** A new upstream is to be had: one that is not as good is not taken. */
  readonly growsSoon: boolean;
  /** An upstream that was named for a client that has left will do. */
  readonly anyName: boolean;
}

export class Lending {
  /** Neither private, nor retired, nor known to be full. */
  private readonly upstreams = new Set<Upstream>();

  add(upstream: Upstream): void {
    this.upstreams.add(upstream);
  }

  delete(upstream: Upstream): void {
    this.upstreams.delete(upstream);
  }

  /** A lease on the upstream that suits the purpose best; null when there is none to be had on these terms. */
  lease(holder: LeaseHolder, purpose: Purpose, confirm: boolean, terms: Terms): Lease | null {
    const { newChannels: maxChannels } = terms;
    const want: Want = { purpose, home: holder.peer.channels.tenancy.home, alarm: terms.alarm };
    let full: Set<Upstream> | null = null;
    for (;;) {
      const upstream = this.best(want, full, terms);
      if (upstream === null || (rank(upstream, want) >= UNFIT && terms.growsSoon)) return null;
      const lease = upstream.lease(holder, purpose, confirm, maxChannels);
      if (lease !== null) {
        if (upstream.busy === 1) upstream.consuming = purpose === 'consume';
        return lease;
      }
      full ??= new Set();
      full.add(upstream);
      if (upstream.channels.parked === 0 && maxChannels > 0) this.upstreams.delete(upstream);
    }
  }

  private best(want: Want, full: Set<Upstream> | null, terms: Terms): Upstream | null {
    let found: Upstream | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const upstream of this.upstreams) {
      if (full?.has(upstream)) continue;
      if (upstream.namedFor !== '' && upstream.busy === 0 && !terms.anyName) continue;
      const value = rank(upstream, want);
      if (value >= least) continue;
      found = upstream;
      least = value;
      if (value === BEST) break;
    }
    return found;
  }

  /**
   * One that nobody uses and that has this name, or if need be `anyName`; taken out. Null when there is none. What is somebody's
   * for load's sake is kept for that one, and what is silent or about to end is left, unless there is need.
   */
  takeIdle(title: string, anyName: boolean): Upstream | null {
    let found: Upstream | null = null;
    let least = anyName ? Number.POSITIVE_INFINITY : 1;
    for (const upstream of this.upstreams) {
      const { busy, suspect, namedFor, channels } = upstream;
      if (busy > 0 || (!anyName && channels.load.tenants > 0)) continue;
      const value = Number(namedFor !== title) + 2 * Number(suspect);
      if (value >= least) continue;
      found = upstream;
      least = value;
      if (value === BEST) break;
    }
    if (found !== null) this.upstreams.delete(found);
    return found;
  }
}
