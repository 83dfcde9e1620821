import type { CloseReason } from '../amqp/errors.ts';
import type { RawLogin } from '../amqp/sasl.ts';
import type { Config } from '../config/options.ts';
import type { Stats } from '../stats.ts';
import type { BrokerProfile } from '../upstream/profile.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { ChannelQuota } from './quota.ts';

/** How upstreams come to be; `Account` is who logs in. */
export interface Opener<Account> {
  /** Logs in, as far as the tune, in a place that was taken; named for a vhost, or with an application's `title`. */
  authenticate(account: Account, vhost: string, title: string): Promise<Upstream>;
  /** Opens the vhost over `tuned`, or over a new upstream. */
  open(account: Account, vhost: string, tuned: Upstream | null, title: string): Promise<Upstream>;
  /** Does what a client has done, in a place that was taken: rejects with what the broker says to it. */
  imitate(login: RawLogin, tuneOk: Buffer | null): Promise<void>;
  /** Hangs up on an upstream that waits for a login; false when there is none. */
  dropSpare(): boolean;
}

/** A way to brokers: that of [main], or a [route NAME]. */
export interface Route<Account> {
  /** "main" for that of [main]. */
  readonly name: string;
  /** The settings as they are for it. */
  readonly config: Config;
  /** What its brokers tell of themselves. */
  readonly profile: BrokerProfile;
  readonly opener: Opener<Account>;
  /** When one of several brokers was lost last, of the coarse clock. */
  readonly lostAt: number;
}

/** All routes. */
export interface Routes<Account> {
  readonly all: Iterable<Route<Account>>;
  /** That by which clients are greeted, before anything is known of them. */
  readonly greeting: Route<Account>;
  /** The one that a user takes to a vhost. */
  to(user: string, vhost: string): Route<Account>;
}

/** A route, as one user takes it. */
export interface Way<Account> {
  readonly route: Route<Account>;
  /** What the brokers there let the user open. */
  readonly quota: ChannelQuota;
}

/** What a pool needs from its surroundings. */
export interface PoolContext<Pool> {
  readonly config: Config;
  readonly stats: Stats;
  /** Takes a place for one more upstream of all pools; false when there is none (an idle one is asked to give way). */
  reserve(pool: Pool): boolean;
  /** There is a place for one more, or will be: an idle one is asked to give way if need be. */
  makesRoom(pool: Pool): boolean;
  /** There is no place for one more. */
  full(pool: Pool): boolean;
  /** The same for a login, in its turn; false when that has become `needless` meanwhile. Rejects with Denied. */
  place(pool: Pool, needless: () => boolean): Promise<boolean>;
  /** Has an idle upstream closed that the broker counts towards the limit that it has refused with; false when there is none. */
  roomFor(pool: Pool, why: CloseReason): Promise<boolean>;
  /**
   * Logs one more upstream in for this pool, in a place that was taken; `tuned` is one that has done so already. `title`: the
   * name that it bears for the client that wants it, '' for one of ours.
   */
  open(pool: Pool, tuned: Upstream | null, title: string): Promise<Upstream>;
  /** An upstream is used by nobody: another pool may have its place. */
  upstreamIdle(): void;
  /** Somebody waits in this pool, or nobody does. */
  waitingChanged(pool: Pool): void;
  report(level: 'debug' | 'info' | 'warn', pool: Pool, message: string, facts?: object): void;
}

/** By which the operator and the log know a pool; those of a user with several secrets share it. */
export const poolName = ({ user, vhost }: { user: string; vhost: string }): string => `${user}@${vhost}`;
