/** How many processes take clients. */
import { availableParallelism } from 'node:os';
import type { Config } from './options.ts';

/** Each has a part of the limits on all together. */
export function workersOf({ workers, maxClients, maxUpstreamsTotal }: Config): number {
  if (workers > 0) return workers;
  const most = [maxClients, maxUpstreamsTotal].filter(limit => limit > 0);
  return Math.min(availableParallelism(), ...most);
}
