/**
 * The upstreams of one pool key, and who may use which channel of them. Knows no sockets: upstreams come from `open`,
 * which logs one in.
 */
import { type CloseReason, reason } from '../amqp/errors.ts';
import type { Config } from '../config/options.ts';
import type { Stats } from '../stats.ts';
import type { Peer } from '../upstream/carrier.ts';
import { Refused } from '../upstream/handshake.ts';
import type { Lease, LeaseHolder, Purpose } from '../upstream/lease.ts';
import type { Upstream, UpstreamOwner } from '../upstream/upstream.ts';
import type { Account } from './account.ts';
import { BEST, GOOD, rank } from './placement.ts';
import { type PrivateHolder, PrivateLease } from './private-lease.ts';
import { isConnectionLimit } from './quota.ts';
import { type Denial, isDenial, NO_WAIT, type Outcome, type Wait, Waiters } from './waiters.ts';

/** What a pool needs from its surroundings. */
export interface PoolContext {
  readonly config: Config;
  readonly stats: Stats;
  /** Takes a place for one more upstream of all pools; false when there is none (an idle one is asked to give way). */
  reserve(): boolean;
  /** The same for a login, in its turn; false when that has become `needless` meanwhile. Rejects with Denied. */
  place(pool: Pool, needless: () => boolean): Promise<boolean>;
  /** Logs one more upstream in for this pool, in a place that was taken; `tuned` is one that has done so already. */
  open(pool: Pool, tuned: Upstream | null): Promise<Upstream>;
  /** Somebody waits in this pool, or nobody does. */
  waitingChanged(pool: Pool): void;
  report(level: 'debug' | 'info' | 'warn', pool: Pool, message: string, facts?: object): void;
}

/** A client that has declared what a restart of the broker takes away. */
export interface TopologyOwner {
  topologyLost(why: CloseReason | null): void;
}

/** Milliseconds before an upstream that could not be opened is tried again; doubled, with jitter. */
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5000;
/** Upstreams that a pool logs in at once, at most. */
const MAX_CONNECTING = 64;

export class Pool implements UpstreamOwner {
  readonly account: Account;
  readonly vhost: string;
  readonly upstreams: Upstream[] = [];
  /** Clients that are logged in here. */
  clients = 0;
  /** The broker has blocked some of the upstreams. */
  alarm = false;
  /** Clients that have declared what a restart of the broker takes away, and the brokers they did it at. */
  readonly topologies = new Map<TopologyOwner, Set<string>>();
  private readonly context: PoolContext;
  /** Upstreams that may have a channel to lend, or be lent as a whole: neither private, nor retired, nor known to be full. */
  private readonly lendable = new Set<Upstream>();
  private readonly waiters: Waiters;
  private connecting = 0;
  /** How many upstreams the broker lets this user or vhost have, once it has refused one more. */
  private learnedMax = Number.POSITIVE_INFINITY;
  private failures = 0;
  private retryTimer: NodeJS.Timeout | null = null;
  private closed = false;
  /** The first attempt, shared by all who log in meanwhile (single flight). */
  private firstLogin: Promise<void> | null = null;

  constructor(context: PoolContext, account: Account, vhost: string) {
    this.context = context;
    this.account = account;
    this.vhost = vhost;
    this.waiters = new Waiters(seconds => context.stats.leaseWaitSeconds.add(seconds));
  }

  get user(): string {
    return this.account.user;
  }

  get channelLifetime(): number {
    return this.context.config.channelLifetime || Number.POSITIVE_INFINITY;
  }

  /** A live upstream proves that the broker lets this login in. */
  get live(): boolean {
    return this.upstreams.some(upstream => !upstream.retired);
  }

  get size(): number {
    return this.upstreams.length + this.connecting;
  }

  get empty(): boolean {
    return this.size === 0 && this.waiters.length === 0 && this.firstLogin === null;
  }

  /** Since when the one that has waited longest waits; Infinity when nobody does. */
  get waitsSince(): number {
    return this.waiters.oldest;
  }

