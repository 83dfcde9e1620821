/** All accounts and pools, and the limits that hold for all of them together. */
import type { CloseReason } from '../amqp/errors.ts';
import type { Credentials, RawLogin } from '../amqp/sasl.ts';
import type { Config } from '../config/options.ts';
import type { Stats } from '../stats.ts';
import { ownTitle } from '../upstream/title.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { Account } from './account.ts';
import { type Route as AnyRoute, type PoolContext, poolName, type Routes } from './context.ts';
import { SHUTDOWN } from './denial.ts';
import { Logins } from './logins.ts';
import { Places } from './places.ts';
import { Pool } from './pool.ts';
import { countsUser, SETTLE_MS } from './quota.ts';
import { isSame, loginKey } from './secrets.ts';
import { idlest } from './upkeep.ts';
import { Ways } from './ways.ts';

type Route = AnyRoute<Account>;

interface RegistryContext {
  readonly config: Config;
  readonly stats: Stats;
  report: PoolContext<Pool>['report'];
}

export class Registry implements PoolContext<Pool> {
  private readonly context: RegistryContext;
  private readonly routes: Routes<Account>;
  /** By `loginKey`. */
  private readonly accounts = new Map<string, Account<Pool>>();
  /** By user: the one whose secret came last. */
  private readonly newest = new Map<string, Account<Pool>>();
  private readonly ways: Ways;
  readonly pools = new Set<Pool>();
  private readonly waitingPools = new Set<Pool>();
  private readonly logins: Logins;
  /** The vhost each user asked for last: the likely one of its next login. */
  private readonly lastVhost = new Map<string, string>();
  private readonly places = new Places<Route>();
  private givingWay = false;
  /** By the operator's wish nothing is lent there, and nobody logged in upstream, for now; null is everywhere. */
  private readonly pausedOn = new Set<Route | null>();
  /** The same for pools of a name, those included that are still to come. */
  readonly pausedPools = new Set<string>();
  private serving = false;

  constructor(context: RegistryContext, routes: Routes<Account>) {
    this.context = context;
    this.routes = routes;
    this.ways = new Ways(routes);
    this.logins = new Logins({
      get seconds() {
        return context.config.leaseTimeout;
      },
      reserveOn: route => this.reserveOn(route),
    });
  }

  get config(): Config {
    return this.context.config;
  }

  get stats(): Stats {
    return this.context.stats;
  }

  report: PoolContext<Pool>['report'] = (level, pool, message, facts) =>
    this.context.report(level, pool, message, facts);

  // ---- what clients ask for

  account({ user, secret }: Credentials): Account<Pool> {
    let account = this.newest.get(user);
    if (account === undefined || !isSame(account.secret, secret)) {
      const key = loginKey(user, secret);
      account = this.accounts.get(key) ?? new Account(key, user, secret);
      this.accounts.set(key, account);
      this.newest.set(user, account);
    }
    account.uses++;
    return account;
  }

  /** Null when the brokers of the route are known to take this login; otherwise resolves when they have, or rejects. `title`: see Pool.admit. */
  prove(account: Account<Pool>, route: Route, title = '', vhost?: string): Promise<void> | null {
    if (account.provenAt(route)) return null;
    const likely = vhost ?? this.lastVhost.get(account.user) ?? '/';
    return account.prove(route, likely, async () => {
      const pool = account.pools.get(likely) ?? null;
      const placed = await this.logins.place(route, pool, () => account.provenAt(route));
      return placed ? route.opener.authenticate(account, likely, ownTitle(title, account)) : null;
    });
  }

  /** What the broker says to a login, and to a tune-ok, that the proxy cannot hand on; rejects with it, if it says anything. */
  async judge(login: RawLogin, tuneOk: Buffer | null): Promise<void> {
    const { greeting } = this.routes;
    if (await this.logins.place(greeting, null, () => false)) await greeting.opener.imitate(login, tuneOk);
  }

  pool(proven: Account<Pool>, vhost: string): Pool {
    // a client that took its time may have been forgotten
    const account = this.accounts.get(proven.key) ?? proven;
    this.accounts.set(account.key, account);
    let pool = account.pools.get(vhost);
    if (pool === undefined) {
      pool = new Pool(this, account, vhost, this.ways.to(account.user, vhost));
      if (this.isPausedOn(pool.way.route) || this.pausedPools.has(poolName(pool))) pool.waiters.hold();
      account.pools.set(vhost, pool);
      this.pools.add(pool);
      this.stats.pools++;
    }
    return pool;
  }

