/** The group "Limits": how many, and who. */
import { main } from '../option.ts';
import { boolean, integer, names, numberOrAuto } from '../types.ts';

export const LIMITS = {
  workers: main('workers', {
    group: 'Limits',
    type: numberOrAuto(1, 256),
    default: 1,
    live: false,
    help: 'Processes that take clients, each on a core of its own; auto for as many as there are CPUs to use.',
    more: 'For machines where one core is not enough: each has upstreams of its own for each pool, and takes memory. Limits hold for all together: max_clients is divided by need, ten times a second; the others (max_clients_per_user, max_upstreams, max_upstreams_total, min_upstreams, and those of routes) evenly, with one for each worker at least.',
  }),
  maxClients: main('max_clients', {
    group: 'Limits',
    alsoIn: ['route'],
    type: integer(0, 10_000_000),
    default: 0,
    live: true,
    help: 'Most clients at a time, from their login to their close; 0 for no limit.',
  }),
  maxClientsPerUser: main('max_clients_per_user', {
    group: 'Limits',
    alsoIn: ['route'],
    type: integer(0, 10_000_000),
    default: 0,
    live: true,
    help: 'Most clients of one user at a time, from their login to their close; 0 for no limit.',
  }),
  maxUpstreams: main('max_upstreams', {
    group: 'Limits',
    alsoIn: ['route'],
    type: integer(0, 100_000),
    default: 0,
    live: true,
    help: 'Most upstreams of one pool (user, secret and vhost); 0 for no limit.',
  }),
  maxUpstreamsTotal: main('max_upstreams_total', {
    group: 'Limits',
    alsoIn: ['route'],
    type: integer(0, 100_000),
    default: 0,
    live: true,
    help: 'Most upstreams of all pools together; 0 for no limit.',
  }),
  allowRemoteGuest: main('allow_remote_guest', {
    group: 'Limits',
    type: boolean,
    default: false,
    live: true,
    help: 'Let the user guest in from other hosts.',
    more: 'A broker trusts guest, and logins by ANONYMOUS, from its own host only. A proxy on that host must not lend this trust to others.',
  }),
  loopbackUsers: main('loopback_users', {
    group: 'Limits',
    type: names,
    default: ['guest'],
    live: true,
    help: 'Users that may come in from this host only, as with the setting of the same name in RabbitMQ.',
    more: 'A broker lets them in from its own host only, and a proxy there looks like one of its own host. Name here who is named there.',
  }),
};