  /** Resolves when the broker has let this login in; rejects with Refused, Unreachable or Denied. */
  admit(): Promise<void> {
    if (this.live) return Promise.resolve();
    this.firstLogin ??= this.firstUpstream().finally(() => {
      this.firstLogin = null;
    });
    return this.firstLogin;
  }

  private async firstUpstream(): Promise<void> {
    const tuned = this.account.take(this.vhost);
    if (tuned === null && !(await this.context.place(this, () => this.live))) return;
    await this.openUpstream(tuned);
  }

  // ---- leases

  /** A lease on a shared upstream, at once if one can be had; null when it must be waited for. */
  lease(holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    const lease = this.take(holder, purpose, confirm);
    if (lease !== null) this.context.stats.leaseWaitSeconds.add(0);
    return lease;
  }

  /** The same, waiting up to lease_timeout. */
  waitForLease(
    holder: LeaseHolder,
    purpose: Purpose,
    confirm: boolean,
    done: (outcome: Outcome<Lease>) => void,
  ): Wait {
    const take = (): Lease | Denial | null => this.take(holder, purpose, confirm) ?? this.overQuota();
    return this.wait(`${confirm ? 'confirm' : 'plain'}, ${purpose}`, take, done);
  }

  /** Waits up to lease_timeout for a lease on an upstream that the client has for itself. */
  waitForLeaseOn(
    upstream: Upstream,
    holder: LeaseHolder,
    purpose: Purpose,
    confirm: boolean,
    done: (outcome: Outcome<Lease>) => void,
  ): Wait {
    const take = (): Lease | Denial | null =>
      this.leaseOn(upstream, holder, purpose, confirm) ?? this.overQuota();
    return this.wait(`on ${upstream.id}`, take, done);
  }

  /** A lease on an upstream that the client has for itself; null when it must be waited for. */
  leaseOn(upstream: Upstream, holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    return upstream.lease(holder, purpose, confirm, this.account.quota.full ? 0 : Number.POSITIVE_INFINITY);
  }

  private take(holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    const max = this.account.quota.full ? 0 : this.context.config.maxUpstreamChannels;
    const limit = this.mayGrow() ? GOOD : Number.POSITIVE_INFINITY; // a better one can be had
    let passedOver: Set<Upstream> | null = null;
    for (;;) {
      const upstream = this.best(purpose, limit, passedOver);
      if (upstream === null) return null;
      const lease = upstream.lease(holder, purpose, confirm, max);
      if (lease !== null) {
        if (upstream.busy === 1) upstream.consuming = purpose === 'consume';
        return lease;
      }
      passedOver ??= new Set();
      passedOver.add(upstream);
      if (upstream.channels.parked === 0 && max > 0) this.lendable.delete(upstream);
    }
  }

  /** The one that suits a purpose best, if it is not worse than `limit`. */
  private best(purpose: Purpose, limit: number, passedOver: Set<Upstream> | null): Upstream | null {
    let found: Upstream | null = null;
    let least = limit + 1;
    for (const upstream of this.lendable) {
      if (passedOver?.has(upstream)) continue;
      const value = rank(upstream, purpose, this.alarm);
      if (value >= least) continue;
      found = upstream;
      least = value;
      if (value === BEST) break;
    }
    return found;
  }

  /** Why no channel can be had while those who have them keep them: the broker's limit for the user. */
  private overQuota(): Denial | null {
    const { quota } = this.account;
    if (!quota.full || this.account.freesChannel()) return null;
    return { cause: 'refused', why: quota.refusal };
  }

  /** Waits up to lease_timeout for an upstream that nobody else uses. */
  leaseUpstream(holder: PrivateHolder, done: (outcome: Outcome<PrivateLease>) => void): Wait {
    return this.wait('upstream', () => this.takeUpstream(holder), done);
  }

  private takeUpstream(holder: PrivateHolder): PrivateLease | null {
    for (const upstream of this.lendable) {
      if (upstream.busy > 0) continue;
      this.lendable.delete(upstream);
      return new PrivateLease(upstream, holder, this);
    }
    return null;
  }