  // ---- what pools ask for

  async open(pool: Pool, tuned: Upstream | null, title: string): Promise<Upstream> {
    const { account, vhost } = pool;
    const upstream = await this.openOn(pool, tuned, title);
    this.lastVhost.set(account.user, vhost);
    const { name: id, address, namedFor } = upstream;
    this.report('info', pool, 'Upstream opened', { id, upstream: address, name: namedFor || undefined });
    return upstream;
  }

  /** Anew on another route if the pool takes that meanwhile. */
  private async openOn(pool: Pool, tuned: Upstream | null, title: string): Promise<Upstream> {
    const { account, vhost, way } = pool;
    try {
      const upstream = await way.route.opener.open(account, vhost, tuned, title);
      if (way === pool.way) return upstream;
      upstream.destroy();
    } catch (error) {
      if (way === pool.way) throw error;
    }
    this.places.take(pool.way.route);
    return this.openOn(pool, null, title);
  }

  upstreamIdle(): void {
    if (this.logins.length > 0 || this.waitingPools.size > 0) this.serveSoon();
  }

  waitingChanged(pool: Pool): void {
    if (pool.waitsSince === Number.POSITIVE_INFINITY) this.waitingPools.delete(pool);
    else this.waitingPools.add(pool);
    this.logins.serve();
  }

  // ---- places

  full({ way }: Pool): boolean {
    return this.places.full(way.route, this.config.maxUpstreamsTotal) !== undefined;
  }

  reserve({ way }: Pool): boolean {
    return this.reserveOn(way.route);
  }

  reserveOn(route: Route): boolean {
    if (this.isPausedOn(route) || !this.hasPlace(route)) return false;
    this.places.take(route);
    return true;
  }

  makesRoom({ way }: Pool): boolean {
    return this.hasPlace(way.route) || this.givingWay;
  }

  /** There is a place for one more; an idle one is asked to give way if not. */
  private hasPlace(route: Route): boolean {
    const full = this.places.full(route, this.config.maxUpstreamsTotal);
    if (full !== undefined) this.askToGiveWay(full);
    return full === undefined;
  }

  /** The upstream that was dialed in a place has ended, or could not be had. */
  release(route: Route): void {
    this.places.release(route);
    this.givingWay = false;
    this.serveSoon();
  }

  /** Not in the middle of what makes room. */
  private serveSoon(): void {
    if (this.serving) return;
    this.serving = true;
    queueMicrotask(() => {
      this.serving = false;
      this.serve();
    });
  }

  /** Takes the place of an upstream that has just ended, for another in its stead. */
  retake(route: Route): void {
    this.places.take(route);
  }

  place(pool: Pool, needless: () => boolean): Promise<boolean> {
    return this.logins.place(pool.way.route, pool, needless);
  }

  /** There is room: logins and pools get it in their order. */
  private serve(): void {
    this.logins.serve();
    const pools = [...this.waitingPools].sort((a, b) => a.waitsSince - b.waitsSince);
    for (const pool of pools) pool.serve();
  }

  /** The upstream that has been idle for the longest time, of all pools or those of a route, is closed for one that is wanted. */
  private askToGiveWay(only: Route | null): void {
    if (this.givingWay) return; // one is on its way
    this.givingWay = true;
    for (const route of this.routes.all)
      if ((only === null || route === only) && route.opener.dropSpare()) return;
    for (const account of this.accounts.values()) if (account.drop(only)) return;
    if (this.closeIdlest(({ way }) => only === null || way.route === only) === null) this.givingWay = false;
  }

  /** Closes the upstream that has been idle for the longest time in these pools; null when there is none. */
  private closeIdlest(among: (pool: Pool) => boolean): Upstream | null {
    let found: { pool: Pool; upstream: Upstream } | null = null;
    for (const pool of this.pools) {
      const upstream = among(pool) ? idlest(pool.upstreams) : null;
      if (upstream !== null && (found === null || upstream.idleSince < found.upstream.idleSince))
        found = { pool, upstream };
    }
    found?.pool.letGo(found.upstream, 'Idle upstream closed: others need its place');
    return found?.upstream ?? null;
  }

