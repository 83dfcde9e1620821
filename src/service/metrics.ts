/**
 * Prometheus metrics. amqproxy_client_connections, amqproxy_upstream_connections and amqproxy_identity_info are
 * AMQProxy's, kept by name and labels; the others are named by Prometheus' rules (base units, `_total` for counters).
 * Values are read from the plain counters when somebody asks, so the hot path knows nothing of this.
 */
import { hostname } from 'node:os';
import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Config } from '../config/options.ts';
import type { BrokerStatus, Buffers, Fill } from '../proxy/proxy.ts';
import type { Samples, Stats } from '../stats.ts';
import { VERSION } from '../version.ts';
import type { Rows } from './label-rows.ts';
import { addLabelled } from './labelled.ts';

/** What the metrics need of the proxy. */
export interface Measured {
  readonly config: Config;
  readonly stats: Stats;
  readonly buffers: Buffers;
  brokers(): BrokerStatus[];
}

/** 0 for none. */
const LIMITS: [name: string, help: string, read: (config: Config) => number][] = [
  ['clients_limit', 'The most clients (max_clients), 0 for no limit', c => c.maxClients],
  ['upstreams_limit', 'The most upstreams (max_upstreams_total), 0 for no limit', c => c.maxUpstreamsTotal],
];

/** From 0.1 ms (a reused login) to the 10 s of lease_timeout. */
const BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** `aggregator`: how the values of several workers become one; the sum where it is not said. */
const GAUGES: [name: string, help: string, read: (stats: Stats) => number, aggregator?: Aggregator][] = [
  ['client_connections', 'Number of client connections', s => s.clients],
  ['client_connections_peak', 'Most client connections at a time since the start', s => s.clientsPeak],
  ['upstream_connections', 'Number of upstream connections', s => s.upstreams],
  [
    'upstream_connections_shared',
    'Upstream connections that carry channels of many clients',
    s => s.upstreamsShared,
  ],
  [
    'upstream_connections_private',
    'Upstream connections that carry channels of one client',
    s => s.upstreamsPrivate,
  ],
  ['upstreams_busy', 'Upstreams on which one waits behind the bytes of others', s => s.upstreamsBusy],
  ['clients_apart', 'Clients that have an upstream for what they publish', s => s.clientsApart],
  ['pools', 'Pools: sets of user, secret and vhost', s => s.pools, 'max'],
  ['channels_leased', 'Upstream channels in use', s => s.channelsLeased],
  ['channels_parked', 'Upstream channels that are open and wait for a lease', s => s.channelsParked],
];

/** By the setting that bounds them, as label `buffer`. */
const BUFFERS: [name: string, help: string, read: (fill: Fill) => number, aggregator: Aggregator][] = [
  ['buffered_bytes', 'Bytes that wait in all buffers of a kind', fill => fill.total, 'sum'],
  ['buffered_largest_bytes', 'Bytes that wait in the fullest buffer of a kind', fill => fill.largest, 'max'],
  ['buffer_limit_bytes', 'What one buffer of a kind may hold', fill => fill.limit, 'first'],
];

const COUNTERS: [name: string, help: string, read: (stats: Stats) => number][] = [
  ['clients_accepted', 'Connections accepted from clients', s => s.clientsAccepted],
  ['logins', 'Logins answered with open-ok', s => s.logins],
  ['logins_reused', 'Logins answered without a new upstream connection', s => s.loginsReused],
  ['logins_refused', 'Logins refused by the broker or the proxy', s => s.loginsRefused],
  ['leases', 'Upstream channels lent', s => s.leases],
  ['leases_reused', 'Leases that found a parked channel', s => s.leasesReused],
  ['channels_opened', 'Channels opened upstream', s => s.channelsOpened],
  ['barriers', 'Barriers: round trips that prove the broker has handled all before', s => s.barriers],
  ['promotions', 'Clients moved to a private upstream', s => s.promotions],
  ['moves', 'Channels that went to another upstream because theirs was busy', s => s.moves],
  ['upstreams_opened', 'Connections opened upstream', s => s.upstreamsOpened],
  ['upstreams_lost', 'Upstream connections that ended unasked', s => s.upstreamsLost],
  ['upstream_errors', 'Failed attempts to connect upstream', s => s.upstreamErrors],
  ['messages_published', 'Messages from clients', s => s.messagesIn],
  ['messages_delivered', 'Messages to clients', s => s.messagesOut],
  ['messages_returned', 'Messages that the broker returned', s => s.messagesReturned],
  ['client_received_bytes', 'Bytes read from clients', s => s.clientTraffic.bytesIn],
  ['client_sent_bytes', 'Bytes written to clients', s => s.clientTraffic.bytesOut],
  ['upstream_received_bytes', 'Bytes read from upstreams', s => s.upstreamTraffic.bytesIn],
  ['upstream_sent_bytes', 'Bytes written to upstreams', s => s.upstreamTraffic.bytesOut],
];

