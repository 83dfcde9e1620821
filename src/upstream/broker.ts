/**
 * One address that upstreams are opened to: up or down, since when and why.
 *
 *   new ──▶ up ◀──▶ down
 *
 * While it is up, whoever wants a connection dials. While it is down there is one dial at a time, whoever asks, and it waits
 * longer after each failure; who asks between two dials hears at once what is known. One that has greeted and then not
 * answered a login is down, too, until a login has worked: a greeting proves nothing then.
 */
import { type BrokerNews, duration } from './broker-news.ts';

/** What can be dialed, and where changes are told. */
export interface BrokerContext<C> {
  /** Opens a connection, as far as the broker's greeting. Rejects with what is wrong, in words. */
  connect(): Promise<C>;
  /** Nobody wants a connection that was opened to see whether it can be. */
  unwanted(connection: C): void;
  tell(news: BrokerNews): void;
  /** Logins that were refused so far because no broker could be reached. */
  refusals(): number;
  /** Monotonic milliseconds. */
  now(): number;
}

/** What is known of one that is down. */
interface Down {
  is: 'down';
  since: number;
  why: string;
  /** When that was seen. */
  at: number;
  failures: number;
  /** It greets, but does not answer logins. */
  greets: boolean;
  /** Such a one may be tried by the next login. */
  onTrial: boolean;
  /** `refusals` when it went down. */
  refusals: number;
}

/** Milliseconds before the next dial: doubled by each failure in a row, with jitter. */
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5000;
/** Milliseconds for which nobody who asks brings on the next dial. */
const KNOWN_MS = 500;
/** Milliseconds that one who asks waits for a dial under way. */
const PATIENCE_MS = 300;
/** Milliseconds between the loss of an upstream and the dial that shows that the broker lets nobody in. */
const LEAVES_MS = 5000;

export class Broker<C> {
  readonly name: string;
  /** Dials that were answered with a greeting, and those that were not. */
  readonly dials = { ok: 0, failed: 0 };
  /** By the operator's wish it gets no new upstreams. */
  drained = false;
  private readonly context: BrokerContext<C>;
  private state: { is: 'new' } | { is: 'up'; since: number } | Down = { is: 'new' };
  /** When it was dialed last, in monotonic milliseconds; null before that. */
  dialedAt: number | null = null;
  /** The one dial while it is down. */
  private trial: Promise<void> | null = null;
  /** What that has opened. */
  private found: C | null = null;
  private timer: NodeJS.Timeout | null = null;
  /** Upstreams that are live. */
  private upstreams = 0;
  /** When it last ended one without naming a fault. */
  private endedAt = Number.NEGATIVE_INFINITY;
  private closed = false;

  constructor(name: string, context: BrokerContext<C>) {
    this.name = name;
    this.context = context;
  }

  get down(): boolean {
    return this.state.is === 'down';
  }

  /** Nothing is known of it. */
  get unknown(): boolean {
    return this.state.is === 'new';
  }

  /** A login may try it: it is not known to be down, or it is time to see whether it still is. */
  get usable(): boolean {
    return this.state.is !== 'down' || this.state.onTrial;
  }

  /** It lets nobody in and has begun to end what is there, as before its maintenance: those that are left will follow. */
  get leaves(): boolean {
    return this.state.is === 'down' && this.state.since - this.endedAt < LEAVES_MS;
  }

  /** Since when it is down, in monotonic milliseconds, and why; null while it is not. */
  get downSince(): { since: number; why: string } | null {
    return this.state.is === 'down' ? this.state : null;
  }

  /** Since when it is as it is, in monotonic milliseconds; null while nothing is known. */
  get since(): number | null {
    return this.state.is === 'new' ? null : this.state.since;
  }

  /** What is wrong with it and how long ago that was seen; null when nothing is known to be wrong. */
  get trouble(): string | null {
    const { state } = this;
    return state.is === 'down' ? `${state.why} (${duration(this.context.now() - state.at)} ago)` : null;
  }

