/** What an operator means by the words of a command: clients, pools, brokers. */
import type { Client } from '../client/client.ts';
import { poolName } from '../pool/context.ts';
import type { Pool } from '../pool/pool.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { Route } from '../proxy/route.ts';
import type { Broker as AnyBroker } from '../upstream/broker.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Row } from './history.ts';
import { brokersOf } from './rows.ts';

type Broker = AnyBroker<Upstream>;

/** A command that cannot be done as it stands: the answer says why. */
export class Refusal extends Error {}

/** What it names is not there. */
export class Absent extends Refusal {}

/** What POOL|BROKER stands for; null is everywhere. */
export type Place = { pool: Pool } | { broker: Broker } | null;
/** Where a command acts. */
export type Scope = Place | { routes: ReadonlySet<Route> };

export const routeName = ({ name }: Route): string => (name === 'main' ? '[main]' : `[route ${name}]`);

export function scopeName(scope: Scope): string {
  if (scope === null) return 'everything';
  if ('pool' in scope) return `pool ${poolName(scope.pool)}`;
  return 'routes' in scope ? [...scope.routes].map(routeName).join(', ') : `broker ${scope.broker.name}`;
}

/** Whether a pool is there, if only by upstreams of its. */
export function poolIn(scope: Scope, pool: Pool): boolean {
  if (scope !== null && 'pool' in scope) return scope.pool === pool;
  return scope === null || 'broker' in scope || (scope.routes as ReadonlySet<object>).has(pool.way.route);
}

export function brokerNamed(proxy: Proxy, name: string): Broker {
  const brokers = brokersOf(proxy);
  const found = brokers.find(broker => broker.name === name || broker.name.replace(/:\d+$/, '') === name);
  if (found !== undefined) return found;
  throw new Absent(`there is no broker ${name}: there are ${brokers.map(broker => broker.name).join(', ')}`);
}

export function routeNamed({ routes }: Proxy, name: string): Route {
  const found = routes.named(name);
  if (found !== undefined) return found;
  throw new Refusal(`there is no route ${name}: there are ${routes.all.map(route => route.name).join(', ')}`);
}

export function scopeNamed(proxy: Proxy, name: string | undefined): Place {
  if (name === undefined) return null;
  for (const pool of proxy.registry.pools) if (poolName(pool) === name) return { pool };
  if (name.includes('@')) throw new Absent(`there is no pool ${name} (USER@VHOST, see amqproxy show pools)`);
  return { broker: brokerNamed(proxy, name) };
}

/** All upstreams there, whatever carries them. */
export function* upstreamsIn(proxy: Proxy, scope: Scope): Generator<Upstream> {
  const address = scope !== null && 'broker' in scope ? scope.broker.name : null;
  for (const pool of proxy.registry.pools)
    if (poolIn(scope, pool))
      for (const upstream of pool.upstreams)
        if (address === null || address === upstream.address) yield upstream;
}

/** The clients that use something there. */
export function clientsOn(proxy: Proxy, scope: Scope): Client[] {
  const upstreams = new Set<object>(upstreamsIn(proxy, scope));
  return proxy.clientList.filter(client => {
    if (client.privateUpstream !== null && upstreams.has(client.privateUpstream)) return true;
    for (const { upstream } of client.channels.leases()) if (upstreams.has(upstream)) return true;
    return false;
  });
}

// ---- filters

type Test = (row: Row) => boolean;

/** Whether a text is as a pattern with * for anything says. Not by a regular expression: some take years to say no. */
function glob(pattern: string): (text: string) => boolean {
  const [first, ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text => text === pattern;
  return text => {
    if (!text.startsWith(first)) return false;
    let at = first.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return text.length - last.length >= at && text.endsWith(last);
  };
}

function testFor(filter: string): Test {
  const at = filter.indexOf('=');
  if (at > 0) {
    const column = filter.slice(0, at);
    const matches = glob(filter.slice(at + 1));
    return row => {
      if (!Object.hasOwn(row, column))
        throw new Refusal(`there is no column ${column}: there are ${Object.keys(row).join(', ')}`);
      return matches(String(row[column]));
    };
  }
  // an id is meant as a whole: c1 is not c12
  if (/^[cu]\d+$/.test(filter))
    return row =>
      row.id === filter ||
      String(row.upstream ?? '')
        .split(',')
        .includes(filter) ||
      String(row.holder ?? '')
        .split(/[,+]/)
        .includes(filter);
  const word = filter.toLowerCase();
  return row =>
    Object.values(row).some(value =>
      (typeof value === 'object' ? JSON.stringify(value) : String(value)).toLowerCase().includes(word),
    );
}

/** Whether a row is meant by all the filters. */
export function matcher(filters: readonly string[]): Test {
  const tests = filters.map(testFor);
  return row => tests.every(test => test(row));
}
