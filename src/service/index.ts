/** What the outside world sees of a running proxy: the stats line. */
import type { Logger } from 'pino';
import type { GivenSocket, Proxy } from '../proxy.ts';
import { StatsLine } from './stats-line.ts';

export interface Service {
  /** Listening sockets handed over by the service manager. */
  readonly sockets: GivenSocket[];
  ready(): void;
  reloading(): void;
  stopping(): void;
}

export async function startService(proxy: Proxy, log: Logger): Promise<Service> {
  const stats = new StatsLine(proxy, log);
  return {
    sockets: [],
    ready: () => stats.start(),
    reloading: () => {},
    stopping: () => stats.stop(),
  };
}
