/**
 * The upstreams of one pool key, and who may use which channel of them. Knows no sockets: upstreams come from `open`,
 * which logs one in.
 */
import { type CloseReason, reason } from '../amqp/errors.ts';
import type { Stats } from '../stats.ts';
import type { UpstreamOwner } from '../upstream/carrier.ts';
import type { Lease, LeaseHolder, Purpose } from '../upstream/lease.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Account } from './account.ts';
import { Balance } from './balance.ts';
import type { PoolContext } from './context.ts';
import { type Grower, Growth } from './growth.ts';
import { Lending } from './lending.ts';
import { type PrivateHolder, PrivateLease } from './private-lease.ts';
import { Topologies } from './topologies.ts';
import { mayHaveRestarted, outdated } from './upkeep.ts';
import { type Denial, isDenial, NO_WAIT, type Outcome, type Wait, Waiters } from './waiters.ts';

export class Pool implements UpstreamOwner<Upstream>, Grower {
  readonly account: Account;
  readonly vhost: string;
  readonly upstreams: Upstream[] = [];
  /** Clients that are logged in here. */
  clients = 0;
  /** The broker has blocked some of the upstreams. */
  alarm = false;
  readonly topologies = new Topologies();
  private readonly context: PoolContext<Pool>;
  private readonly lending = new Lending();
  readonly waiters: Waiters;
  private readonly growth: Growth = new Growth(this);
  private readonly balance: Balance = new Balance(this);

