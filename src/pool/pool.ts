/**
 * The upstreams of one pool key, and who may use which channel of them. Knows no sockets: upstreams come from `open`,
 * which logs one in.
 */
import type { CloseReason } from '../amqp/errors.ts';
import { reason } from '../amqp/errors.ts';
import type { Config } from '../config/options.ts';
import type { Stats } from '../stats.ts';
import { Refused } from '../upstream/login.ts';
import type { Holder, Upstream, UpstreamOwner } from '../upstream/upstream.ts';
import type { UpstreamChannel } from '../upstream/upstream-channel.ts';
import type { Logins } from './logins.ts';

/** What a channel on a shared upstream is wanted for. */
export type Use = 'publish' | 'consume' | 'other';

/** Why a client may not have what it asks for: for the client, and the name under which it counts. */
export interface Denial {
  cause: string;
  why: CloseReason;
}

/** What a waiter for a lease or an upstream gets. */
export type Outcome<T> = { ok: true; value: T } | ({ ok: false } & Denial);

interface Waiter<T = unknown> {
  /** What it waits for, null when there is none now. */
  take(): T | null;
  done(outcome: Outcome<T>): void;
  deadline: number;
  since: number;
}

/** What is waited for. Within a kind, who cannot be served holds up only those behind it, who cannot be served either. */
type Kind = `${'plain' | 'confirm'}, ${Use}` | 'upstream';

/** What a pool needs from its surroundings. */
export interface PoolContext {
  readonly config: Config;
  readonly stats: Stats;
  /** Upstreams of all pools, connecting ones included. */
  totalUpstreams(): number;
  /** Logs in one more upstream for this pool. */
  open(pool: Pool): Promise<Upstream>;
  /** The broker has blocked or unblocked an upstream of the pool. */
  blockedChanged(pool: Pool, upstream: Upstream): void;
  report(level: 'debug' | 'info' | 'warn', pool: Pool, message: string, facts?: object): void;
}

/** Milliseconds before an upstream that could not be opened is tried again; doubled, with jitter. */
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5000;
/** Upstreams that a pool logs in at once, at most. */
const MAX_CONNECTING = 64;

export class Pool implements UpstreamOwner {
  readonly logins: Logins;
  readonly vhost: string;
  readonly upstreams: Upstream[] = [];
  /** Clients that are logged in here. */
  clients = 0;
  private readonly context: PoolContext;
  /** Upstreams that may have a channel to lend, or be lent as a whole: neither private, nor retired, nor known to be full. */
  private readonly lendable = new Set<Upstream>();
  private readonly waiters = new Map<Kind, Waiter[]>();
  private waiting = 0;
  private connecting = 0;
  private failures = 0;
  private retryTimer: NodeJS.Timeout | null = null;
  private closed = false;
  /** The first attempt, shared by all who log in meanwhile (single flight). */
  private firstLogin: Promise<void> | null = null;

  constructor(context: PoolContext, logins: Logins, vhost: string) {
    this.context = context;
    this.logins = logins;
    this.vhost = vhost;
  }

  get user(): string {
    return this.logins.user;
  }

  /** A live upstream proves that the broker lets this login in. */
  get live(): boolean {
    return this.upstreams.some(upstream => !upstream.retired);
  }

  get size(): number {
    return this.upstreams.length + this.connecting;
  }

  get empty(): boolean {
    return this.size === 0 && this.waiting === 0 && this.firstLogin === null;
  }

  /** Resolves when the broker has let this login in; rejects with Refused or Unreachable. */
  admit(): Promise<void> {
    if (this.live) return Promise.resolve();
    this.firstLogin ??= this.openUpstream().finally(() => {
      this.firstLogin = null;
    });
    return this.firstLogin;
  }

  // ---- leases on shared upstreams

  /**
   * A channel on a shared upstream, at once if there is one. Consumers share upstreams with consumers only, and who does
   * not publish gets one that the broker has not blocked: they go on during an alarm. Both as far as there are enough.
   */
  leaseNow(confirm: boolean, use: Use): UpstreamChannel | null {
    const channel = this.take(confirm, use);
    if (channel !== null) this.context.stats.leaseWaitSeconds.add(0);
    return channel;
  }

