/** What the outside world sees of a running proxy: service manager, journal, stats line, metrics, HTTP. */
import type { Logger } from 'pino';
import type { Config } from '../config/options.ts';
import { sectionsOf } from '../config/sections.ts';
import type { GivenSocket } from '../proxy/listeners.ts';
import { count } from '../words.ts';
import { type HttpSources, type Shows, startHttp } from './http.ts';
import { checkOpenFiles } from './limits.ts';
import { StatsLine, type Watched } from './stats-line.ts';
import { type Standing, statusLine } from './status.ts';
import { listenFds, Systemd } from './systemd.ts';

export { ServiceError } from './errors.ts';

/** What is shown: one process, or several workers as one. */
export interface Served extends Watched {
  readonly config: Config;
  readonly standing: Standing;
  /** What else the status says. */
  readonly remarks: readonly string[];
  /** False while some worker makes no progress. */
  readonly alive: boolean;
  ready(): boolean;
  readyRoutes(): Map<string, boolean>;
  /** Called once, where they are wanted. */
  metrics(): HttpSources['metrics'];
}

export interface Service {
  /** Listening sockets handed over by the service manager, for the proxy: `amqp`, `amqps`, or for a section [listen NAME]. */
  readonly sockets: GivenSocket[];
  /** Descriptor of the console's socket, if one was handed over. */
  readonly adminSocket: number | null;
  /** Whether HTTP is served where the settings say. */
  readonly ownHttp: boolean;
  /** The proxy listens, or a reload is over. */
  ready(): void;
  reloading(): void;
  /** The drain has begun. The watchdog and /healthz go on to the end of the process. */
  stopping(): void;
  /** All is over: the last word for `systemctl status`. Resolves when the service manager has it. */
  stopped(): Promise<void>;
}

const DRAIN_STATUS_MS = 1000;

/**
 * Starts HTTP, and finds the sockets that were handed over. The proxy does not listen yet.
 * @throws ServiceError with an exit code: unknown socket name, HTTP port in use.
 */
export async function startService(served: Served, log: Logger, console: Shows): Promise<Service> {
  const systemd = new Systemd(log);
  const { config } = served;
  const sections = sectionsOf(config, 'listen').map(({ name }) => name);
  const given = listenFds(process.env, sections);
  const sockets = given.filter(({ name }) => name !== 'http' && name !== 'admin');
  const httpSockets = given.filter(socket => socket.name === 'http');
  checkOpenFiles(config, log);
  const stats = new StatsLine(served, log);

  let listening = false;
  if (config.httpPort > 0 || httpSockets.length > 0) {
    const sources = {
      metrics: served.metrics(),
      ready: () => listening && served.ready(),
      routes: () => served.readyRoutes(),
      console,
    };
    for (const { fd } of httpSockets) await startHttp({ fd }, sources, log);
    if (httpSockets.length === 0)
      await startHttp({ host: config.httpAddress, port: config.httpPort }, sources, log);
  }
  if (sockets.some(({ name }) => name === 'amqp' || name === 'amqps'))
    log.info('Sockets come from the service manager: [listen] address, port and tls_port are not used');
  for (const name of sections)
    if (sockets.some(socket => socket.name === name))
      log.info(`The socket of [listen ${name}] comes from the service manager`);
  if (httpSockets.length > 0)
    log.info(
      'The HTTP socket comes from the service manager: [listen] http_address and http_port are not used',
    );

  let drain: NodeJS.Timeout | undefined;
  return {
    sockets,
    adminSocket: given.find(({ name }) => name === 'admin')?.fd ?? null,
    ownHttp: httpSockets.length === 0,
    ready() {
      listening = true;
      stats.start(rates => systemd.status(statusLine(served, rates)));
      systemd.ready(() => served.alive);
    },
    reloading: () => systemd.reloading(),
    stopping() {
      stats.stop();
      systemd.stopping();
      const tell = (): void => systemd.status(`Draining: ${count(served.stats.clients, 'client')} left`);
      tell();
      drain = setInterval(tell, DRAIN_STATUS_MS).unref();
    },
    async stopped() {
      clearInterval(drain);
      systemd.status('Stopped');
      await systemd.sent();
    },
  };
}
