/** The upstreams of one pool key, and who may use which channel of them. Knows no sockets: `open` logs upstreams in. */
import type { CloseReason } from '../amqp/errors.ts';
import type { Stats } from '../stats.ts';
import type { UpstreamOwner } from '../upstream/carrier.ts';
import type { Lease, LeaseHolder, Purpose } from '../upstream/lease.ts';
import { ownTitle } from '../upstream/title.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Account } from './account.ts';
import type { PoolContext, Way } from './context.ts';
import { Demand, kindFor } from './demand.ts';
import { type Denial, leaseTimeout, SHUTDOWN } from './denial.ts';
import { type Grower, Growth } from './growth.ts';
import { Lending, type Terms } from './lending.ts';
import { type PrivateHolder, PrivateLease } from './private-lease.ts';
import { isShared, Relief } from './relief.ts';
import { Topologies } from './topologies.ts';
import { isSpent, mayHaveRestarted, mayKeep, outdated } from './upkeep.ts';
import { type Done, NO_WAIT, type Take, type Wait, Waiters } from './waiters.ts';

export class Pool implements UpstreamOwner<Upstream>, Grower, Terms {
  readonly account: Account;
  readonly vhost: string;
  /** To its brokers. */
  way: Way<Account>;
  readonly upstreams: Upstream[] = [];
  /** Clients that are logged in here. */
  clients = 0;
  /** The broker has blocked some of the upstreams. */
  alarm = false;
  readonly topologies = new Topologies();
  private readonly context: PoolContext<Pool>;
  private readonly lending = new Lending();
  readonly waiters: Waiters;
  readonly demand: Demand;
  private readonly growth: Growth = new Growth(this);
  private readonly relief: Relief = new Relief(this);

  constructor(context: PoolContext<Pool>, account: Account, vhost: string, way: Way<Account>) {
    this.context = context;
    this.account = account;
    this.vhost = vhost;
    this.way = way;
    this.waiters = new Waiters(seconds => context.stats.leaseWaitSeconds.add(seconds));
    this.demand = new Demand(this.waiters, () => this.newChannels);
  }

  get user(): string {
    return this.account.user;
  }

