/** Which way each user takes to each vhost, with what the brokers there let the user open. */
import type { Account } from './account.ts';
import type { Route as AnyRoute, Routes, Way } from './context.ts';
import { ChannelQuota } from './quota.ts';

type Route = AnyRoute<Account>;

export class Ways {
  private readonly routes: Routes<Account>;
  /** By route, and there by user. */
  private readonly ways = new Map<Route, Map<string, Way<Account>>>();

  constructor(routes: Routes<Account>) {
    this.routes = routes;
  }

  /** The same for all vhosts to which the user takes the same route. */
  to(user: string, vhost: string): Way<Account> {
    const route = this.routes.to(user, vhost);
    let ways = this.ways.get(route);
    if (ways === undefined) this.ways.set(route, (ways = new Map()));
    let way = ways.get(user);
    if (way === undefined) ways.set(user, (way = { route, quota: new ChannelQuota(user) }));
    return way;
  }

  /** Nobody is on any way now: what was learned of the brokers' limits stays known, however long a user stays away. */
  unused(): void {
    for (const ways of this.ways.values())
      for (const [user, { quota }] of ways) if (!quota.learned) ways.delete(user);
  }

  /** The brokers' limits may have been changed. */
  forgetLimits(): void {
    for (const ways of this.ways.values()) for (const { quota } of ways.values()) quota.forget();
  }

  /** Nobody takes a route any more that is not in force. */
  prune(): void {
    const all = new Set(this.routes.all);
    for (const route of this.ways.keys()) if (!all.has(route)) this.ways.delete(route);
  }
}
