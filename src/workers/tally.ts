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
export class Sum {
  private gone = addUp([]);
  private peak = 0;
  private readonly times = {
    loginSeconds: new Times(),
    leaseWaitSeconds: new Times(),
    barrierSeconds: new Times(),
  };
  /** As of the last word. */
  now = this.told(addUp([]));

  /** A worker has gone with what it had; what it has counted stays. */
  lose(tally: Tally): void {
    this.gone = addUp([this.gone, { ...tally, ...Object.fromEntries(LEVELS.map(name => [name, 0])) }]);
  }

  /** The last word of each worker. */
  update(tallies: readonly Tally[]): void {
    const all = addUp([this.gone, ...tallies]);
    this.peak = Math.max(this.peak, all.clients);
    for (const name of TIMES) this.times[name].spread = new Spread(all.times[name]);
    this.now = this.told(all);
  }

  private told(all: Tally): Counted {
    return { ...all, ...this.times, clientsPeak: this.peak, clientTraffic: all };
  }
}
