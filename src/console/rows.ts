/** The rows of what can be shown: plain values with names, no secret among them. */
import type { Client } from '../client/client.ts';
import { clock } from '../clock.ts';
import { type Config, type OptionName, optionNames, optionOf, show } from '../config/options.ts';
import { heading, isLiveIn } from '../config/sections.ts';
import { events } from '../events.ts';
import { factsOf } from '../log.ts';
import { poolName } from '../pool/context.ts';
import type { Pool } from '../pool/pool.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { PoolTotals } from '../stats.ts';
import type { Broker } from '../upstream/broker.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { History, PoolCounts, Row } from './history.ts';
import type { ViewName } from './table.ts';

/** What each process shows of itself; the others are shown of all together. */
export type LiveView = Exclude<ViewName, 'stats' | 'config'>;

/** What the rows are of. */
interface Sources {
  readonly proxy: Proxy;
  readonly history: History;
}

const seconds = (ms: number): number => Math.max(0, Math.round(ms) / 1000);
/** A moment of the coarse clock on the wall's. */
const wallTime = (at: number): string => new Date(Date.now() - (clock.now - at)).toISOString();

function clientState(client: Client): string {
  const { state, transport, channels } = client;
  if (state !== 'running') return state === 'handshake' ? 'logging in' : state;
  if (channels.waitsSince !== null) return 'waiting';
  if (client.alarms.any) return 'blocked';
  if (client.out.pending > 0) return 'reading slowly';
  if (!transport.reading) return 'held back';
  if (client.privateUpstream !== null) return 'private';
  for (const _ of channels.leases()) return 'leased';
  return 'idle';
}

/** How the broker itself calls each upstream. */
export function waysOf({ registry }: Proxy): Map<string, string> {
  const ways = new Map<string, string>();
  for (const pool of registry.pools)
    for (const { name, transport } of pool.upstreams) ways.set(name, transport.way);
  return ways;
}

export function clientRow(client: Client, ways: ReadonlyMap<string, string>): Row {
  const { negotiated, transport, channels, out, publisher } = client;
  const now = performance.now();
  const since = channels.waitsSince;
  const upstreams = new Set<string>();
  if (client.privateUpstream !== null) upstreams.add(client.privateUpstream.name);
  for (const { upstream } of channels.leases()) upstreams.add(upstream.name);
  return {
    id: client.name,
    pool: `${negotiated.user}@${negotiated.vhost}`,
    route: negotiated.pool?.way.route.name ?? '',
    user: negotiated.user,
    vhost: negotiated.vhost,
    address: transport.peer,
    state: clientState(client),
    waiting: since === null ? 0 : seconds(now - since),
    channels: channels.count,
    upstream: [...upstreams].join(','),
    at_broker: [...upstreams].map(name => ways.get(name) ?? '').join(', '),
    private: client.promotion.why,
    apart: channels.tenancy.home?.name ?? '',
    published: publisher.published,
    delivered: client.delivered,
    messages: publisher.published + client.delivered,
    bytes_in: transport.bytesIn,
    bytes_out: out.total,
    buffered: out.pending,
    quiet: seconds(clock.now - transport.heartbeat.lastRead),
    age: seconds(clock.now - client.stay.acceptedAt),
    since: wallTime(client.stay.acceptedAt),
    name: negotiated.title,
    product: negotiated.product,
    tls: transport.isTls,
    certificate: transport.certificate,
    debug: client.trail.watched,
  };
}

/** What each pool has done until now, by clients that have left and those that are there. */
export function poolCounts({ stats, clientList }: Proxy): Map<PoolTotals, PoolCounts> {
  const counts = new Map<PoolTotals, PoolCounts>();
  for (const totals of stats.totals) {
    const { logins, leases, published, delivered } = totals;
    counts.set(totals, { logins, leases, published, delivered });
  }
  for (const client of clientList) {
    const { totals } = client.stay;
    const of = totals === null ? undefined : counts.get(totals);
    if (of === undefined) continue;
    of.published += client.publisher.published;
    of.delivered += client.delivered;
  }
  return counts;
}

function poolRow(pool: Pool, rates: (totals: PoolTotals) => PoolCounts): Row {
  const { upstreams } = pool;
  let leased = 0;
  let parked = 0;
  let busy = 0;
  let own = 0;
  for (const upstream of upstreams) {
    leased += upstream.channels.census.leased;
    parked += upstream.channels.parked;
    if (upstream.busy > 0) busy++;
    if (upstream.holder !== null) own++;
  }
  const totals = pool.stats.totals.known(pool.user, pool.vhost);
  const rate = rates(totals);
  const { waitsSince } = pool;
  return {
    id: poolName(pool),
    user: pool.user,
    vhost: pool.vhost,
    route: pool.way.route.name,
    state: pool.waiters.held
      ? 'paused'
      : pool.alarm
        ? 'blocked'
        : upstreams.length === 0
          ? 'no upstream'
          : 'ok',
    clients: pool.clients,
    waiting: pool.waiters.length,
    longest_wait: waitsSince === Number.POSITIVE_INFINITY ? 0 : seconds(performance.now() - waitsSince),
    upstreams: upstreams.length,
    shared: upstreams.length - own,
    private: own,
    busy,
    leased,
    parked,
    logins_rate: rate.logins,
    leases_rate: rate.leases,
    published_rate: rate.published,
    delivered_rate: rate.delivered,
    refused: totals.refused,
  };
}

