/** How a pool comes to more upstreams: for the first login, for those who wait, and again after failures. */
import type { CloseReason } from '../amqp/errors.ts';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import { share } from '../share.ts';
import type { Stats } from '../stats.ts';
import { Refused } from '../upstream/handshake.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Demand } from './demand.ts';
import { SHUTDOWN } from './denial.ts';
import { isConnectionLimit } from './quota.ts';

/** Milliseconds before an upstream that could not be opened is tried again; doubled, with jitter. */
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5000;
/** Upstreams that a pool logs in at once, at most. */
const MAX_CONNECTING = 64;

/** Milliseconds for which the broker's refusal of one more is taken to hold. */
const LIMIT_MS = 60_000;

/** The broker's words if it has refused a connection because there are as many as it allows; else null. */
const limitOf = (error: unknown): CloseReason | null =>
  error instanceof Refused && error.why !== null && isConnectionLimit(error.why) ? error.why : null;

/** The pool that grows. */
export interface Grower {
  readonly stats: Stats;
  /** Upstreams that it has. */
  readonly upstreams: readonly Upstream[];
  readonly live: boolean;
  /** Clients that wait. */
  readonly waiters: { readonly length: number };
  readonly way: { readonly route: { readonly config: Pick<Config, 'maxUpstreams'> } };
  /** Takes a place for one more; false when there is none. */
  reserve(): boolean;
  /** The same for a login, in its turn; false when that has become needless meanwhile. Rejects with Denied. */
  place(): Promise<boolean>;
  /** An upstream that has logged in already, and has its place; null when there is none. */
  takeTuned(): Upstream | null;
  /** Logs one in, in a place that was taken, under a name. */
  open(tuned: Upstream | null, title: string): Promise<Upstream>;
  readonly demand: Pick<Demand, 'next'>;
  /** It is live. */
  joins(upstream: Upstream): void;
  /** The broker has refused the login. */
  refused(why: CloseReason): void;
  /** Has an idle upstream that counts towards this limit closed; false when there is none. */
  roomFor(why: CloseReason): Promise<boolean>;
  /** It will not have more than there are. */
  limitLearned(why: CloseReason): void;
  /** It is time to try again. */
  serve(): void;
}

export class Growth {
  private readonly pool: Grower;
  /** The names of those that are being opened. */
  private readonly underWay: string[] = [];
  /** Upstreams that have ended, whose sockets are not closed yet. */
  private ending = 0;
  /** The broker lets this user or vhost have so many upstreams, and has refused one more with these words. */
  private limit: { max: number; why: CloseReason; until: number } | null = null;
  private failures = 0;
  private retryTimer: NodeJS.Timeout | null = null;
  private closed = false;
  /** The first attempt, shared by all who log in meanwhile (single flight). */
  private firstLogin: Promise<void> | null = null;

  constructor(pool: Grower) {
    this.pool = pool;
  }

  get size(): number {
    return this.pool.upstreams.length + this.underWay.length + this.ending;
  }

  get idle(): boolean {
    return this.underWay.length === 0 && this.firstLogin === null;
  }

  /** Whether the pool may have one more upstream. */
  get possible(): boolean {
    const max = share.of(this.pool.way.route.config.maxUpstreams) || Number.POSITIVE_INFINITY;
    return !this.closed && this.size < max && this.refusal === null;
  }

  /** Whether one more can be had at once, as far as that is known: the last attempt has not failed just now. */
  get soon(): boolean {
    return this.retryTimer === null && this.possible;
  }

  /** The broker's words for one more, while it is known to refuse it. */
  get refusal(): CloseReason | null {
    const { limit } = this;
    return limit !== null && clock.now < limit.until && this.size >= limit.max ? limit.why : null;
  }

  /** Opens the first upstream, under this name. Rejects with Refused, Unreachable or Denied. */
  first(title: string): Promise<void> {
    this.firstLogin ??= this.openFirst(title).finally(() => {
      this.firstLogin = null;
    });
    return this.firstLogin;
  }

  private async openFirst(title: string): Promise<void> {
    for (;;) {
      const tuned = this.pool.takeTuned();
      if (tuned === null && !(await this.pool.place())) return;
      try {
        return await this.open(tuned, title);
      } catch (error) {
        const why = limitOf(error);
        if (why === null || !(await this.pool.roomFor(why))) throw error;
      }
    }
  }

  /** Opens as many as are wanted, unless they are being opened, or the last attempt has failed just now. */
  to(wanted: number): void {
    if (this.retryTimer !== null) return;
    while (this.underWay.length < Math.min(wanted, MAX_CONNECTING) && this.possible) {
      const tuned = this.pool.takeTuned();
      if (tuned === null && !this.pool.reserve()) return;
      this.open(tuned, this.pool.demand.next(this.underWay)).catch(error => void this.retryInRoom(error));
    }
  }

  /** If the broker has refused one more: again, once an idle one has made room. */
  private async retryInRoom(error: unknown): Promise<void> {
    const why = limitOf(error);
    if (why === null || this.pool.waiters.length === 0 || !(await this.pool.roomFor(why))) return;
    this.forgetLimit();
    this.pool.serve();
  }

  private async open(tuned: Upstream | null, wanted: string): Promise<void> {
    const { stats } = this.pool;
    const title = tuned?.namedFor ?? wanted;
    this.underWay.push(title);
    stats.upstreams++;
    stats.upstreamsConnecting++;
    const settled = (): void => {
      this.underWay.splice(this.underWay.indexOf(title), 1);
      stats.upstreams--;
      stats.upstreamsConnecting--;
    };
    let upstream: Upstream;
    try {
      upstream = await this.pool.open(tuned, title);
    } catch (error) {
      settled();
      this.failed(error as Error);
      throw error;
    }
    settled();
    this.failures = 0;
    if (this.closed) upstream.close(SHUTDOWN.why.text);
    else if (upstream.state === 'live') this.pool.joins(upstream);
    else this.failed(new Error('the broker closed the connection'));
  }

  private failed(error: Error): void {
    const { pool } = this;
    if (error instanceof Refused && error.why !== null) {
      if (isConnectionLimit(error.why) && pool.upstreams.length > 0) {
        // who waits for a channel is served when one of those that there are is free
        this.limit = { max: pool.upstreams.length, why: error.why, until: clock.now + LIMIT_MS };
        pool.limitLearned(error.why);
      } else pool.refused(error.why);
      return;
    }
    if (pool.waiters.length === 0) return;
    // who wants one of its own name may take another meanwhile
    setImmediate(() => pool.serve());
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.failures++) * (0.5 + Math.random() / 2);
    this.retryTimer ??= setTimeout(() => {
      this.retryTimer = null;
      pool.serve();
    }, wait);
  }

  /** An upstream has ended; `gone` when its socket is closed, too. */
  ends(): void {
    this.ending++;
    if (this.pool.upstreams.length === 0) this.forgetLimit();
  }

  gone(): void {
    this.ending--;
  }

  /** The broker's limits may have been changed, or it has room again. */
  forgetLimit(): void {
    this.limit = null;
  }

  /** Other brokers are named: the next attempt need not wait. */
  retryNow(): void {
    if (this.retryTimer) clearTimeout(this.retryTimer);
    this.retryTimer = null;
    this.failures = 0;
  }

  close(): void {
    this.closed = true;
    this.retryNow();
  }
}
