/** A client's stay in its pool, and what it has done in it. */
import type { Pool } from '../pool/pool.ts';
import type { PoolTotals, Stats } from '../stats.ts';

interface StayContext {
  readonly stats: Stats;
  readonly publisher: { readonly published: number };
  readonly delivered: number;
}

export class Stay {
  /** Coarse time of its connect. */
  readonly acceptedAt: number;
  private readonly client: StayContext;
  private pool: Pool | null = null;
  private counters: PoolTotals | null = null;

  constructor(client: StayContext, now: number) {
    this.client = client;
    this.acceptedAt = now;
  }

  /** Those of its pool, while it is there: its own messages are not among them yet. */
  get totals(): PoolTotals | null {
    return this.counters;
  }

  /** It is logged in, over an upstream that was there (`reused`) or a new one. */
  begins(pool: Pool, reused: boolean): void {
    this.pool = pool;
    pool.clients++;
    this.counters = this.client.stats.totals.of(pool.user, pool.vhost);
    this.counters.logins++;
    if (reused) this.counters.loginsReused++;
  }

  leased(): void {
    if (this.counters !== null) this.counters.leases++;
  }

  ends(): void {
    const { pool, counters, client } = this;
    if (pool === null || counters === null) return;
    this.pool = null;
    this.counters = null;
    pool.clients--;
    counters.published += client.publisher.published;
    counters.delivered += client.delivered;
  }
}