const HISTOGRAMS: [name: string, help: string, of: (stats: Stats) => Samples][] = [
  ['login_duration_seconds', 'From the protocol header of a client to its open-ok', s => s.loginSeconds],
  [
    'lease_wait_seconds',
    'Time a client waits for an upstream channel, 0 where one is free',
    s => s.leaseWaitSeconds,
  ],
  ['barrier_duration_seconds', 'Round trip of a barrier', s => s.barrierSeconds],
];

/** The label `route` is there for a [route NAME] only: what is by [main] has the labels it always had. */
const labelsOf = ({ name, route }: BrokerStatus): Record<string, string> =>
  route === 'main' ? { upstream: name } : { upstream: name, route };

/** One line for each broker, as label `upstream`. */
function brokerMetrics(proxy: Measured, registers: Registry[]): void {
  new Gauge({
    name: 'amqproxy_broker_up',
    help: '1 while a broker is up or not known to be down, 0 while it is down',
    aggregator: 'min',
    labelNames: ['upstream', 'route'],
    registers,
    collect() {
      this.reset();
      for (const broker of proxy.brokers()) this.set(labelsOf(broker), broker.up ? 1 : 0);
    },
  });
  new Gauge({
    name: 'amqproxy_upstreams_blocked',
    help: 'Upstreams that a broker has blocked (connection.blocked)',
    labelNames: ['upstream', 'route'],
    registers,
    collect() {
      this.reset();
      for (const broker of proxy.brokers()) this.set(labelsOf(broker), broker.blocked);
    },
  });
  new Counter({
    name: 'amqproxy_broker_dials_total',
    help: 'Connections attempted to a broker, by whether it greeted',
    labelNames: ['upstream', 'route', 'result'],
    registers,
    collect() {
      this.reset();
      for (const broker of proxy.brokers())
        for (const [result, n] of Object.entries(broker.dials)) this.inc({ ...labelsOf(broker), result }, n);
    },
  });
}

/** The registry behind /metrics. Takes over the `observe` hooks of the proxy's samples. */
export function createMetrics(proxy: Measured, rows: Rows): Registry {
  const registry = new Registry();
  const registers = [registry];
  for (const [name, help, read, aggregator = 'sum'] of GAUGES)
    new Gauge({
      name: `amqproxy_${name}`,
      help,
      registers,
      aggregator,
      collect() {
        this.set(read(proxy.stats));
      },
    });
  for (const [name, help, read, aggregator] of BUFFERS)
    new Gauge({
      name: `amqproxy_${name}`,
      help,
      aggregator,
      labelNames: ['buffer'],
      registers,
      collect() {
        for (const [buffer, fill] of Object.entries(proxy.buffers)) this.set({ buffer }, read(fill));
      },
    });
  brokerMetrics(proxy, registers);
  for (const [name, help, read] of COUNTERS)
    new Counter({
      name: `amqproxy_${name}_total`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(proxy.stats));
      },
    });
  new Counter({
    name: 'amqproxy_clients_refused_total',
    help: 'Clients refused or closed by the proxy, by reason',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const [reason, n] of proxy.stats.refused) this.inc({ reason }, n);
    },
  });
  for (const [name, help, of] of HISTOGRAMS) {
    const histogram = new Histogram({ name: `amqproxy_${name}`, help, buckets: BUCKETS, registers });
    of(proxy.stats).observe = seconds => histogram.observe(seconds);
  }
  new Gauge({
    name: 'amqproxy_identity_info',
    help: 'Always 1, with what this is as labels',
    aggregator: 'first',
    labelNames: ['amqproxy_version', 'amqproxy_hostname'],
    registers,
  }).set({ amqproxy_version: VERSION, amqproxy_hostname: hostname() }, 1);
  for (const [name, help, read] of LIMITS)
    new Gauge({
      name: `amqproxy_${name}`,
      help,
      aggregator: 'first',
      registers,
      collect() {
        this.set(read(proxy.config));
      },
    });
  addLabelled(registers, rows);
  // process_* and nodejs_*: CPU, memory, open files, event loop lag
  collectDefaultMetrics({ register: registry });
  return registry;
}
