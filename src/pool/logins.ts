/** Logins that wait for a place for their upstream, served as soon as there is one. */
import type { Account } from './account.ts';
import type { Route as AnyRoute } from './context.ts';
import { Denied, leaseTimeout } from './denial.ts';
import type { Pool } from './pool.ts';
import { Waiters } from './waiters.ts';

type Route = AnyRoute<Account>;

/** Who has the places. */
interface Owner {
  /** Seconds a login may wait. */
  readonly seconds: number;
  /** Takes a place for one more upstream on a route; false when there is none. */
  reserveOn(route: Route): boolean;
}

export class Logins {
  private readonly owner: Owner;
  private readonly waiters = new Waiters(() => {});

  constructor(owner: Owner) {
    this.owner = owner;
  }

  get length(): number {
    return this.waiters.length;
  }

  /** Takes a place in its turn; false when that has become `needless` meanwhile. Rejects with Denied. */
  place(route: Route, pool: Pool | null, needless: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const take = (): { placed: boolean } | null => {
        if (needless()) return { placed: false };
        if (pool?.waiters.held) return null;
        return (pool === null || pool.mayGrow()) && this.owner.reserveOn(route) ? { placed: true } : null;
      };
      // a route or a pool that is full or paused holds up its own logins only
      const kind = pool === null ? route.name : `${route.name} ${pool.account.key} ${pool.vhost}`;
      this.waiters.wait(kind, this.owner.seconds, take, outcome =>
        outcome.ok ? resolve(outcome.value.placed) : reject(new Denied(outcome)),
      );
      this.waiters.serve();
    });
  }

  serve(): void {
    this.waiters.serve();
  }

  /** Those who have waited during a pause have all their time again. */
  goOn(): void {
    this.waiters.goOn(this.owner.seconds);
    this.waiters.serve();
  }

  /** Turns away all whose time is up, by the coarse clock. */
  expire(now: number): void {
    const text = `no upstream could be had within ${this.owner.seconds} s (lease_timeout): as many are open as max_upstreams or max_upstreams_total allow`;
    this.waiters.expire(now, leaseTimeout(text));
  }

  deny(denial: Parameters<Waiters['deny']>[0]): void {
    this.waiters.deny(denial);
  }
}
