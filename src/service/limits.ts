/** How many files this process may have open, against what the settings promise. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config } from '../config/options.ts';

/** Files that are open besides those of clients and upstreams: listeners, log, runtime. */
const OVERHEAD = 64;
/** With no limit on clients: fewer than this many files is taken for a forgotten default. */
const PLENTY = 4096;

/** RLIMIT_NOFILE; Node raises the soft limit to the hard one at its start. Infinity where it cannot be read. */
export function openFileLimit(): number {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Warns where clients would be turned away for want of file descriptors, each client perhaps with an upstream of its own. */
export function checkOpenFiles(config: Config, log: Logger, limit = openFileLimit()): void {
  const { maxClients, maxUpstreamsTotal } = config;
  const upstreams = maxUpstreamsTotal > 0 ? Math.min(maxUpstreamsTotal, maxClients) : maxClients;
  const wanted = maxClients > 0 ? maxClients + upstreams + OVERHEAD : PLENTY;
  if (limit >= wanted) return;
  const why = maxClients > 0 ? `max_clients = ${maxClients} may need ${wanted}` : `${wanted} are advised`;
  log.warn(`Only ${limit} files may be open, ${why}: raise LimitNOFILE= in the unit, or ulimit -n`);
}