  giveBack(upstream: Upstream, spent: boolean, done: (() => void) | null): void {
    if (spent && upstream.state === 'live') {
      if (done !== null) upstream.whenClosed(done);
      this.retire(upstream);
      upstream.close(); // it ends whatever is under way there
      return;
    }
    done?.();
    if (upstream.state !== 'live') return;
    if (upstream.retired) this.retire(upstream);
    else {
      this.lendable.add(upstream);
      this.serve();
    }
  }

  // ---- waiting

  private wait<T extends object>(
    kind: string,
    take: () => T | Denial | null,
    done: (outcome: Outcome<T>) => void,
  ): Wait {
    if (this.waiters.length === 0) {
      const value = take();
      if (value !== null && !isDenial(value)) {
        this.context.stats.leaseWaitSeconds.add(0);
        done({ ok: true, value });
        return NO_WAIT;
      }
    }
    const wait = this.waiters.wait(kind, this.context.config.leaseTimeout, take, done);
    this.serve();
    return wait;
  }

  /** Serves who waits, and opens upstreams for those who cannot be served. */
  serve(): void {
    if (this.waiters.length > 0) {
      this.waiters.serve();
      this.grow();
    }
    this.context.waitingChanged(this);
  }

  private grow(): void {
    if (this.retryTimer !== null) return;
    const wanted = Math.min(this.wanted(), MAX_CONNECTING);
    while (this.connecting < wanted && this.mayGrow()) {
      const tuned = this.account.take(this.vhost);
      if (tuned === null && !this.context.reserve()) return;
      this.openUpstream(tuned).catch(() => {});
    }
  }

  /** Upstreams that would serve all who wait. */
  private wanted(): number {
    let n = 0;
    for (const [kind, count] of this.waiters.counts())
      if (kind === 'upstream') n += count;
      else if (!kind.startsWith('on ') && !this.account.quota.full)
        n += Math.ceil(count / this.context.config.maxUpstreamChannels);
    return n;
  }

  // ---- opening and losing upstreams

  /** Whether this pool may have one more upstream. */
  mayGrow(): boolean {
    const { maxUpstreams } = this.context.config;
    return !this.closed && this.size < Math.min(maxUpstreams || Number.POSITIVE_INFINITY, this.learnedMax);
  }

  private async openUpstream(tuned: Upstream | null): Promise<void> {
    const { stats } = this.context;
    this.connecting++;
    stats.upstreams++;
    stats.upstreamsConnecting++;
    let upstream: Upstream;
    try {
      upstream = await this.context.open(this, tuned);
    } catch (error) {
      this.connecting--;
      stats.upstreams--;
      stats.upstreamsConnecting--;
      this.failed(error as Error);
      throw error;
    }
    this.connecting--;
    stats.upstreamsConnecting--;
    this.failures = 0;
    if (upstream.state !== 'live' || this.closed) {
      stats.upstreams--;
      upstream.close('amqproxy is shutting down');
      if (!this.closed) this.failed(new Error('the broker closed the connection'));
      return;
    }
    upstream.owner = this;
    this.upstreams.push(upstream);
    this.lendable.add(upstream);
    stats.upstreamsOpened++;
    this.serve();
  }

