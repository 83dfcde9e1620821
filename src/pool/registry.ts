/** All accounts and pools, and the limits that hold for all of them together. */
import { type CloseReason, reason } from '../amqp/errors.ts';
import type { Credentials, RawLogin } from '../amqp/sasl.ts';
import type { Config } from '../config/options.ts';
import type { Stats } from '../stats.ts';
import { ownTitle } from '../upstream/title.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { Account } from './account.ts';
import type { PoolContext } from './context.ts';
import { Pool } from './pool.ts';
import { ChannelQuota, countsUser, SETTLE_MS } from './quota.ts';
import { loginKey } from './secrets.ts';
import { idlest } from './upkeep.ts';
import { type Denial, Waiters } from './waiters.ts';

/** What a client asked for may not be had. */
export class Denied extends Error {
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(denial.why.text);
    this.denial = denial;
  }
}

/** How upstreams come to be. */
export interface Opener {
  /** Logs in, as far as the tune, in a place that was taken; named for a vhost, or with an application's `title`. */
  authenticate(account: Account, vhost: string, title: string): Promise<Upstream>;
  /** Opens the vhost over `tuned`, or over a new upstream. */
  open(account: Account, vhost: string, tuned: Upstream | null, title: string): Promise<Upstream>;
  /** Does what a client has done, in a place that was taken: rejects with what the broker says to it. */
  imitate(login: RawLogin, tuneOk: Buffer | null): Promise<void>;
  /** Hangs up on an upstream that waits for a login; false when there is none. */
  dropSpare(): boolean;
}

interface RegistryContext {
  readonly config: Config;
  readonly stats: Stats;
  report: PoolContext<Pool>['report'];
}

export class Registry implements PoolContext<Pool> {
  private readonly context: RegistryContext;
  private readonly opener: Opener;
  /** By `loginKey`. */
  private readonly accounts = new Map<string, Account<Pool>>();
  /** By user: the one whose secret came last. */
  private readonly newest = new Map<string, Account<Pool>>();
  private readonly quotas = new Map<string, ChannelQuota>();
  readonly pools = new Set<Pool>();
  private readonly waitingPools = new Set<Pool>();
  /** Logins that wait for a place for their upstream. */
  private readonly logins = new Waiters(() => {});
  /** The vhost each user asked for last: the likely one of its next login. */
  private readonly lastVhost = new Map<string, string>();
  /** Connections to brokers, from before the dial to their end. */
  private places = 0;
  private givingWay = false;
  /** By the operator's wish nothing is lent, and nobody logged in upstream, for now. */
  private isPaused = false;
  private serving = false;

  constructor(context: RegistryContext, opener: Opener) {
    this.context = context;
    this.opener = opener;
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
    const key = loginKey(user, secret);
    let account = this.accounts.get(key);
    if (account === undefined) {
      let quota = this.quotas.get(user);
      if (quota === undefined) this.quotas.set(user, (quota = new ChannelQuota(user)));
      account = new Account(key, user, secret, quota);
      this.accounts.set(key, account);
    }
    account.uses++;
    this.newest.set(user, account);
    return account;
  }

  /** Null when the broker is known to take this login; otherwise resolves when it has, or rejects. `title`: see Pool.admit. */
  prove(account: Account<Pool>, title = ''): Promise<void> | null {
    if (account.proven) return null;
    const vhost = this.lastVhost.get(account.user) ?? '/';
    return account.prove(vhost, async () => {
      const placed = await this.place(account.pools.get(vhost) ?? null, () => account.proven);
      return placed ? this.opener.authenticate(account, vhost, ownTitle(title, account)) : null;
    });
  }

  /** What the broker says to a login, and to a tune-ok, that the proxy cannot hand on; rejects with it, if it says anything. */
  async judge(login: RawLogin, tuneOk: Buffer | null): Promise<void> {
    if (await this.place(null, () => false)) await this.opener.imitate(login, tuneOk);
  }

  pool(proven: Account<Pool>, vhost: string): Pool {
    // a client that took its time may have been forgotten
    const account = this.accounts.get(proven.key) ?? proven;
    this.accounts.set(account.key, account);
    let pool = account.pools.get(vhost);
    if (pool === undefined) {
      pool = new Pool(this, account, vhost);
      if (this.isPaused) pool.waiters.hold();
      account.pools.set(vhost, pool);
      this.pools.add(pool);
      this.stats.pools++;
    }
    return pool;
  }

  // ---- what pools ask for

  async open(pool: Pool, tuned: Upstream | null, title: string): Promise<Upstream> {
    const { account, vhost } = pool;
    const upstream = await this.opener.open(account, vhost, tuned, title);
    this.lastVhost.set(account.user, vhost);
    const { name: id, address, namedFor } = upstream;
    this.report('info', pool, 'Upstream opened', { id, upstream: address, name: namedFor || undefined });
    return upstream;
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

  get full(): boolean {
    const { maxUpstreamsTotal } = this.config;
    return maxUpstreamsTotal > 0 && this.places >= maxUpstreamsTotal;
  }

  reserve(): boolean {
    if (this.isPaused) return false;
    if (!this.full) {
      this.places++;
      return true;
    }
    this.askToGiveWay();
    return false;
  }

  /** The upstream that was dialed in a place has ended, or could not be had. */
  release(): void {
    this.places--;
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
  retake(): void {
    this.places++;
  }

  place(pool: Pool | null, needless: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const take = (): { placed: boolean } | null => {
        if (needless()) return { placed: false };
        if (pool?.waiters.held) return null;
        return (pool === null || pool.mayGrow()) && this.reserve() ? { placed: true } : null;
      };
      this.logins.wait('login', this.config.leaseTimeout, take, outcome =>
        outcome.ok ? resolve(outcome.value.placed) : reject(new Denied(outcome)),
      );
      this.logins.serve();
    });
  }

