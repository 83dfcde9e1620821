/**
 * The pools of one user and secret, over all vhosts, and the proof that the broker takes this login. The broker judges a
 * login at start-ok, before a vhost is named; so does the proxy, by logging in upstream as far as the tune. That upstream
 * then opens the first vhost asked for.
 */
import type { Upstream } from '../upstream/upstream.ts';
import type { Pool } from './pool.ts';

/** Milliseconds an upstream that has only logged in waits for a vhost (RabbitMQ hangs up after 10 s). */
const TUNED_MS = 8000;

export class Logins {
  readonly key: string;
  readonly user: string;
  readonly secret: Buffer | null;
  readonly pools = new Map<string, Pool>();
  private proving: Promise<void> | null = null;
  private tuned: { upstream: Upstream; vhost: string; timer: NodeJS.Timeout } | null = null;
  private readonly sequences = new Map<string, number>();

  constructor(key: string, user: string, secret: Buffer | null) {
    this.key = key;
    this.user = user;
    this.secret = secret;
  }

  /** A live upstream, or one that has just logged in, proves that the broker takes the login. */
  get proven(): boolean {
    if (this.tuned !== null && this.tuned.upstream.state === 'tuned') return true;
    for (const pool of this.pools.values()) if (pool.live) return true;
    return false;
  }

  get empty(): boolean {
    return this.pools.size === 0 && this.proving === null && this.tuned === null;
  }

  /** The number of the next upstream to a vhost, for its name. */
  nextNumber(vhost: string): number {
    const number = (this.sequences.get(vhost) ?? 0) + 1;
    this.sequences.set(vhost, number);
    return number;
  }

  /**
   * Proves the login with an upstream that `authenticate` makes, named for `vhost`, the likely one. All who come
   * meanwhile share the attempt. Rejects with Refused or Unreachable.
   */
  prove(vhost: string, authenticate: () => Promise<Upstream>): Promise<void> {
    this.proving ??= authenticate()
      .then(upstream => {
        const timer = setTimeout(() => this.drop(), TUNED_MS);
        this.tuned = { upstream, vhost, timer };
      })
      .finally(() => {
        this.proving = null;
      });
    return this.proving;
  }

  /** The upstream that proved the login, if it may serve this vhost. */
  take(vhost: string): Upstream | null {
    const { tuned } = this;
    if (tuned === null) return null;
    if (tuned.vhost !== vhost) {
      this.drop();
      return null;
    }
    clearTimeout(tuned.timer);
    this.tuned = null;
    return tuned.upstream.state === 'tuned' ? tuned.upstream : null;
  }

  /** Hangs up on an upstream that nobody has a use for. */
  drop(): void {
    const { tuned } = this;
    this.tuned = null;
    if (tuned === null) return;
    clearTimeout(tuned.timer);
    tuned.upstream.destroy();
  }
}
