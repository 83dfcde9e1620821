/** A route's own limits on clients; those of [main] hold for all together. */
import { reason } from '../amqp/errors.ts';
import { share } from '../share.ts';
import type { Denial } from './denial.ts';
import type { Pool } from './pool.ts';

/** Why one more client may not come in on this pool's route; null if it may. */
export function routeIsFull(pools: Iterable<Pool>, { way: { route }, user }: Pool): Denial | null {
  const { maxClients, maxClientsPerUser } = route.config;
  if (route.name === 'main' || (maxClients === 0 && maxClientsPerUser === 0)) return null;
  let all = 0;
  let mine = 0;
  for (const pool of pools) {
    if (pool.way.route !== route) continue;
    all += pool.clients;
    if (pool.user === user) mine += pool.clients;
  }
  const deny = (cause: string, text: string): Denial => ({
    cause,
    why: reason('NOT_ALLOWED', `${text} clients already`),
  });
  if (maxClients > 0 && all >= share.of(maxClients))
    return deny('max_clients', `[route ${route.name}] has max_clients (${maxClients})`);
  if (maxClientsPerUser > 0 && mine >= share.of(maxClientsPerUser))
    return deny(
      'max_clients_per_user',
      `user '${user}' has max_clients_per_user (${maxClientsPerUser}) of [route ${route.name}]`,
    );
  return null;
}
