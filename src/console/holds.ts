/** What each process does of a switch: it holds still those who go with a route, until that has other brokers. */
import type { Client } from '../client/client.ts';
import { sectionsOf } from '../config/sections.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { Route } from '../proxy/route.ts';
import { named, settled } from './pauses.ts';
import { clientsOn, poolIn, routeNamed, type Scope, scopeName } from './scope.ts';

/** Who goes where a route goes: those that have their brokers from [main] go with it. Null when that is everybody. */
function whoGoesWith({ routes, config }: Proxy, route: Route): { routes: ReadonlySet<Route> } | null {
  const found = new Set([route]);
  if (route === routes.main)
    for (const { name, own } of sectionsOf(config, 'route'))
      if (own.upstream === undefined) found.add(routes.named(name)!);
  return found.size === routes.all.length ? null : { routes: found };
}

/** Those whom a change of brokers would cost something: what they use, or what they have declared and the other one lacks. */
function stakeholders(proxy: Proxy, scope: Scope): Client[] {
  const using = new Set(clientsOn(proxy, scope));
  return proxy.clientList.filter(client => {
    const { pool } = client.negotiated;
    return using.has(client) || (pool !== null && poolIn(scope, pool) && pool.topologies.has(client));
  });
}

interface Held {
  scope: string;
  /** Nothing is under way there. */
  quiet: boolean;
  /** Whom other brokers would cost something. */
  left: string[];
  /** A reload has taken the route away. */
  gone: boolean;
}

/** Null where it is paused already. */
export async function hold(
  proxy: Proxy,
  name: string,
  seconds: number,
  signal: AbortSignal,
): Promise<Held | null> {
  const route = routeNamed(proxy, name);
  if (proxy.registry.paused) return null;
  const scope = whoGoesWith(proxy, route);
  proxy.held.set(name, scope);
  proxy.registry.pause(scope?.routes);
  const quiet = await settled(proxy, scope, seconds, signal);
  return {
    scope: scopeName(scope),
    quiet,
    left: stakeholders(proxy, scope).map(named),
    gone: proxy.routes.named(name) !== route,
  };
}

/** Closes those who hold on; how many. */
export function evict(proxy: Proxy, name: string, why: string): number {
  const left = stakeholders(proxy, proxy.held.get(name) ?? null);
  for (const client of left) client.ending.kill(why);
  return left.length;
}

/** They go on; how many have waited. */
export function release(proxy: Proxy, name: string): number {
  const scope = proxy.held.get(name);
  if (scope === undefined) return 0;
  proxy.held.delete(name);
  const pools = [...proxy.registry.pools].filter(pool => poolIn(scope, pool));
  const waited = pools.reduce((n, pool) => n + pool.waiters.length, 0);
  proxy.registry.resume(scope?.routes);
  return waited;
}
