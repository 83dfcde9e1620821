/** The section [admin], and what bounds the metrics. */
import { admin, main } from '../option.ts';
import { integer, socketPath } from '../types.ts';

export const ADMIN = {
  metricsPools: main('metrics_pools', {
    group: 'Monitoring',
    type: integer(0, 100_000),
    default: 100,
    live: false,
    help: 'Pools (user and vhost) that have metrics of their own; those beyond count together, as other.',
    more: 'So that no crowd of users fills the memory of whoever collects the metrics.',
  }),
  adminSocket: admin('socket', {
    group: 'Monitoring',
    type: socketPath,
    default: 'auto',
    live: false,
    help: 'Socket of the console (amqproxy show, amqproxy kill …); empty for none.',
    more: 'auto: admin.sock in the runtime directory that the service manager gives (/run/amqproxy), none without one. Mode 0660: who may write to it may see and end everything here.',
  }),
};