  mayKeep(openedAt: number, now: number): boolean {
    return mayKeep(openedAt, this.way.route, now);
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

  /** Resolves when the broker has let this login in; rejects with Refused, Unreachable or Denied. `title`: see `leaseUpstream`. */
  admit(title = ''): Promise<void> {
    return this.live ? Promise.resolve() : this.growth.first(ownTitle(title, this.account));
  }

  // ---- leases

  /** A lease on a shared upstream, at once if one can be had; null when it must be waited for. */
  lease(holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    const lease = this.take(holder, purpose, confirm);
    if (lease !== null) this.context.stats.leaseWaitSeconds.add(0);
    return lease;
  }

  /** The same, waiting up to lease_timeout. */
  waitForLease(holder: LeaseHolder, purpose: Purpose, confirm: boolean, done: Done<Lease>): Wait {
    const take: Take<Lease> = () => this.take(holder, purpose, confirm) ?? this.overQuota();
    return this.wait(`${confirm ? 'confirm' : 'plain'}, ${purpose}`, take, done);
  }

  /** Waits up to lease_timeout for a lease on an upstream that the client has for itself. */
  waitForLeaseOn(
    upstream: Upstream,
    holder: LeaseHolder,
    purpose: Purpose,
    confirm: boolean,
    done: Done<Lease>,
  ): Wait {
    const take: Take<Lease> = () => this.leaseOn(upstream, holder, purpose, confirm) ?? this.overQuota();
    return this.wait(`on ${upstream.name}`, take, done);
  }

  /** A lease on an upstream that the client has for itself; null when it must be waited for. */
  leaseOn(upstream: Upstream, holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    return upstream.lease(holder, purpose, confirm, this.way.quota.full ? 0 : Number.POSITIVE_INFINITY);
  }

  private take(holder: LeaseHolder, purpose: Purpose, confirm: boolean): Lease | null {
    if (this.waiters.held) return null;
    const lease = this.lending.lease(holder, purpose, confirm, this);
    if (lease !== null) this.relief.lent(lease);
    return lease;
  }

  get anyName(): boolean {
    return !this.growth.soon || this.context.full(this);
  }

  get growsSoon(): boolean {
    return this.growth.soon && this.context.makesRoom(this);
  }

  /** The broker reads one, or will read a new one: who is on one that it has blocked is better off there. */
  get hasUnblocked(): boolean {
    return this.upstreams.some(isShared) || this.growsSoon;
  }

  /** Why no channel can be had while those who have them keep them: the broker's limit for the user. */
  private overQuota(): Denial | null {
    const { quota } = this.way;
    if (this.waiters.held || !quota.full || this.account.freesChannel(quota)) return null;
    return { cause: 'refused', why: quota.refusal };
  }

  /**
   * Waits up to lease_timeout for an upstream that nobody else uses. `title` is what the application calls its connection, if the
   * upstream is to be called so, too: another will do only where no more can be opened.
   */
  leaseUpstream(holder: PrivateHolder, title: string, done: Done<PrivateLease>): Wait {
    const own = ownTitle(title, this.account);
    return this.wait(kindFor(own), () => this.takeUpstream(holder, own), done, own);
  }

  private takeUpstream(holder: PrivateHolder, title: string): PrivateLease | Denial | null {
    if (this.waiters.held) return null;
    const upstream = this.lending.takeIdle(title, this.anyName);
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
    if (isSpent(upstream)) this.retire(upstream);
    else if (!upstream.unsettled) {
      this.lending.add(upstream);
      this.serve();
      this.context.upstreamIdle();
    }
  }

  // ---- waiting

  private wait<T extends object>(kind: string, take: Take<T>, done: Done<T>, title = ''): Wait {
    const wait = this.waiters.ask(kind, this.context.config.leaseTimeout, take, done, title);
    if (wait !== NO_WAIT) this.serve();
    return wait;
  }

  /** Serves who waits, and opens upstreams for those who cannot be served. */
  serve(): void {
    if (this.waiters.length > 0 && !this.waiters.held) {
      this.waiters.serve();
      this.growth.to(this.demand.upstreams);
    }
    this.context.waitingChanged(this);
  }

  /** Channels that a new upstream would have to lend. */
  get newChannels(): number {
    return this.way.quota.full ? 0 : this.way.route.config.maxUpstreamChannels;
  }

  // ---- more upstreams, and fewer

  get stats(): Stats {
    return this.context.stats;
  }

  mayGrow(): boolean {
    return this.growth.possible;
  }

  grow(by: number): void {
    this.growth.to(this.demand.upstreams + by);
  }

  reserve(): boolean {
    return this.context.reserve(this);
  }

  place(): Promise<boolean> {
    return this.context.place(this, () => this.live);
  }

  roomFor(why: CloseReason): Promise<boolean> {
    return this.context.roomFor(this, why);
  }

  takeTuned(): Upstream | null {
    return this.account.take(this.way.route, this.vhost);
  }

  open(tuned: Upstream | null, title: string): Promise<Upstream> {
    return this.context.open(this, tuned, title);
  }

  joins(upstream: Upstream): void {
    upstream.owner = this;
    this.upstreams.push(upstream);
    this.lending.add(upstream);
    this.stats.upstreams++;
    this.stats.upstreamsOpened++;
    this.relief.grown();
    this.serve();
  }

  refused(why: CloseReason): void {
    this.waiters.deny({ cause: 'refused', why });
  }

  limitLearned({ text }: CloseReason): void {
    this.context.report('warn', this, `The broker allows no further upstream: ${text}`);
    this.serve(); // who wants one for itself gets any, or is told, before an idle one makes room
  }

  channelFreed(upstream: Upstream): void {
    if (upstream.busy === 0) upstream.unsettled = false;
    if (upstream.holder === null && !upstream.unsettled) {
      if (isSpent(upstream) && upstream.busy === 0) this.retire(upstream);
      else if (!upstream.retired && upstream.state === 'live') this.lending.add(upstream);
    }
    if (this.waiters.length > 0) this.serve();
    else if (upstream.busy === 0) this.context.upstreamIdle();
  }

  channelStuck({ name: id, address: upstream }: Upstream, channel: number): void {
    this.context.report('warn', this, `Upstream does not answer on channel ${channel}`, { id, upstream });
  }

  channelsChanged(by: number): void {
    this.way.quota.change(by, () => this.context.upstreamIdle()); // it counts for all pools of the user
  }

  upstreamClosed(upstream: Upstream, why: CloseReason | null): void {
    const { upstreams, growth, stats } = this;
    upstreams.splice(upstreams.indexOf(upstream), 1);
    stats.upstreams--;
    this.lending.delete(upstream);
    this.alarm = upstreams.some(({ blocked }) => blocked !== null);
    growth.ends();
    if (!upstream.retired) {
      const { name: id, address } = upstream;
      const text = why?.text ?? 'the connection ended';
      stats.upstreamsLost++;
      this.context.report('warn', this, `Upstream lost: ${text}`, { id, upstream: address });
      if (this.way.quota.learn(why))
        this.context.report('warn', this, "The broker's limit is kept from now on");
      if (mayHaveRestarted(upstreams, address, why)) this.topologies.lost(address, why);
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

  /** No new leases; closed when the last one ends. */
  private retire(upstream: Upstream): void {
    upstream.retired = true;
    this.lending.delete(upstream);
    if (upstream.busy === 0 && upstream.holder === null) upstream.close();
  }

  /** Other brokers are named, or `only` this one no more: upstreams there are retired. True if there were any. */
  leaveBrokers(only: string | null = null): boolean {
    const there = this.upstreams.filter(({ retired, address }) => !retired && address === (only ?? address));
    for (const upstream of there) this.retire(upstream);
    if (only === null) this.forgetLimits();
    this.retryNow();
    return there.length > 0;
  }

  /** It takes another way now: upstreams that went the old one end with their last lease. */
  reroute(way: Way<Account>): void {
    for (const { channels } of this.upstreams) this.way.quota.handOver(channels.count, way.quota);
    this.way = way;
    this.leaveBrokers();
  }

  retryNow(): void {
    this.growth.retryNow();
    this.serve();
  }

  /** The broker's limits may have been changed. */
  forgetLimits(): void {
    this.growth.forgetLimit();
    this.way.quota.forget();
  }

  /** It ends with its last lease, at once if there is none. */
  letGo(upstream: Upstream, why: string): void {
    this.context.report('info', this, why, { id: upstream.name });
    this.retire(upstream);
  }

  /** Fails who has waited too long, and closes what is too old. `now` as of the coarse clock; `usedOnce`: see `outdated`. */
  maintain(now: number, usedOnce = false): void {
    const { config } = this.way.route;
    const text = `no upstream channel could be had within ${config.leaseTimeout} s (lease_timeout)`;
    this.waiters.expire(now, leaseTimeout(text));
    for (const upstream of this.upstreams) upstream.channels.closeOld(now);
    this.relief.tick(now);
    const kept = { once: usedOnce && this.clients === 0, declared: this.topologies.any };
    for (const upstream of outdated(this.upstreams, config, kept, now)) this.retire(upstream);
    this.context.waitingChanged(this);
  }

  close(): void {
    this.growth.close();
    this.waiters.deny(SHUTDOWN);
    for (const upstream of [...this.upstreams]) upstream.close(SHUTDOWN.why.text);
  }
}