  /** There is room: logins and pools get it in their order. */
  private serve(): void {
    this.logins.serve();
    const pools = [...this.waitingPools].sort((a, b) => a.waitsSince - b.waitsSince);
    for (const pool of pools) pool.serve();
  }

  /** The upstream that has been idle for the longest time, of all pools, is closed for one that is wanted. */
  private askToGiveWay(): void {
    if (this.givingWay) return; // one is on its way
    this.givingWay = true;
    if (this.opener.dropSpare()) return;
    for (const account of this.accounts.values()) if (account.drop()) return;
    if (this.closeIdlest(() => true) === null) this.givingWay = false;
  }

  /** Closes the upstream that has been idle for the longest time in these pools; null when there is none. */
  private closeIdlest(among: (pool: Pool) => boolean): Upstream | null {
    let found: { pool: Pool; upstream: Upstream } | null = null;
    for (const pool of this.pools) {
      const upstream = among(pool) ? idlest(pool.upstreams) : null;
      if (upstream !== null && (found === null || upstream.idleSince < found.upstream.idleSince))
        found = { pool, upstream };
    }
    found?.pool.giveWay(found.upstream);
    return found?.upstream ?? null;
  }

  roomFor({ user, vhost }: Pool, why: CloseReason): Promise<boolean> {
    const ofUser = countsUser(why);
    const upstream = this.closeIdlest(pool => (ofUser ? pool.user === user : pool.vhost === vhost));
    if (upstream === null) return Promise.resolve(false);
    return new Promise(resolve => upstream.whenClosed(() => setTimeout(resolve, SETTLE_MS, true)));
  }

  // ---- maintenance

  /** `now` as of the coarse clock. */
  maintain(now: number): void {
    const text = `no upstream could be had within ${this.config.leaseTimeout} s (lease_timeout): as many are open as max_upstreams or max_upstreams_total allow`;
    if (!this.anyPaused)
      this.logins.expire(now, { cause: 'lease_timeout', why: reason('CONNECTION_FORCED', text) });
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
    // what was learned of the broker's limits stays known, however long a user stays away
    if (this.accounts.size === 0)
      for (const [user, quota] of this.quotas) if (!quota.learned) this.quotas.delete(user);
  }

  /** New leases go to the brokers that are named now; upstreams to the earlier ones end with their last lease. */
  leaveBrokers(): void {
    this.dropTuned();
    for (const pool of this.pools) pool.leaveBrokers();
  }

  // ---- by the operator's wish

  /** Whether all pools are paused, those to come too. */
  get paused(): boolean {
    return this.isPaused;
  }

  private get anyPaused(): boolean {
    if (this.isPaused) return true;
    for (const pool of this.pools) if (pool.waiters.held) return true;
    return false;
  }

  pause(): void {
    this.isPaused = true;
    for (const pool of this.pools) pool.waiters.hold();
  }

  resume(): void {
    this.isPaused = false;
    for (const pool of [...this.pools]) this.resumePool(pool);
    this.loginsGoOn();
  }

  /** Those who have waited meanwhile have all their time again. */
  resumePool(pool: Pool): void {
    pool.waiters.goOn(this.config.leaseTimeout);
    pool.serve();
    this.loginsGoOn();
  }

  private loginsGoOn(): void {
    this.logins.goOn(this.config.leaseTimeout);
    this.logins.serve();
  }

  /** A name does not stand for this address any more: its upstreams end with their last lease. True if there were some. */
  leaveBroker(name: string): boolean {
    let any = false;
    for (const pool of this.pools) if (pool.leaveBrokers(name)) any = true;
    return any;
  }

  /** A broker is up again: who waits need not wait for the next attempt. */
  retryNow(): void {
    for (const pool of this.pools) pool.retryNow();
  }

  /** How many upstreams each broker has blocked. */
  blockedAt(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const pool of this.pools)
      for (const { address, blocked } of pool.upstreams)
        if (blocked !== null) counts.set(address, (counts.get(address) ?? 0) + 1);
    return counts;
  }

  forgetLimits(): void {
    for (const pool of this.pools) pool.forgetLimits();
    for (const quota of this.quotas.values()) quota.forget();
  }

  dropTuned(): void {
    for (const account of this.accounts.values()) account.drop();
  }

  /** Closes all upstreams politely. */
  close(): void {
    this.logins.deny({ cause: 'shutdown', why: reason('CONNECTION_FORCED', 'amqproxy is shutting down') });
    for (const pool of this.pools) pool.close();
  }

  /** At once. */
  destroy(): void {
    this.dropTuned();
    for (const pool of this.pools) for (const upstream of [...pool.upstreams]) upstream.destroy();
  }
}
