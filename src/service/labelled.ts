/**
 * Metrics with labels: by pool (user and vhost), for as many pools as metrics_pools allows, the rest together as `other`.
 * Counted when somebody asks.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import { poolLabels, type Row, type Rows } from './label-rows.ts';

const POOL_GAUGES: [name: string, help: string, key: string][] = [
  ['pool_clients', 'Clients that are logged in', 'clients'],
  ['pool_waiting', 'Waits for an upstream channel or an upstream', 'waiting'],
  ['pool_longest_wait_seconds', 'How long the one that has waited longest waits', 'longest_wait'],
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
  for (const [name, help, key] of POOL_GAUGES)
    gauge(registers, name, help, ['user', 'vhost'], rows.pools, key, poolLabels);
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
    counter(registers, name, help, ['user', 'vhost'], rows.pools, key, poolLabels);
}

type Labels = (row: Row) => Record<string, string>;

function gauge(
  registers: Registry[],
  name: string,
  help: string,
  labelNames: string[],
  rows: () => Row[],
  key: string,
  labels: Labels,
): void {
  new Gauge({
    name: `amqproxy_${name}`,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const row of rows()) this.set(labels(row), Number(row[key]));
    },
  });
}

function counter(
  registers: Registry[],
  name: string,
  help: string,
  labelNames: string[],
  rows: () => Row[],
  key: string,
  labels: Labels,
): void {
  new Counter({
    name: `amqproxy_${name}_total`,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const row of rows()) this.inc(labels(row), Number(row[key]));
    },
  });
}
