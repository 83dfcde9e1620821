/** Pausing: new leases wait, those under way end. */
import type { Client } from '../client/client.ts';
import { poolName } from '../pool/context.ts';
import type { Pool } from '../pool/pool.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { Route } from '../proxy/route.ts';
import type { Broker } from '../upstream/broker.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { brokersOf } from './rows.ts';
import { clientsOn, type Place, Refusal, type Scope, upstreamsIn } from './scope.ts';

/** Milliseconds between two looks at what is under way. */
const LOOK_MS = 20;
/** Looks after which clients are asked again to give back what they do not need. */
const ASK_EVERY = 5;
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

export function pauseIn(proxy: Proxy, scope: Place): void {
  if (scope === null) proxy.registry.pause();
  else if ('pool' in scope) pausePool(proxy, poolName(scope.pool));
  else {
    const { broker } = scope;
    // with no broker left, whoever needs one has to wait
    if (brokersOf(proxy).every(other => other.drained || other.name === broker.name)) proxy.registry.pause();
    else for (const pool of poolsWithout(proxy, broker.name)) pool.waiters.hold();
    drainBroker(proxy, broker, true);
  }
}

/** Those of this name, and those that will have it. */
export function pausePool(proxy: Proxy, name: string): void {
  proxy.registry.pausedPools.add(name);
  for (const pool of poolsNamed(proxy, name)) pool.waiters.hold();
}

/** False where none was paused. */
export function resumePool(proxy: Proxy, name: string): boolean {
  const { registry } = proxy;
  if (registry.paused) throw new Refusal('everything is paused: amqproxy resume');
  const was = registry.pausedPools.delete(name);
  for (const pool of poolsNamed(proxy, name)) registry.resumePool(pool);
  return was;
}

const poolsNamed = ({ registry }: Proxy, name: string): Pool[] =>
  [...registry.pools].filter(pool => poolName(pool) === name);

export function resumeIn(proxy: Proxy, scope: Place): void {
  if (scope !== null && 'pool' in scope) {
    resumePool(proxy, poolName(scope.pool));
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

/** Who it is, and why it holds on. */
export const named = (client: Client): string =>
  `${client.name} (${client.user}@${client.negotiated.vhost}, ${client.promotion.why || 'in the middle of something'})`;
