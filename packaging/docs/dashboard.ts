/** The Grafana dashboard: a few rows of panels, each with its queries. */

interface Panel {
  title: string;
  unit: string;
  /** Query and legend. */
  queries: [expr: string, legend: string][];
  kind?: 'stat';
}

/** What is shown is of the instances that are chosen. */
const ON = 'instance=~"$instance"';
const rate = (metric: string, labels = ''): string =>
  `rate(amqproxy_${metric}{${ON}${labels ? `,${labels}` : ''}}[$__rate_interval])`;
const now = (metric: string): string => `amqproxy_${metric}{${ON}}`;
const quantiles = (metric: string): Panel['queries'] =>
  ['0.5', '0.99'].map(q => [
    `histogram_quantile(${q}, sum by (le) (${rate(`${metric}_bucket`)}))`,
    `p${Number(q) * 100}`,
  ]);

const ROWS: [title: string, panels: Panel[]][] = [
  [
    'Now',
    [
      { title: 'Clients', unit: 'short', kind: 'stat', queries: [[`sum(${now('client_connections')})`, '']] },
      {
        title: 'Upstreams',
        unit: 'short',
        kind: 'stat',
        queries: [[`sum(${now('upstream_connections')})`, '']],
      },
      { title: 'Waiting', unit: 'short', kind: 'stat', queries: [[`sum(${now('pool_waiting')})`, '']] },
      {
        title: 'Brokers down',
        unit: 'short',
        kind: 'stat',
        queries: [[`count(${now('broker_up')} == 0) or vector(0)`, '']],
      },
    ],
  ],
  [
    'Load',
    [
      {
        title: 'Logins',
        unit: 'ops',
        queries: [
          [`sum(${rate('logins_total')})`, 'logins'],
          [`sum(${rate('logins_reused_total')})`, 'of them without a new upstream'],
        ],
      },
      {
        title: 'Messages',
        unit: 'ops',
        queries: [
          [`sum(${rate('messages_published_total')})`, 'from clients'],
          [`sum(${rate('messages_delivered_total')})`, 'to clients'],
        ],
      },
      {
        title: 'Bytes',
        unit: 'Bps',
        queries: [
          [`sum(${rate('client_received_bytes_total')})`, 'from clients'],
          [`sum(${rate('client_sent_bytes_total')})`, 'to clients'],
        ],
      },
    ],
  ],
  [
    'Waits',
    [
      { title: 'Login', unit: 's', queries: quantiles('login_duration_seconds') },
      { title: 'Lease', unit: 's', queries: quantiles('lease_wait_seconds') },
      { title: 'Barrier (the broker)', unit: 's', queries: quantiles('barrier_duration_seconds') },
    ],
  ],
  [
    'Trouble',
    [
      {
        title: 'Clients refused or closed',
        unit: 'ops',
        queries: [[`sum by (reason) (${rate('clients_refused_total')})`, '{{reason}}']],
      },
      {
        title: 'Upstreams lost, dials failed',
        unit: 'ops',
        queries: [
          [`sum(${rate('upstreams_lost_total')})`, 'lost'],
          [`sum by (upstream) (${rate('broker_dials_total', 'result="failed"')})`, 'failed: {{upstream}}'],
        ],
      },
      {
        title: 'Fullest buffer, of what it may hold',
        unit: 'percentunit',
        queries: [[`${now('buffered_largest_bytes')} / ${now('buffer_limit_bytes')}`, '{{buffer}}']],
      },
    ],
  ],
  [
    'Pools',
    [
      {
        title: 'Clients',
        unit: 'short',
        queries: [[`topk(10, sum by (user, vhost) (${now('pool_clients')}))`, '{{user}}@{{vhost}}']],
      },
      {
        title: 'Longest wait',
        unit: 's',
        queries: [
          [`topk(10, max by (user, vhost) (${now('pool_longest_wait_seconds')}))`, '{{user}}@{{vhost}}'],
        ],
      },
      {
        title: 'Messages from clients',
        unit: 'ops',
        queries: [
          [`topk(10, sum by (user, vhost) (${rate('pool_messages_published_total')}))`, '{{user}}@{{vhost}}'],
        ],
      },
      {
        title: 'Upstreams',
        unit: 'short',
        queries: [
          [`topk(10, sum by (user, vhost, kind) (${now('pool_upstreams')}))`, '{{user}}@{{vhost}} {{kind}}'],
        ],
      },
    ],
  ],
  [
    'Process',
    [
      {
        title: 'CPU',
        unit: 'percentunit',
        queries: [[`rate(process_cpu_seconds_total{${ON}}[$__rate_interval])`, '{{instance}}']],
      },
      { title: 'Memory', unit: 'bytes', queries: [[`process_resident_memory_bytes{${ON}}`, '{{instance}}']] },
      {
        title: 'Event loop lag, p99',
        unit: 's',
        queries: [[`nodejs_eventloop_lag_p99_seconds{${ON}}`, '{{instance}}']],
      },
    ],
  ],
];

/** All queries, with what Grafana puts for its variables. */
export const queries = (): string[] =>
  ROWS.flatMap(([, panels]) => panels)
    .flatMap(panel => panel.queries)
    .map(([expr]) => expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'));

export function dashboard(): string {
  const datasource = { type: 'prometheus', uid: '$' + '{datasource}' };
  const panels: object[] = [];
  let y = 0;
  let id = 0;
  for (const [title, row] of ROWS) {
    panels.push({ type: 'row', title, id: ++id, gridPos: { h: 1, w: 24, x: 0, y: y++ }, panels: [] });
    const w = Math.floor(24 / row.length);
    const h = row[0].kind === 'stat' ? 4 : 8;
    row.forEach((panel, i) => {
      panels.push({
        type: panel.kind ?? 'timeseries',
        title: panel.title,
        id: ++id,
        datasource,
        gridPos: { h, w, x: i * w, y },
        fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
        targets: panel.queries.map(([expr, legendFormat], n) => ({
          datasource,
          expr,
          legendFormat,
          refId: String.fromCharCode(65 + n),
        })),
      });
    });
    y += h;
  }
  return `${JSON.stringify(
    {
      title: 'amqproxy',
      uid: 'amqproxy',
      tags: ['amqp', 'rabbitmq'],
      schemaVersion: 39,
      refresh: '10s',
      time: { from: 'now-1h', to: 'now' },
      templating: {
        list: [
          { name: 'datasource', type: 'datasource', query: 'prometheus' },
          {
            name: 'instance',
            type: 'query',
            datasource,
            query: 'label_values(amqproxy_identity_info, instance)',
            refresh: 2,
            multi: true,
            includeAll: true,
            allValue: '.*',
          },
        ],
      },
      panels,
    },
    null,
    1,
  )}\n`;
}
