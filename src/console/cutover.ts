/** Pausing: new leases wait, those under way end; and what is done while nothing is under way. */
import { isDeepStrictEqual } from 'node:util';
import type { Client } from '../client/client.ts';
import { checkTogether } from '../config/check.ts';
import { type Config, optionOf } from '../config/options.ts';
import { sectionsOf } from '../config/sections.ts';
import { brokers } from '../config/types.ts';
import { connectBrokers } from '../connect-check.ts';
import type { Pool } from '../pool/pool.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { Route } from '../proxy/route.ts';
import type { Broker } from '../upstream/broker.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { brokersOf } from './rows.ts';
import {
  clientsOn,
  type Place,
  poolIn,
  Refusal,
  routeName,
  type Scope,
  scopeName,
  upstreamsIn,
} from './scope.ts';
import { BY_CONSOLE } from './settings.ts';

/** Milliseconds between two looks at what is under way. */
const LOOK_MS = 20;
/** Looks after which clients are asked again to give back what they do not need. */
const ASK_EVERY = 5;
/** Named of those who hold on. */
const NAMED = 5;

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

export function pauseIn(proxy: Proxy, scope: Place): void {
  if (scope === null) proxy.registry.pause();
  else if ('pool' in scope) scope.pool.waiters.hold();
  else {
    const { broker } = scope;
    // with no broker left, whoever needs one has to wait
    if (brokersOf(proxy).every(other => other.drained || other.name === broker.name)) proxy.registry.pause();
    else for (const pool of poolsWithout(proxy, broker.name)) pool.waiters.hold();
    drainBroker(proxy, broker, true);
  }
}

export function resumeIn(proxy: Proxy, scope: Place): void {
  if (scope !== null && 'pool' in scope) {
    if (proxy.registry.paused) throw new Refusal('everything is paused: amqproxy resume');
    proxy.registry.resumePool(scope.pool);
    return;
  }
  const allDrained = brokersOf(proxy).every(({ drained }) => drained);
  const back = brokersOf(proxy).filter(({ name }) => scope === null || name === scope.broker.name);
  const held = scope === null || allDrained ? [] : poolsWithout(proxy, scope.broker.name);
  for (const broker of back) broker.drained = false;
  for (const pool of held) proxy.registry.resumePool(pool);
  if (scope === null || (allDrained && proxy.registry.paused)) proxy.registry.resume();
}

/** Routes that have no other broker left than this one. */
const routesWithout = ({ routes }: Proxy, broker: string): Route[] =>
  routes.all.filter(({ dialer }) => {
    const all = [...dialer.brokers];
    return all.some(({ name }) => name === broker) && all.every(one => one.drained || one.name === broker);
  });

function poolsWithout(proxy: Proxy, broker: string): Pool[] {
  const routes = new Set<object>(routesWithout(proxy, broker));
  return [...proxy.registry.pools].filter(({ way }) => routes.has(way.route));
}

/** Has clients give back what they do not need: a lease that is never idle would keep an upstream that is to go. */
export function letGo(proxy: Proxy, scope: Scope): void {
  for (const client of clientsOn(proxy, scope)) client.channels.releaseIdle();
}

/** No new upstreams go there; those that are there end with their last lease. */
export function drainBroker(proxy: Proxy, broker: Broker<Upstream>, alsoTheLast = false): void {
  const last = routesWithout(proxy, broker.name);
  if (last.length > 0 && !alsoTheLast) {
    const of = last.some(({ name }) => name === 'main') ? '' : ` of [route ${last[0].name}]`;
    throw new Refusal(`${broker.name} is the last broker${of} that is left: pause, or switch to another`);
  }
  for (const one of brokersOf(proxy)) if (one.name === broker.name) one.drained = true;
  proxy.reconnect(broker.name);
}

function isQuiet(proxy: Proxy, scope: Scope): boolean {
  for (const { busy, holder } of upstreamsIn(proxy, scope)) if (busy > 0 || holder !== null) return false;
  return true;
}

/** Resolves when nothing is under way there: true; false when there still is after so many seconds, or nobody wants to know. */
export async function settled(
  proxy: Proxy,
  scope: Scope,
  seconds: number,
  signal: AbortSignal,
): Promise<boolean> {
  const until = performance.now() + seconds * 1000;
  for (let look = 0; ; look++) {
    if (isQuiet(proxy, scope)) return true;
    if (look % ASK_EVERY === 0) letGo(proxy, scope);
    if (performance.now() >= until || signal.aborted || proxy.stopping) return false;
    await pause(LOOK_MS);
  }
}