  private failed(error: Error): void {
    if (error instanceof Refused && error.why !== null) {
      if (isConnectionLimit(error.why) && this.upstreams.length > 0) {
        // the broker allows no more than there are: who waits is served when one of them is free
        this.learnedMax = this.upstreams.length;
        this.context.report('warn', this, `The broker allows no further upstream: ${error.why.text}`);
        return;
      }
      this.waiters.deny({ cause: 'refused', why: error.why });
      return;
    }
    if (this.waiters.length === 0) return;
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.failures++) * (0.5 + Math.random() / 2);
    this.retryTimer ??= setTimeout(() => {
      this.retryTimer = null;
      this.serve();
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
    if (this.waiters.length > 0) this.serve();
  }

  channelsChanged(by: number): void {
    const { quota } = this.account;
    if (by > 0) quota.opened();
    else quota.ended(-by, () => this.serve());
  }

  upstreamClosed(upstream: Upstream, why: CloseReason | null): void {
    const at = this.upstreams.indexOf(upstream);
    if (at >= 0) this.upstreams.splice(at, 1);
    this.context.stats.upstreams--;
    this.lendable.delete(upstream);
    this.alarm = this.upstreams.some(({ blocked }) => blocked !== null);
    if (this.upstreams.length === 0) this.learnedMax = Number.POSITIVE_INFINITY;
    if (!upstream.retired) {
      this.context.stats.upstreamsLost++;
      this.context.report('warn', this, `Upstream lost: ${why?.text ?? 'the connection ended'}`, {
        upstream: upstream.address,
      });
      if (this.account.quota.learn(why))
        this.context.report('warn', this, "The broker's limit is kept from now on");
      for (const [owner, brokers] of [...this.topologies])
        if (brokers.has(upstream.address)) owner.topologyLost(why);
    }
    this.serve();
  }

  blockedChanged(upstream: Upstream): void {
    this.alarm = this.upstreams.some(({ blocked }) => blocked !== null);
    const { blocked, address } = upstream;
    const message = blocked === null ? 'Upstream unblocked' : `Upstream blocked: ${blocked}`;
    this.context.report('warn', this, message, { upstream: address });
    if (blocked === null) this.serve();
  }

  /** Tells a client of the alarm that some upstream is blocked by, and later of its end. */
  tellAnyBlocked(peer: Peer): void {
    this.upstreams.find(({ blocked }) => blocked !== null)?.tell(peer);
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
    this.forgetLimits();
    this.serve();
  }

  /** The broker's limits may have been changed. */
  forgetLimits(): void {
    this.learnedMax = Number.POSITIVE_INFINITY;
    this.account.quota.forget();
  }

  // ---- maintenance

  /** The upstream that nobody uses for the longest time; null when there is none. */
  get idlest(): Upstream | null {
    let found: Upstream | null = null;
    for (const upstream of this.upstreams) {
      if (upstream.retired || upstream.holder !== null || upstream.busy > 0) continue;
      if (found === null || upstream.idleSince < found.idleSince) found = upstream;
    }
    return found;
  }

  /** Closes an idle upstream to make room for another pool's. */
  giveWay(upstream: Upstream): void {
    this.context.report('info', this, 'Idle upstream closed: others need its place (max_upstreams_total)');
    this.retire(upstream);
  }

  /** Fails who has waited too long, and closes what has been idle or alive too long. `now` as of the coarse clock. */
  maintain(now: number): void {
    const { config } = this.context;
    const text = `no upstream channel could be had within ${config.leaseTimeout} s (lease_timeout)`;
    this.waiters.expire(now, { cause: 'lease_timeout', why: reason('CONNECTION_FORCED', text) });
    let staying = this.upstreams.length;
    for (const upstream of [...this.upstreams]) {
      for (const channel of upstream.channels.unparkOpenedBefore(now - this.channelLifetime * 1000))
        channel.close();
      const old = config.maxLifetime > 0 && now - upstream.openedAt > config.maxLifetime * 1000;
      if (upstream.retired || old || this.idleTooLong(upstream, staying, now)) {
        staying--;
        if (!upstream.retired) this.retire(upstream);
      }
    }
    this.context.waitingChanged(this);
  }

  private idleTooLong(upstream: Upstream, staying: number, now: number): boolean {
    const { idleConnectionTimeout, minUpstreams } = this.context.config;
    // the last one tells whether the broker, and with it what clients have declared, is still there
    const least = Math.max(minUpstreams, this.topologies.size > 0 ? 1 : 0);
    return (
      idleConnectionTimeout > 0 &&
      staying > least &&
      upstream.holder === null &&
      upstream.busy === 0 &&
      now - upstream.idleSince > idleConnectionTimeout * 1000
    );
  }

  /** Ends everything: used when the proxy stops. */
  close(): void {
    this.closed = true;
    this.stopRetrying();
    this.waiters.deny({ cause: 'shutdown', why: reason('CONNECTION_FORCED', 'amqproxy is shutting down') });
    for (const upstream of [...this.upstreams]) upstream.close('amqproxy is shutting down');
  }
}
