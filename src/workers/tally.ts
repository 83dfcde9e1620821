/** Counters of a process as plain values, and their sums over all workers. */
import { Spread } from '../spread.ts';
import type { Counted, Stats, Timed } from '../stats.ts';

/** What is there now. */
const LEVELS = [
  'clients',
  'upstreams',
  'upstreamsShared',
  'upstreamsPrivate',
  'upstreamsBusy',
  'clientsApart',
  'channelsParked',
] as const;
/** What has happened: it stays when a worker has gone. */
const COUNTERS = ['logins', 'loginsReused', 'leases', 'messagesIn', 'messagesOut'] as const;
const TIMES = ['loginSeconds', 'leaseWaitSeconds', 'barrierSeconds'] as const;

type Numbers = Record<(typeof LEVELS)[number] | (typeof COUNTERS)[number], number>;

export interface Tally extends Numbers {
  bytesIn: number;
  bytesOut: number;
  refused: Map<string, number>;
  times: Record<(typeof TIMES)[number], Float64Array>;
}

const numbers = (of: (name: keyof Numbers) => number): Numbers =>
  Object.fromEntries([...LEVELS, ...COUNTERS].map(name => [name, of(name)])) as Numbers;

export function tallyOf(stats: Stats): Tally {
  const { bytesIn, bytesOut } = stats.clientTraffic;
  return {
    ...numbers(name => stats[name]),
    bytesIn,
    bytesOut,
    refused: stats.refused,
    times: {
      loginSeconds: stats.loginSeconds.spread.counts,
      leaseWaitSeconds: stats.leaseWaitSeconds.spread.counts,
      barrierSeconds: stats.barrierSeconds.spread.counts,
    },
  };
}

function addUp(tallies: readonly Tally[]): Tally {
  const refused = new Map<string, number>();
  for (const tally of tallies)
    for (const [why, n] of tally.refused) refused.set(why, (refused.get(why) ?? 0) + n);
  const times = (of: (typeof TIMES)[number]): Float64Array => {
    const { counts } = new Spread();
    for (const tally of tallies) for (const [i, n] of tally.times[of].entries()) counts[i] += n;
    return counts;
  };
  const total = (of: (tally: Tally) => number): number => tallies.reduce((sum, tally) => sum + of(tally), 0);
  return {
    ...numbers(name => total(tally => tally[name])),
    bytesIn: total(({ bytesIn }) => bytesIn),
    bytesOut: total(({ bytesOut }) => bytesOut),
    refused,
    times: {
      loginSeconds: times('loginSeconds'),
      leaseWaitSeconds: times('leaseWaitSeconds'),
      barrierSeconds: times('barrierSeconds'),
    },
  };
}

/** Durations of all workers: quantiles are of what came since `clear`, up to a fifth too large. */
class Times implements Timed {
  spread = new Spread();
  private cleared = new Spread();

  quantile(q: number): number {
    return this.spread.since(this.cleared).quantile(q);
  }

  clear(): void {
    this.cleared = this.spread.copy();
  }
}

/** The sum over all workers, with what those have counted that are gone. */
export class Sum implements Counted {
  private now = addUp([]);
  private gone = addUp([]);
  private peak = 0;
  readonly loginSeconds = new Times();
  readonly leaseWaitSeconds = new Times();
  readonly barrierSeconds = new Times();

  /** A worker has gone with what it had; what it has counted stays. */
  lose(tally: Tally): void {
    this.gone = addUp([this.gone, { ...tally, ...Object.fromEntries(LEVELS.map(name => [name, 0])) }]);
  }

  /** The last word of each worker. */
  update(tallies: readonly Tally[]): void {
    this.now = addUp([this.gone, ...tallies]);
    this.peak = Math.max(this.peak, this.now.clients);
    for (const name of TIMES) this[name].spread = new Spread(this.now.times[name]);
  }

  get clients(): number {
    return this.now.clients;
  }
  get clientsPeak(): number {
    return this.peak;
  }
  get upstreams(): number {
    return this.now.upstreams;
  }
  get upstreamsShared(): number {
    return this.now.upstreamsShared;
  }
  get upstreamsPrivate(): number {
    return this.now.upstreamsPrivate;
  }
  get upstreamsBusy(): number {
    return this.now.upstreamsBusy;
  }
  get clientsApart(): number {
    return this.now.clientsApart;
  }
  get channelsParked(): number {
    return this.now.channelsParked;
  }
  get logins(): number {
    return this.now.logins;
  }
  get loginsReused(): number {
    return this.now.loginsReused;
  }
  get leases(): number {
    return this.now.leases;
  }
  get messagesIn(): number {
    return this.now.messagesIn;
  }
  get messagesOut(): number {
    return this.now.messagesOut;
  }
  get clientTraffic(): { bytesIn: number; bytesOut: number } {
    return this.now;
  }
  get refused(): ReadonlyMap<string, number> {
    return this.now.refused;
  }
}
