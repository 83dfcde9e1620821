/** What makes each alert fire: series of a sample each half minute, in the notation of promtool. */

type Series = Record<string, string>;

export const ALARMING: Record<string, Series> = {
  AmqproxyBrokerDown: { 'amqproxy_broker_up{upstream="b:5672"': '1x3 0x40' },
  AmqproxyClientsRefused: { 'amqproxy_clients_refused_total{reason="max_clients"': '0x4 0+60x40' },
  AmqproxyLeaseWaits: {
    'amqproxy_lease_wait_seconds_bucket{le="1"': '0x50',
    'amqproxy_lease_wait_seconds_bucket{le="5"': '0+10x50',
    'amqproxy_lease_wait_seconds_bucket{le="+Inf"': '0+10x50',
  },
  AmqproxyWaiting: { 'amqproxy_pool_longest_wait_seconds{user="u",vhost="v"': '0x3 6+30x40' },
  AmqproxyBlocked: { 'amqproxy_upstreams_blocked{upstream="b:5672"': '0x3 1x40' },
  AmqproxyUpstreamsLost: { amqproxy_upstreams_lost_total: '0x10 12x40' },
  AmqproxyUpstreamsNearLimit: {
    amqproxy_upstream_connections: '50x3 95x40',
    amqproxy_upstreams_limit: '100x50',
  },
  AmqproxyClientsNearLimit: { amqproxy_client_connections: '50x3 95x40', amqproxy_clients_limit: '100x50' },
  AmqproxyBuffersFull: {
    'amqproxy_buffered_largest_bytes{buffer="client_buffer"': '5x3 95x40',
    'amqproxy_buffer_limit_bytes{buffer="client_buffer"': '100x50',
  },
  AmqproxyOpenFiles: { process_open_fds: '5x3 95x40', process_max_fds: '100x50' },
  AmqproxyRestarts: { process_start_time_seconds: '1 2 3 4 4x40' },
  AmqproxyDown: { up: '1x3 0x40' },
};

/** The same metrics where nothing is wrong; a limit of 0 is none. */
export const CALM: Series = {
  'amqproxy_broker_up{upstream="b:5672"': '1x50',
  'amqproxy_clients_refused_total{reason="max_clients"': '3x50',
  'amqproxy_clients_refused_total{reason="killed"': '0+600x50',
  'amqproxy_lease_wait_seconds_bucket{le="1"': '0+10x50',
  'amqproxy_lease_wait_seconds_bucket{le="+Inf"': '0+10x50',
  'amqproxy_pool_longest_wait_seconds{user="u",vhost="v"': '0 9 0 0 9 0x45',
  'amqproxy_upstreams_blocked{upstream="b:5672"': '0 1 1 0x48',
  amqproxy_upstreams_lost_total: '0x10 5x40',
  amqproxy_upstream_connections: '95x50',
  amqproxy_upstreams_limit: '0x50',
  amqproxy_client_connections: '95x50',
  amqproxy_clients_limit: '0x50',
  'amqproxy_buffered_largest_bytes{buffer="client_buffer"': '5x50',
  'amqproxy_buffer_limit_bytes{buffer="client_buffer"': '100x50',
  process_open_fds: '5x50',
  process_max_fds: '100x50',
  process_start_time_seconds: '1x20 2x30',
  up: '1 0 1x48',
};

const labelled = (name: string): string =>
  `${name}${name.includes('{') ? ',' : '{'}instance="a:15673",job="amqproxy"}`;

/** A file for `promtool test rules`: whether these alerts fire within 20 minutes. */
export function ruleTests(rules: string): string {
  const cases = Object.entries(ALARMING).map(([alert, series]) => ({ alert, series, fires: true }));
  for (const alert of Object.keys(ALARMING)) cases.push({ alert, series: CALM, fires: false });
  return JSON.stringify({
    rule_files: [rules],
    evaluation_interval: '30s',
    tests: cases.map(({ alert, series, fires }) => ({
      name: `${alert} ${fires ? 'fires' : 'is quiet'}`,
      interval: '30s',
      input_series: Object.entries(series).map(([name, values]) => ({ series: labelled(name), values })),
      promql_expr_test: [
        {
          expr: `count(max_over_time(ALERTS{alertname="${alert}",alertstate="firing"}[20m]))`,
          eval_time: '20m',
          exp_samples: fires ? [{ labels: '{}', value: 1 }] : [],
        },
      ],
    })),
  });
}