  private take(confirm: boolean, use: Use): UpstreamChannel | null {
    const max = this.context.config.maxUpstreamChannels;
    const consuming = use === 'consume';
    for (let pass = use === 'publish' ? 1 : 0; pass < 3; pass++) {
      for (const upstream of this.lendable) {
        if (pass === 0 && upstream.blocked !== null) continue;
        if (pass < 2 && upstream.busy > 0 && upstream.consuming !== consuming) continue;
        const channel = upstream.takeChannel(confirm, max);
        if (channel !== null) {
          if (pass < 2) upstream.consuming = consuming;
          return channel;
        }
        if (upstream.parkedPlain.length + upstream.parkedConfirm.length === 0) this.lendable.delete(upstream);
      }
      if (this.mayOpen()) return null; // a better one can be had
    }
    return null;
  }

  /** Waits for a channel up to lease_timeout. Returns a function that gives up. */
  lease(confirm: boolean, use: Use, done: (outcome: Outcome<UpstreamChannel>) => void): () => void {
    return this.wait(`${confirm ? 'confirm' : 'plain'}, ${use}`, () => this.take(confirm, use), done);
  }

  /** An upstream that nobody else uses, up to lease_timeout. Returns a function that gives up. */
  acquire(holder: Holder, done: (outcome: Outcome<Upstream>) => void): () => void {
    return this.wait('upstream', () => this.takeUpstream(holder), done);
  }

  private takeUpstream(holder: Holder): Upstream | null {
    for (const upstream of this.lendable) {
      if (upstream.busy > 0) continue;
      upstream.holder = holder;
      this.lendable.delete(upstream);
      return upstream;
    }
    return null;
  }

  /**
   * Takes a private upstream back. `spent`: something in it cannot be undone, so it is closed. `done` when the broker has
   * answered that: exclusive queues are gone then.
   */
  giveBack(upstream: Upstream, spent: boolean, done: (() => void) | null = null): void {
    upstream.holder = null;
    if (spent && upstream.state === 'live') {
      upstream.onClosed = done;
      this.retire(upstream);
      return;
    }
    done?.();
    if (upstream.state !== 'live') return;
    if (upstream.retired) this.retire(upstream);
    else {
      this.lendable.add(upstream);
      this.serveWaiters();
    }
  }

  private wait<T>(kind: Kind, take: () => T | null, done: (outcome: Outcome<T>) => void): () => void {
    if (this.waiting === 0) {
      const value = take();
      if (value !== null) {
        this.context.stats.leaseWaitSeconds.add(0);
        done({ ok: true, value });
        return () => {};
      }
    }
    const since = performance.now();
    const deadline = since + this.context.config.leaseTimeout * 1000;
    const waiter = { take, done, since, deadline } as Waiter;
    const queue = this.waiters.get(kind) ?? [];
    this.waiters.set(kind, queue);
    queue.push(waiter);
    this.waiting++;
    this.serveWaiters();
    return () => {
      const at = queue.indexOf(waiter);
      if (at < 0) return;
      queue.splice(at, 1);
      this.waiting--;
    };
  }

  /** The one that has waited longest, of those kinds that are not `stuck`. */
  private longestWaiting(stuck: Waiter[][]): Waiter[] | null {
    let found: Waiter[] | null = null;
    for (const queue of this.waiters.values())
      if (queue.length > 0 && !stuck.includes(queue) && (found === null || queue[0].since < found[0].since))
        found = queue;
    return found;
  }

  /** Serves waiters in their order. A waiter has left before it is told: what it then does may serve others. */
  private serveWaiters(): void {
    if (this.waiting === 0) return;
    const stuck: Waiter[][] = [];
    for (let queue = this.longestWaiting(stuck); queue !== null; queue = this.longestWaiting(stuck)) {
      const value = queue[0].take();
      if (value === null) stuck.push(queue);
      else {
        const waiter = this.leave(queue);
        this.context.stats.leaseWaitSeconds.add((performance.now() - waiter.since) / 1000);
        waiter.done({ ok: true, value });
      }
    }
    if (this.retryTimer !== null) return;
    const wanted = Math.min(this.wanted(), MAX_CONNECTING);
    while (this.connecting < wanted && this.mayOpen()) this.openUpstream().catch(() => {});
  }

  /** Upstreams that would serve all who wait. */
  private wanted(): number {
    let n = 0;
    for (const [kind, { length }] of this.waiters)
      n += kind === 'upstream' ? length : Math.ceil(length / this.context.config.maxUpstreamChannels);
    return n;
  }

  /** The first of a queue goes. */
  private leave(queue: Waiter[]): Waiter {
    this.waiting--;
    return queue.shift()!;
  }

  private failWaiters(denial: Denial): void {
    for (const queue of this.waiters.values())
      while (queue.length > 0) this.leave(queue).done({ ok: false, ...denial });
  }

  // ---- opening and losing upstreams

