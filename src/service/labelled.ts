/**
 * Metrics with labels: by pool (user and vhost), for as many pools as metrics_pools allows, the rest together as `other`.
 * Counted when somebody asks.
 */
import { type Aggregator, Counter, Gauge, type Registry } from 'prom-client';
import { poolLabels, type Rows } from './label-rows.ts';

const POOL_GAUGES: [name: string, help: string, key: string, aggregator?: Aggregator][] = [
  ['pool_clients', 'Clients that are logged in', 'clients'],
  ['pool_waiting', 'Waits for an upstream channel or an upstream', 'waiting'],
  ['pool_longest_wait_seconds', 'How long the one that has waited longest waits', 'longest_wait', 'max'],
  ['pool_channels_leased', 'Upstream channels in use', 'leased'],
];
const POOL_COUNTERS: [name: string, help: string, key: string][] = [
  ['pool_logins', 'Logins answered with open-ok', 'logins'],
  ['pool_logins_reused', 'Logins answered without a new upstream connection', 'logins_reused'],
  ['pool_leases', 'Upstream channels lent', 'leases'],
  ['pool_messages_published', 'Messages from clients', 'published'],
  ['pool_messages_delivered', 'Messages to clients', 'delivered'],
  ['pool_refused', 'Clients refused or closed by the proxy', 'refused'],
];
export function addLabelled(registers: Registry[], rows: Rows): void {
  for (const [name, help, key, aggregator = 'sum'] of POOL_GAUGES)
    new Gauge({
      name: `amqproxy_${name}`,
      help,
      labelNames: ['user', 'vhost'],
      registers,
      aggregator,
      collect() {
        this.reset();
        for (const row of rows.pools()) this.set(poolLabels(row), Number(row[key]));
      },
    });
  new Gauge({
    name: 'amqproxy_pool_upstreams',
    help: 'Upstream connections, by kind: shared or private',
    labelNames: ['user', 'vhost', 'kind'],
    registers,
    collect() {
      this.reset();
      for (const row of rows.pools())
        for (const kind of ['shared', 'private']) this.set({ ...poolLabels(row), kind }, Number(row[kind]));
    },
  });
  for (const [name, help, key] of POOL_COUNTERS)
    new Counter({
      name: `amqproxy_${name}_total`,
      help,
      labelNames: ['user', 'vhost'],
      registers,
      collect() {
        this.reset();
        for (const row of rows.pools()) this.inc(poolLabels(row), Number(row[key]));
      },
    });
}
