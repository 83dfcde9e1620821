/** The group "Route": what only sections [route NAME] have: who takes this way to other brokers. */
import { named } from '../option.ts';
import { names } from '../types.ts';

export const ROUTE = {
  routeVhosts: named('route', 'vhosts', {
    group: 'Broker',
    type: names,
    default: [] as string[],
    live: true,
    help: 'Vhosts that take this route, with * for any characters; empty for all.',
  }),
  routeUsers: named('route', 'users', {
    group: 'Broker',
    type: names,
    default: [] as string[],
    live: true,
    help: 'Users that take this route, with * for any characters; empty for all.',
  }),
};