  // ---- dials

  /** A connection that the broker has greeted. Rejects with what is wrong, at once where that is known. */
  async dial(): Promise<C> {
    const { state } = this;
    if (state.is !== 'down') return this.attempt();
    if (state.greets) {
      if (!state.onTrial) throw new Error(this.trouble!);
      state.onTrial = false;
      this.later();
      return this.attempt();
    }
    if (this.trial === null && this.context.now() - state.at < KNOWN_MS) throw new Error(this.trouble!);
    await this.patiently(this.trial ?? this.try());
    const { found } = this;
    this.found = null;
    return found ?? this.attempt();
  }

  private async attempt(): Promise<C> {
    this.dialedAt = this.context.now();
    try {
      const connection = await this.context.connect();
      this.dials.ok++;
      if (this.state.is === 'new' || (this.state.is === 'down' && !this.state.greets)) this.up();
      return connection;
    } catch (error) {
      this.dials.failed++;
      this.failed((error as Error).message, false);
      throw error;
    }
  }

  /** Dials to see how it is. */
  private try(): Promise<void> {
    this.stopTimer();
    this.trial = this.attempt()
      .then(connection => {
        this.found = connection;
        // after those who wait for it
        setImmediate(() => {
          const { found } = this;
          this.found = null;
          if (found !== null) this.context.unwanted(found);
        });
      })
      .finally(() => {
        this.trial = null;
      });
    this.trial.catch(() => {});
    return this.trial;
  }

  /** One that hangs is not waited for by everybody who asks. */
  private patiently(trial: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        if (this.trouble === null) resolve();
        else reject(new Error(this.trouble));
      }, PATIENCE_MS);
      trial.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** Looks whether it is there, unless that is known. */
  verify(): void {
    if (!this.closed && this.trial === null && this.state.is !== 'down') void this.try();
  }

  // ---- what is seen of it

  /** It has answered a login. */
  answers(): void {
    if (this.state.is !== 'up') this.up();
  }

  /** An upstream is live; `left` is to be called when it has ended. */
  joined(): void {
    this.upstreams++;
    this.answers();
  }

  /** An upstream has ended; `lost` when nobody here has ended it, `faultless` when that may be the end of all of them. */
  left(lost: boolean, faultless: boolean): void {
    this.upstreams--;
    if (!lost) return;
    if (faultless) this.endedAt = this.context.now();
    if (faultless || this.upstreams === 0) this.verify();
  }

  /** It has greeted, but does not answer. */
  hangs(why: string): void {
    this.failed(why, true);
  }

  private failed(why: string, greets: boolean): void {
    if (this.closed) return;
    const { state, context } = this;
    const at = context.now();
    if (state.is === 'down')
      Object.assign(state, { why, at, greets, onTrial: false, failures: state.failures + 1 });
    else {
      const refusals = context.refusals();
      this.state = { is: 'down', since: at, why, at, failures: 1, greets, onTrial: false, refusals };
      context.tell({ name: this.name, is: 'down', why });
    }
    this.later();
  }

  private up(): void {
    if (this.closed) return;
    const { state, context } = this;
    this.stopTimer();
    this.state = { is: 'up', since: context.now() };
    if (state.is !== 'down') return;
    const { since, failures, why } = state;
    const refused = context.refusals() - state.refusals;
    context.tell({ name: this.name, is: 'up', ms: context.now() - since, failures, refused, why });
  }

  // ---- the next attempt

  private later(): void {
    const { state } = this;
    if (state.is !== 'down') return;
    this.stopTimer();
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** (state.failures - 1));
    const due = (): void => {
      this.timer = null;
      if (state.greets) state.onTrial = true;
      else if (this.trial === null) void this.try();
    };
    this.timer = setTimeout(due, wait * (0.5 + Math.random() / 2)).unref();
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** It is named no more. */
  close(): void {
    this.closed = true;
    this.stopTimer();
    if (this.down) this.context.tell({ name: this.name, is: 'gone' });
  }
}