/** "3 clients hold on: c5 (app@/, consumes), …" */
export function holders(clients: readonly Client[]): string {
  const named = clients
    .slice(0, NAMED)
    .map(
      client =>
        `${client.name} (${client.user}@${client.negotiated.vhost}, ${client.promotion.why || 'in the middle of something'})`,
    );
  const more = clients.length > NAMED ? `, and ${clients.length - NAMED} more` : '';
  return `${clients.length === 1 ? '1 client holds' : `${clients.length} clients hold`} on: ${named.join(', ')}${more}`;
}

/** Those whom a change of brokers would cost something: what they use, or what they have declared and the other one lacks. */
function stakeholders(proxy: Proxy, scope: Scope): Client[] {
  const using = new Set(clientsOn(proxy, scope));
  return proxy.clientList.filter(client => {
    const { pool } = client.negotiated;
    return using.has(client) || (pool !== null && poolIn(scope, pool) && pool.topologies.has(client));
  });
}

/** Who goes where a route goes: those that have their brokers from [main] go with it. Null when that is everybody. */
function whoGoesWith({ routes, config }: Proxy, route: Route): Scope {
  const found = new Set([route]);
  if (route === routes.main)
    for (const { name, own } of sectionsOf(config, 'route'))
      if (own.upstream === undefined) found.add(routes.named(name)!);
  return found.size === routes.all.length ? null : { routes: found };
}

/** The settings in effect, with other brokers for a route. */
function withBrokers(config: Config, { name }: Route, upstream: Config['upstream']): Config {
  if (name === 'main') return { ...config, upstream };
  const sections = config.sections.map(section => {
    if (section.kind !== 'route' || section.name !== name) return section;
    const sources = { ...section.sources, upstream: BY_CONSOLE };
    return { ...section, own: { ...section.own, upstream }, sources };
  });
  return { ...config, sections };
}

export interface Cutover {
  url: string;
  /** The one that gets other brokers. */
  route: Route;
  /** Seconds those who are in the middle of something have to end it. */
  timeout: number;
  /** Those who do not are closed with these words; null leaves all as it was. */
  force: string | null;
  signal: AbortSignal;
}

/** Goes to other brokers while nothing is under way; `take` takes over the configuration. @throws Refusal */
export async function cutOver(
  proxy: Proxy,
  take: (config: Config) => void,
  { url, route, timeout, force, signal }: Cutover,
): Promise<string> {
  const { registry } = proxy;
  let upstream: Config['upstream'];
  try {
    upstream = brokers.parse(url);
  } catch (error) {
    throw new Refusal(
      `${url.includes('@') ? 'the URL' : url} ${(error as Error).message}: allowed is ${brokers.allowed}`,
    );
  }
  if (isDeepStrictEqual(upstream, route.config.upstream))
    throw new Refusal('that is where it is connected to');
  if (registry.paused) throw new Refusal('it is paused already: amqproxy resume, then switch');
  const problems: string[] = [];
  checkTogether(withBrokers(proxy.config, route, upstream), (name, what) =>
    problems.push(`${optionOf(name).key} ${what}`),
  );
  if (problems.length > 0) throw new Refusal(problems.join('\n'));
  const found = await connectBrokers({ ...route.config, upstream });
  if (!found.ok)
    throw new Refusal(`no broker can be reached: ${found.lines.join('; ')}; nothing has changed`);
  const began = performance.now();
  const scope = whoGoesWith(proxy, route);
  const only = scope !== null && 'routes' in scope ? scope.routes : null;
  registry.pause(only);
  try {
    const quiet = await settled(proxy, scope, timeout, signal);
    const left = stakeholders(proxy, scope);
    if (signal.aborted) throw new Refusal('nobody waits for the answer any more; nothing has changed');
    if (proxy.routes.named(route.name) !== route)
      throw new Refusal(`${routeName(route)} has gone meanwhile; nothing has changed`);
    if (force === null && (!quiet || left.length > 0))
      throw new Refusal(`${holders(left)}; nothing has changed (--force closes them)`);
    if (force !== null) for (const client of left) client.ending.kill(force);
    take(withBrokers(proxy.config, route, upstream));
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    const pools = [...registry.pools].filter(pool => poolIn(scope, pool));
    const waited = pools.reduce((n, pool) => n + pool.waiters.length, 0);
    const closed = force !== null && left.length > 0 ? `, ${left.length} closed` : '';
    return `${brokers.show(upstream)} is in use: ${scopeName(scope)} was paused for ${seconds} s, ${waited} waited${closed}. Write it into the settings: the next reload goes by them`;
  } finally {
    registry.resume(only);
  }
}