  constructor(context: PoolContext<Pool>, account: Account, vhost: string) {
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

  get empty(): boolean {
    return this.growth.size === 0 && this.waiters.length === 0 && this.growth.idle;
  }

  /** Since when the one that has waited longest waits; Infinity when nobody does. */
  get waitsSince(): number {
    return this.waiters.oldest;
  }

  /** Resolves when the broker has let this login in; rejects with Refused, Unreachable or Denied. */
  admit(): Promise<void> {
    return this.live ? Promise.resolve() : this.growth.first();
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
    return this.wait(`on ${upstream.name}`, take, done);
  }

  /** A lease on an upstream that the client has for itself; null when it must be waited for. */
  leaseOn(upstream: Upstream, holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    return upstream.lease(holder, purpose, confirm, this.account.quota.full ? 0 : Number.POSITIVE_INFINITY);
  }

  private take(holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    if (this.waiters.held) return null;
    const max = this.account.quota.full ? 0 : this.context.config.maxUpstreamChannels;
    const lease = this.lending.lease(holder, purpose, confirm, max, this.alarm, this.mayGrow());
    if (lease !== null) this.balance.lent(lease);
    return lease;
  }

  /** Why no channel can be had while those who have them keep them: the broker's limit for the user. */
  private overQuota(): Denial | null {
    const { quota } = this.account;
    if (this.waiters.held || !quota.full || this.account.freesChannel()) return null;
    return { cause: 'refused', why: quota.refusal };
  }

  /** Waits up to lease_timeout for an upstream that nobody else uses. */
  leaseUpstream(holder: PrivateHolder, done: (outcome: Outcome<PrivateLease>) => void): Wait {
    return this.wait('upstream', () => this.takeUpstream(holder), done);
  }

  private takeUpstream(holder: PrivateHolder): PrivateLease | Denial | null {
    if (this.waiters.held) return null;
    const upstream = this.lending.takeIdle(this.mayGrow());
    if (upstream !== null) return new PrivateLease(upstream, holder, this);
    const { refusal } = this.growth;
    return refusal === null ? null : { cause: 'refused', why: refusal };
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
    upstream.unsettled = upstream.busy > 0;
    if (upstream.retired) this.retire(upstream);
    else if (!upstream.unsettled) {
      this.lending.add(upstream);
      this.serve();
      this.context.upstreamIdle();
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
    if (this.waiters.length > 0 && !this.waiters.held) {
      this.waiters.serve();
      this.growth.to(this.wanted());
    }
    this.context.waitingChanged(this);
  }

  /** Upstreams that would serve all who wait. */
  private wanted(): number {
    return this.waiters.upstreams(this.account.quota.full ? 0 : this.context.config.maxUpstreamChannels);
  }

  // ---- more upstreams, and fewer

  get stats(): Stats {
    return this.context.stats;
  }

  get waiting(): number {
    return this.waiters.length;
  }

  get maxUpstreams(): number {
    return this.context.config.maxUpstreams || Number.POSITIVE_INFINITY;
  }

  mayGrow(): boolean {
    return this.growth.possible;
  }

  grow(by: number): void {
    this.growth.to(this.wanted() + by);
  }

  reserve(): boolean {
    return this.context.reserve();
  }

  place(): Promise<boolean> {
    return this.context.place(this, () => this.live);
  }

  roomFor(why: CloseReason): Promise<boolean> {
    return this.context.roomFor(this, why);
  }

  takeTuned(): Upstream | null {
    return this.account.take(this.vhost);
  }

  open(tuned: Upstream | null): Promise<Upstream> {
    return this.context.open(this, tuned);
  }

  joins(upstream: Upstream): void {
    upstream.owner = this;
    this.upstreams.push(upstream);
    this.lending.add(upstream);
    this.stats.upstreams++;
    this.stats.upstreamsOpened++;
    this.balance.grown();
    this.serve();
  }

  refused(why: CloseReason): void {
    this.waiters.deny({ cause: 'refused', why });
  }

  limitLearned({ text }: CloseReason): void {
    this.context.report('warn', this, `The broker allows no further upstream: ${text}`);
    setImmediate(() => this.serve()); // who wants one for itself is told
  }

  channelFreed(upstream: Upstream): void {
    if (upstream.busy === 0) upstream.unsettled = false;
    if (upstream.holder === null && !upstream.unsettled) {
      if (upstream.retired && upstream.busy === 0) upstream.close();
      else if (!upstream.retired && upstream.state === 'live') this.lending.add(upstream);
    }
    if (this.waiters.length > 0) this.serve();
    else if (upstream.busy === 0) this.context.upstreamIdle();
  }

  channelsChanged(by: number): void {
    const { quota } = this.account;
    if (by > 0) quota.opened();
    else quota.ended(-by, () => this.context.upstreamIdle()); // it counts for all pools of the user
  }

  upstreamClosed(upstream: Upstream, why: CloseReason | null): void {
    const at = this.upstreams.indexOf(upstream);
    if (at >= 0) this.upstreams.splice(at, 1);
    this.context.stats.upstreams--;
    this.lending.delete(upstream);
    this.alarm = this.upstreams.some(({ blocked }) => blocked !== null);
    this.growth.ends();
    if (this.upstreams.length === 0) this.growth.forgetLimit();
    if (!upstream.retired) {
      this.context.stats.upstreamsLost++;
      this.context.report('warn', this, `Upstream lost: ${why?.text ?? 'the connection ended'}`, {
        id: upstream.name,
        upstream: upstream.address,
      });
      if (this.account.quota.learn(why))
        this.context.report('warn', this, "The broker's limit is kept from now on");
      if (mayHaveRestarted(this.upstreams, upstream.address, why))
        this.topologies.lost(upstream.address, why);
    }
    this.serve();
  }

  upstreamGone(): void {
    this.growth.gone();
    this.serve();
  }

  blockedChanged(upstream: Upstream): void {
    this.alarm = this.upstreams.some(({ blocked }) => blocked !== null);
    const { blocked, address, name } = upstream;
    const message = blocked === null ? 'unblocked' : `blocked: ${blocked}`;
    this.context.report('warn', this, `Upstream ${message}`, { id: name, upstream: address });
    if (blocked === null) this.serve();
  }

  /** No new leases; closed when the last lease ends, at once if there is none. */
  private retire(upstream: Upstream): void {
    upstream.retired = true;
    this.lending.delete(upstream);
    if (upstream.busy === 0 && upstream.holder === null) upstream.close();
  }

  /** Other brokers are named, or `only` this one no more: upstreams there end with their last lease. True if there were any. */
  leaveBrokers(only: string | null = null): boolean {
    const there = this.upstreams.filter(({ retired, address }) => !retired && address === (only ?? address));
    for (const upstream of there) this.retire(upstream);
    if (only === null) this.forgetLimits();
    this.retryNow();
    return there.length > 0;
  }

  retryNow(): void {
    this.growth.retryNow();
    this.serve();
  }

  /** The broker's limits may have been changed. */
  forgetLimits(): void {
    this.growth.forgetLimit();
    this.account.quota.forget();
  }

  /** Closes an idle upstream to make room for another pool's. */
  giveWay(upstream: Upstream): void {
    this.context.report('info', this, 'Idle upstream closed: others need its place');
    this.retire(upstream);
  }

  /** Fails who has waited too long, and closes what is too old. `now` as of the coarse clock; `usedOnce`: see `outdated`. */
  maintain(now: number, usedOnce = false): void {
    const { config } = this.context;
    const text = `no upstream channel could be had within ${config.leaseTimeout} s (lease_timeout)`;
    this.waiters.expire(now, { cause: 'lease_timeout', why: reason('CONNECTION_FORCED', text) });
    for (const upstream of this.upstreams) upstream.channels.closeOld(now);
    this.balance.tick(now);
    const kept = { once: usedOnce && this.clients === 0, declared: this.topologies.any };
    for (const upstream of outdated(this.upstreams, config, kept, now)) this.retire(upstream);
    this.context.waitingChanged(this);
  }

  close(): void {
    this.growth.close();
    this.waiters.deny({ cause: 'shutdown', why: reason('CONNECTION_FORCED', 'amqproxy is shutting down') });
    for (const upstream of [...this.upstreams]) upstream.close('amqproxy is shutting down');
  }
}
