/**
 * One user and secret, over all vhosts: its pools, and the proof that the broker takes this login. The broker judges a login
 * at start-ok, before a vhost is named; so does the proxy, by logging in upstream as far as the tune. That upstream then
 * opens the first vhost asked for.
 *
 * The secret is kept in memory as long as there are pools: each further upstream needs it to log in.
 */
import { share } from '../share.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { expiryOf } from './secrets.ts';

/** Milliseconds an upstream that has only logged in waits for a vhost (RabbitMQ hangs up after 10 s). */
const TUNED_MS = 8000;

/** What an account sees of its pools. */
interface AccountPool {
  readonly live: boolean;
  readonly way: { readonly route: object; readonly quota: object };
  readonly upstreams: readonly Upstream[];
}

export class Account<P extends AccountPool = AccountPool> {
  readonly key: string;
  readonly user: string;
  readonly secret: Buffer | null;
  readonly pools = new Map<string, P>();
  /** By route: each may lead to brokers that know other users. */
  private readonly proving = new Map<object, Promise<void>>();
  private tuned: { upstream: Upstream; route: object; vhost: string; timer: NodeJS.Timeout } | null = null;
  /** When the secret expires, in milliseconds since 1970, where it says so itself. */
  private readonly expires: number;
  /** Logins that came with this secret. */
  uses = 0;
  private readonly sequences = new Map<string, number>();

  constructor(key: string, user: string, secret: Buffer | null) {
    this.key = key;
    this.user = user;
    this.secret = secret && Buffer.from(secret); // what came may be borrowed
    this.expires = secret === null ? Number.POSITIVE_INFINITY : expiryOf(secret);
  }

  /** A live upstream, or one that has just logged in, proves that the brokers of a route take the login. */
  provenAt(route: object): boolean {
    // only the broker may say how exact it is
    if (this.expires < Number.POSITIVE_INFINITY && Date.now() >= this.expires) return false;
    if (this.tuned?.route === route && this.tuned.upstream.waitsAt('tuned')) return true;
    for (const pool of this.pools.values()) if (pool.way.route === route && pool.live) return true;
    return false;
  }

  get empty(): boolean {
    return this.pools.size === 0 && this.proving.size === 0 && this.tuned === null;
  }

  /** The number of the next upstream to a vhost, for its name. */
  nextNumber(vhost: string): number {
    const number = (this.sequences.get(vhost) ?? 0) + 1;
    this.sequences.set(vhost, number);
    return share.number(number);
  }

  /**
   * Proves the login with an upstream that `authenticate` makes, named for `vhost`, the likely one. All who come
   * meanwhile share the attempt. It gives null when something else has proven the login meanwhile. Rejects with Refused,
   * Unreachable or Denied.
   */
  prove(route: object, vhost: string, authenticate: () => Promise<Upstream | null>): Promise<void> {
    let proving = this.proving.get(route);
    if (proving === undefined) {
      proving = authenticate()
        .then(upstream => {
          if (upstream === null) return;
          this.drop();
          const timer = setTimeout(() => this.drop(), TUNED_MS);
          this.tuned = { upstream, route, vhost, timer };
        })
        .finally(() => {
          this.proving.delete(route);
        });
      this.proving.set(route, proving);
    }
    return proving;
  }

  /** The upstream that proved the login, if it may serve this vhost. */
  take(route: object, vhost: string): Upstream | null {
    const { tuned } = this;
    if (tuned === null) return null;
    if (tuned.vhost !== vhost || tuned.route !== route) {
      this.drop();
      return null;
    }
    clearTimeout(tuned.timer);
    this.tuned = null;
    return tuned.upstream.waitsAt('tuned') ? tuned.upstream : null;
  }

  /** Hangs up on an upstream that nobody has a use for (`only` if it went this way); true when there was one. */
  drop(only: object | null = null): boolean {
    const { tuned } = this;
    if (tuned === null || (only !== null && tuned.route !== only)) return false;
    this.tuned = null;
    clearTimeout(tuned.timer);
    tuned.upstream.destroy();
    return true;
  }

  /**
   * Whether one of its channels will be free in a moment, without a client that has one giving it up: a parked one is
   * closed for that, unless one is on its way to be parked or closed already.
   */
  freesChannel(quota: { readonly settling: number }): boolean {
    const upstreams = [...this.pools.values()].flatMap(pool =>
      pool.way.quota === quota ? pool.upstreams : [],
    );
    return (
      quota.settling > 0 ||
      upstreams.some(({ channels }) => channels.ending > 0) ||
      upstreams.some(upstream => upstream.channels.closeParked())
    );
  }
}