  roomFor({ user, vhost, way }: Pool, why: CloseReason): Promise<boolean> {
    const ofUser = countsUser(why);
    const upstream = this.closeIdlest(
      pool => pool.way.route === way.route && (ofUser ? pool.user === user : pool.vhost === vhost),
    );
    if (upstream === null) return Promise.resolve(false);
    return new Promise(resolve => upstream.whenClosed(() => setTimeout(resolve, SETTLE_MS, true)));
  }

  // ---- maintenance

  /** `now` as of the coarse clock. */
  maintain(now: number): void {
    if (!this.anyPaused) this.logins.expire(now);
    for (const [key, account] of this.accounts) {
      // tokens and signed passwords are used once: another has come since
      const usedOnce = account.uses === 1 && this.newest.get(account.user) !== account;
      for (const [vhost, pool] of account.pools) {
        pool.maintain(now, usedOnce);
        for (const upstream of [...pool.upstreams]) upstream.tick(now);
        if (!pool.empty || pool.clients > 0) continue;
        account.pools.delete(vhost);
        this.pools.delete(pool);
        this.waitingPools.delete(pool);
        this.stats.pools--;
      }
      if (!account.empty) continue;
      this.accounts.delete(key);
      if (this.newest.get(account.user) === account) this.newest.delete(account.user);
    }
    if (this.accounts.size === 0) this.ways.unused();
  }

  /** New leases go to the brokers that are named now, on all routes or one; upstreams to the earlier ones end with their last lease. */
  leaveBrokers(only: Route | null = null): void {
    for (const account of this.accounts.values()) account.drop(only);
    for (const pool of this.pools) if (only === null || pool.way.route === only) pool.leaveBrokers();
  }

  /** Other routes are in force. */
  reroute(): void {
    for (const pool of this.pools) {
      const way = this.ways.to(pool.user, pool.vhost);
      const { route } = pool.way;
      if (way.route === route) continue;
      pool.reroute(way);
      if (this.pausedOn.has(route) && !this.isPausedOn(way.route)) this.resumePool(pool);
    }
    this.ways.prune();
  }

  // ---- by the operator's wish

  /** Whether all pools are paused, those to come too. */
  get paused(): boolean {
    return this.pausedOn.has(null);
  }

  private isPausedOn(route: Route): boolean {
    return this.paused || this.pausedOn.has(route);
  }

  private get anyPaused(): boolean {
    return this.pausedOn.size > 0 || [...this.pools].some(({ waiters }) => waiters.held);
  }

  /** All pools, or those on some routes. */
  pause(only: ReadonlySet<Route> | null = null): void {
    for (const route of only ?? [null]) this.pausedOn.add(route);
    for (const pool of this.pools) if (only?.has(pool.way.route) !== false) pool.waiters.hold();
  }

  resume(only: ReadonlySet<Route> | null = null): void {
    for (const route of only ?? [...this.pausedOn]) this.pausedOn.delete(route);
    if (only === null) this.pausedPools.clear();
    for (const pool of [...this.pools]) if (only?.has(pool.way.route) !== false) this.resumePool(pool);
    this.logins.goOn();
  }

  /** Those who have waited meanwhile have all their time again. */
  resumePool(pool: Pool): void {
    pool.waiters.goOn(this.config.leaseTimeout);
    pool.serve();
    this.logins.goOn();
  }

  /** Upstreams to this broker, on all routes or one, end with their last lease. True if there were some. */
  leaveBroker(name: string, only: Route | null = null): boolean {
    const pools = [...this.pools].filter(({ way }) => only === null || way.route === only);
    return pools.filter(pool => pool.leaveBrokers(name)).length > 0;
  }

  /** A broker is up again: who waits need not wait for the next attempt. */
  retryNow(): void {
    for (const pool of this.pools) pool.retryNow();
  }

  forgetLimits(): void {
    for (const pool of this.pools) pool.forgetLimits();
    this.ways.forgetLimits();
  }

  dropTuned(): void {
    for (const account of this.accounts.values()) account.drop();
  }

  close(): void {
    this.logins.deny(SHUTDOWN);
    for (const pool of this.pools) pool.close();
  }

  /** At once. */
  destroy(): void {
    this.dropTuned();
    for (const pool of this.pools) for (const upstream of [...pool.upstreams]) upstream.destroy();
  }
}