  private mayOpen(): boolean {
    const { config } = this.context;
    return (
      !this.closed &&
      (config.maxUpstreams === 0 || this.size < config.maxUpstreams) &&
      (config.maxUpstreamsTotal === 0 || this.context.totalUpstreams() < config.maxUpstreamsTotal)
    );
  }

  private async openUpstream(): Promise<void> {
    this.connecting++;
    let upstream: Upstream;
    try {
      upstream = await this.context.open(this);
    } catch (error) {
      this.connecting--;
      this.failed(error as Error);
      throw error;
    }
    this.connecting--;
    this.failures = 0;
    upstream.owner = this;
    if (this.closed) {
      upstream.close('amqproxy is shutting down');
      return;
    }
    if (upstream.state !== 'live') {
      this.failed(new Error('the broker closed the connection'));
      return;
    }
    this.upstreams.push(upstream);
    this.lendable.add(upstream);
    this.context.stats.upstreamsOpened++;
    this.serveWaiters();
  }

  private failed(error: Error): void {
    if (error instanceof Refused && error.why !== null) {
      this.failWaiters({ cause: 'refused', why: error.why });
      return;
    }
    if (this.waiting === 0) return;
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.failures++) * (0.5 + Math.random() / 2);
    this.retryTimer ??= setTimeout(() => {
      this.retryTimer = null;
      this.serveWaiters();
    }, wait);
  }

  private stopRetrying(): void {
    if (this.retryTimer) clearTimeout(this.retryTimer);
    this.retryTimer = null;
  }

  channelFreed(upstream: Upstream): void {
    if (upstream.holder === null) {
      if (upstream.retired && upstream.busy === 0) upstream.close();
      else if (!upstream.retired && upstream.state === 'live') this.lendable.add(upstream);
    }
    this.serveWaiters();
  }

  upstreamClosed(upstream: Upstream, why: CloseReason | null): void {
    const at = this.upstreams.indexOf(upstream);
    if (at >= 0) this.upstreams.splice(at, 1);
    this.lendable.delete(upstream);
    if (!upstream.retired) {
      this.context.stats.upstreamsLost++;
      this.context.report('warn', this, `Upstream lost: ${why?.text ?? 'the connection ended'}`, {
        upstream: upstream.address,
      });
    }
  }

  blockedChanged(upstream: Upstream): void {
    this.context.report(
      'warn',
      this,
      upstream.blocked === null ? 'Upstream unblocked' : `Upstream blocked: ${upstream.blocked}`,
      { upstream: upstream.address },
    );
    this.context.blockedChanged(this, upstream);
  }

  /** No new leases; closed when the last lease ends, at once if there is none. */
  private retire(upstream: Upstream): void {
    upstream.retired = true;
    this.lendable.delete(upstream);
    if (upstream.busy === 0 && upstream.holder === null) upstream.close();
  }

  /** Other brokers are named: upstreams to the earlier ones end with their last lease, new ones are opened at once. */
  leaveBrokers(): void {
    for (const upstream of [...this.upstreams]) this.retire(upstream);
    this.stopRetrying();
    this.failures = 0;
    this.serveWaiters();
  }

  // ---- maintenance

  /** Fails who has waited too long, and closes what has been idle or alive too long. `now` as of the coarse clock. */
  maintain(now: number): void {
    const { config } = this.context;
    for (const queue of this.waiters.values())
      while (queue.length > 0 && queue[0].deadline <= now) {
        const text = `no upstream channel could be had within ${config.leaseTimeout} s (lease_timeout)`;
        const why = reason('CONNECTION_FORCED', text);
        this.leave(queue).done({ ok: false, cause: 'lease_timeout', why });
      }
    let idle = this.upstreams.length;
    for (const upstream of [...this.upstreams]) {
      if (upstream.retired) {
        idle--;
        continue;
      }
      if (config.maxLifetime > 0 && now - upstream.openedAt > config.maxLifetime * 1000) {
        idle--;
        this.retire(upstream);
      } else if (
        config.idleConnectionTimeout > 0 &&
        idle > config.minUpstreams &&
        upstream.holder === null &&
        upstream.busy === 0 &&
        now - upstream.idleSince > config.idleConnectionTimeout * 1000
      ) {
        idle--;
        this.retire(upstream);
      }
    }
  }

  /** Ends everything: used when the proxy stops. */
  close(): void {
    this.closed = true;
    this.stopRetrying();
    this.failWaiters({
      cause: 'shutdown',
      why: reason('CONNECTION_FORCED', 'amqproxy is shutting down'),
    });
    for (const upstream of [...this.upstreams]) upstream.close('amqproxy is shutting down');
  }
}