function upstreamState(upstream: Upstream): string {
  if (upstream.state !== 'live') return upstream.state;
  if (upstream.blocked !== null) return 'blocked';
  if (upstream.silence.suspect) return 'silent';
  if (upstream.retired) return 'draining';
  if (upstream.holder !== null) return 'private';
  if (upstream.channels.load.busy) return 'busy';
  return upstream.busy > 0 ? 'shared' : 'idle';
}

function upstreamRow(pool: Pool, upstream: Upstream, why: (client: string) => string): Row {
  const { channels, transport, out, holder } = upstream;
  const census = channels.census;
  const clients = new Set<string>();
  if (holder !== null) clients.add(holder.peer.name);
  else for (const { lease } of channels) if (lease !== null) clients.add(lease.peer.name);
  const names = [...clients];
  return {
    id: upstream.name,
    pool: poolName(pool),
    route: pool.way.route.name,
    broker: upstream.address,
    port: transport.localPort ?? 0,
    state: upstreamState(upstream),
    holder: names.length > 3 ? `${names.slice(0, 3).join(',')}+${names.length - 3}` : names.join(','),
    why: holder === null ? (upstream.blocked ?? '') : why(holder.peer.name),
    apart: channels.load.tenants,
    leased: census.leased,
    settling: census.settling,
    parked: census.parked,
    published: channels.published,
    delivered: upstream.delivery.delivered,
    bytes_in: transport.bytesIn,
    bytes_out: out.total,
    buffered: out.pending,
    due: seconds(upstream.answers.silence(transport.heartbeat.lastRead)),
    barrier: channels.barrier,
    age: seconds(clock.now - upstream.openedAt),
    name: transport.way,
    title: upstream.title,
  };
}

function brokerRow(route: string, broker: Broker<Upstream>, upstreams: Upstream[]): Row {
  const mine = upstreams.filter(({ address }) => address === broker.name);
  const barriers = mine.map(({ channels }) => channels.barrier).filter(barrier => barrier > 0);
  const { downSince, since, dialedAt } = broker;
  const ago = (at: number | null): number => (at === null ? 0 : seconds(performance.now() - at));
  const state = broker.down ? 'down' : broker.unknown ? 'unknown' : 'up';
  return {
    id: broker.name,
    route,
    state: broker.drained ? 'drained' : state,
    for: ago(since),
    upstreams: mine.length,
    leased: mine.reduce((n, { channels }) => n + channels.census.leased, 0),
    blocked: mine.filter(({ blocked }) => blocked !== null).length,
    barrier: barriers.length === 0 ? 0 : Math.max(...barriers),
    dials: broker.dials.ok + broker.dials.failed,
    dialed: ago(dialedAt),
    failures: broker.dials.failed,
    why: downSince?.why ?? '',
  };
}

/** All brokers, those of each route together. */
export const brokersOf = ({ routes }: Proxy): Broker<Upstream>[] =>
  routes.all.flatMap(({ dialer }) => [...dialer.brokers]);

/** `sources`: where each setting comes from. */
export function* settingRows(config: Config, sources: Record<OptionName, string>): Generator<Row> {
  for (const name of optionNames) {
    const { section, key, live } = optionOf(name);
    yield {
      key: `${section}.${key}`,
      value: show(name, config[name]),
      source: sources[name],
      live: live ? 'live' : 'restart',
    };
  }
  for (const section of config.sections)
    for (const name of Object.keys(section.own) as OptionName[])
      yield {
        key: `${heading(section)}.${optionOf(name).key}`,
        value: show(name, section.own[name]),
        source: section.sources[name] ?? section.place,
        live: isLiveIn(section, name) ? 'live' : 'restart',
      };
}

/** Gives the rows one by one: there may be ten thousand of them, and the proxy works on between. */
export function* rowsOf(view: LiveView, { proxy, history }: Sources): Generator<Row> {
  const { registry } = proxy;
  switch (view) {
    case 'clients': {
      const ways = waysOf(proxy);
      for (const client of [...proxy.clientList])
        if (client.state !== 'closed') yield clientRow(client, ways);
      return;
    }
    case 'pools': {
      const rates = history.poolRates();
      for (const pool of [...registry.pools]) yield poolRow(pool, rates);
      return;
    }
    case 'upstreams': {
      const whys = new Map<string, string>();
      for (const client of proxy.clientList)
        if (client.privateUpstream !== null) whys.set(client.name, client.promotion.why);
      for (const pool of [...registry.pools])
        for (const upstream of [...pool.upstreams])
          yield upstreamRow(pool, upstream, client => whys.get(client) ?? '');
      return;
    }
    case 'brokers': {
      for (const route of proxy.routes.all) {
        const pools = [...registry.pools].filter(({ way }) => way.route === route);
        const upstreams = pools.flatMap(pool => pool.upstreams);
        for (const broker of route.dialer.brokers) yield brokerRow(route.name, broker, upstreams);
      }
      return;
    }
    case 'events':
      yield* eventRows();
  }
}

export function* eventRows(): Generator<Row> {
  for (const record of [...events]) {
    const { time, level, msg, journal } = record;
    const facts = { ...factsOf(record), ...(journal as object | undefined) };
    yield { time: String(time), level: String(level), message: String(msg), facts };
  }
}
