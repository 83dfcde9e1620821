/** What was counted every ten seconds for an hour: rates and waits of a span, and the lines of the page. */

import type { Spread } from '../spread.ts';
import type { Counted, PoolTotals } from '../stats.ts';

const EVERY_MS = 10_000;
const KEPT = 361;

export interface Counts {
  /** The wall clock, in milliseconds. */
  at: number;
  clients: number;
  upstreams: number;
  logins: number;
  reused: number;
  leases: number;
  published: number;
  delivered: number;
  bytesIn: number;
  bytesOut: number;
  refused: number;
}

interface Sample {
  counts: Counts;
  login: Spread;
  lease: Spread;
  barrier: Spread;
}

/** What a pool has done until a moment. */
export interface PoolCounts {
  logins: number;
  leases: number;
  published: number;
  delivered: number;
}

export type Row = Record<string, string | number | boolean | null | object>;

interface Source {
  readonly stats: Counted;
}

export class History {
  private readonly source: Source;
  /** What each pool has done until now, those clients included that are still there. */
  private readonly pools: () => Map<PoolTotals, PoolCounts>;
  private readonly samples: Sample[] = [];
  private before: { at: number; pools: Map<PoolTotals, PoolCounts> } | null = null;
  private last: { at: number; pools: Map<PoolTotals, PoolCounts> };

  constructor(source: Source, pools: () => Map<PoolTotals, PoolCounts>) {
    this.source = source;
    this.pools = pools;
    this.samples.push(this.sample());
    this.last = { at: Date.now(), pools: pools() };
  }

  start(): void {
    setInterval(() => this.tick(), EVERY_MS).unref();
  }

  private tick(): void {
    this.samples.push(this.sample());
    if (this.samples.length > KEPT) this.samples.shift();
    this.before = this.last;
    this.last = { at: Date.now(), pools: this.pools() };
  }

  private sample(): Sample {
    const { stats } = this.source;
    let refused = 0;
    for (const n of stats.refused.values()) refused += n;
    return {
      counts: {
        at: Date.now(),
        clients: stats.clients,
        upstreams: stats.upstreams,
        logins: stats.logins,
        reused: stats.loginsReused,
        leases: stats.leases,
        published: stats.messagesIn,
        delivered: stats.messagesOut,
        bytesIn: stats.clientTraffic.bytesIn,
        bytesOut: stats.clientTraffic.bytesOut,
        refused,
      },
      login: stats.loginSeconds.spread.copy(),
      lease: stats.leaseWaitSeconds.spread.copy(),
      barrier: stats.barrierSeconds.spread.copy(),
    };
  }

  /** Rates and waits since the sample that is at least that old, or the oldest. */
  private span(name: string, seconds: number, now: Sample): Row {
    const { samples } = this;
    const wanted = now.counts.at - seconds * 1000;
    let then = samples[0];
    for (const sample of samples) if (sample.counts.at <= wanted) then = sample;
    const took = Math.max(0.001, (now.counts.at - then.counts.at) / 1000);
    const rate = (of: keyof Counts): number => (now.counts[of] - then.counts[of]) / took;
    const logins = now.counts.logins - then.counts.logins;
    const row: Row = {
      span: name,
      seconds: took,
      logins: rate('logins'),
      reused:
        logins === 0 ? 100 : Math.round(((now.counts.reused - then.counts.reused) / logins) * 1000) / 10,
      leases: rate('leases'),
      published: rate('published'),
      delivered: rate('delivered'),
      bytes_in: rate('bytesIn'),
      bytes_out: rate('bytesOut'),
      refused: rate('refused'),
    };
    for (const what of ['login', 'lease', 'barrier'] as const) {
      const spread = now[what].since(then[what]);
      row[`${what}_p50`] = spread.quantile(0.5);
      row[`${what}_p99`] = spread.quantile(0.99);
    }
    return row;
  }

  spans(): Row[] {
    const now = this.sample();
    return [this.span('10 s', 10, now), this.span('minute', 60, now), this.span('hour', 3600, now)];
  }

  /** The counts of the last hour and of now, for the page to draw. */
  get series(): Counts[] {
    return [...this.samples, this.sample()].map(({ counts }) => counts);
  }

  /** What pools do each second, over the last ten to twenty. */
  poolRates(): (totals: PoolTotals) => PoolCounts {
    const then = this.before ?? this.last;
    const now = this.pools();
    const took = Math.max(1, (Date.now() - then.at) / 1000);
    return totals => {
      const a = then.pools.get(totals);
      const b = now.get(totals);
      const rate = (of: keyof PoolCounts): number => ((b?.[of] ?? 0) - (a?.[of] ?? 0)) / took;
      return {
        logins: rate('logins'),
        leases: rate('leases'),
        published: rate('published'),
        delivered: rate('delivered'),
      };
    };
  }
}
