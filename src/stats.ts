/** Plain counters that the hot path adds to; read by the stats line, the metrics and the console. */
import { Spread } from './spread.ts';

export class Stats {
  clientsAccepted = 0;
  clients = 0;
  clientsPeak = 0;
  /** Upstreams in pools, those that are being opened included. */
  upstreams = 0;
  /** Upstreams that one client has for itself. */
  upstreamsPrivate = 0;
  /** Those that carry channels of many clients, or of none. */
  get upstreamsShared(): number {
    return this.upstreams - this.upstreamsConnecting - this.upstreamsPrivate;
  }
  upstreamsConnecting = 0;
  /** Those on which who comes waits behind the bytes of others. */
  upstreamsBusy = 0;
  /** Clients that have an upstream for what they publish. */
  clientsApart = 0;
  /** Times that a client's channel went to another upstream for that. */
  moves = 0;
  channelsLeased = 0;
  channelsParked = 0;
  pools = 0;
  /** Logins answered with open-ok. */
  logins = 0;
  /** Logins answered without a new upstream connection. */
  loginsReused = 0;
  loginsRefused = 0;
  leases = 0;
  /** Leases that found a parked channel. */
  leasesReused = 0;
  channelsOpened = 0;
  barriers = 0;
  promotions = 0;
  upstreamsOpened = 0;
  upstreamsLost = 0;
  upstreamErrors = 0;
  messagesIn = 0;
  messagesOut = 0;
  messagesReturned = 0;
  readonly clientTraffic = new Traffic();
  readonly upstreamTraffic = new Traffic();
  /** Incomplete messages of clients. */
  readonly messages = new Backlog();
  /** Clients refused or closed by the proxy, by reason. */
  readonly refused = new Map<string, number>();
  /** Counters by user and vhost. */
  readonly totals = new Totals();
  /** Seconds, most recent samples. */
  readonly loginSeconds = new Samples();
  readonly leaseWaitSeconds = new Samples();
  readonly barrierSeconds = new Samples();

  refuse(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }
}

/** What people are told of: of one process, or of all workers together. */
export type Counted = Readonly<
  Pick<
    Stats,
    | 'clients'
    | 'clientsPeak'
    | 'upstreams'
    | 'upstreamsShared'
    | 'upstreamsPrivate'
    | 'upstreamsBusy'
    | 'clientsApart'
    | 'channelsParked'
    | 'logins'
    | 'loginsReused'
    | 'leases'
    | 'messagesIn'
    | 'messagesOut'
  >
> & {
  readonly clientTraffic: Readonly<Pick<Traffic, 'bytesIn' | 'bytesOut'>>;
  readonly refused: ReadonlyMap<string, number>;
} & Readonly<Record<'loginSeconds' | 'leaseWaitSeconds' | 'barrierSeconds', Timed>>;

/** Durations as they are read. */
export type Timed = Pick<Samples, 'spread' | 'quantile' | 'clear'>;

/** What has happened in the pools of one user and vhost, whatever their secrets. */
export class PoolTotals {
  readonly user: string;
  readonly vhost: string;
  logins = 0;
  loginsReused = 0;
  refused = 0;
  leases = 0;
  /** Messages of clients that have left. */
  published = 0;
  delivered = 0;

  constructor(user: string, vhost: string) {
    this.user = user;
    this.vhost = vhost;
  }
}

/** The totals of as many pools as may have some of their own, the first ones that come; the others share theirs. */
export class Totals {
  max = 100;
  readonly other = new PoolTotals('other', 'other');
  private readonly byPool = new Map<string, PoolTotals>();

  /** Those of a pool that a client has got in to. */
  of(user: string, vhost: string): PoolTotals {
    const key = `${user}\0${vhost}`;
    const known = this.byPool.get(key);
    if (known !== undefined) return known;
    if (this.byPool.size >= this.max) return this.other;
    const totals = new PoolTotals(user, vhost);
    this.byPool.set(key, totals);
    return totals;
  }

  /** Those of a pool that nobody may have got in to: whoever knocks shall not fill the table. */
  known(user: string, vhost: string): PoolTotals {
    return this.byPool.get(`${user}\0${vhost}`) ?? this.other;
  }

  *[Symbol.iterator](): Iterator<PoolTotals> {
    yield* this.byPool.values();
    yield this.other;
  }
}

/** Anything that holds bytes for a while. */
export interface Buffered {
  readonly pending: number;
}

/** How full the buffers of one kind are, without a look at those that are empty. */
export class Backlog {
  private readonly members = new Set<Buffered>();

  /** It holds something now. */
  add(buffered: Buffered): void {
    this.members.add(buffered);
  }

  /** It is empty or gone. */
  delete(buffered: Buffered): void {
    this.members.delete(buffered);
  }

  /** Bytes in all of them, and in the fullest. */
  get fill(): { total: number; largest: number } {
    let total = 0;
    let largest = 0;
    for (const buffered of this.members) {
      const { pending } = buffered;
      if (pending === 0) this.members.delete(buffered);
      total += pending;
      if (pending > largest) largest = pending;
    }
    return { total, largest };
  }
}

/** What goes over the sockets of one side. */
export class Traffic {
  bytesIn = 0;
  bytesOut = 0;
  /** What the kernel has not taken yet. */
  readonly backlog = new Backlog();
}

/** The last samples of a duration, and a listener for a histogram. */
export class Samples {
  private readonly ring = new Float64Array(1024);
  private n = 0;
  /** All samples there were, by their size: see `spread.ts`. */
  readonly spread = new Spread();
  /** Called with every sample, if set. */
  observe: ((seconds: number) => void) | null = null;

  add(seconds: number): void {
    this.ring[this.n++ % this.ring.length] = seconds;
    this.spread.add(seconds);
    this.observe?.(seconds);
  }

  /** The q-quantile (0..1) of the samples kept, in seconds; 0 when there are none. */
  quantile(q: number): number {
    const count = Math.min(this.n, this.ring.length);
    if (count === 0) return 0;
    const sorted = this.ring.slice(0, count).sort();
    return sorted[Math.min(count - 1, Math.floor(q * count))];
  }

  clear(): void {
    this.n = 0;
  }
}
