/** The proxy as a service: it starts, listens to signals, and ends. */
import { closeSync, openSync } from 'node:fs';
import type { Logger } from 'pino';
import { httpAdvice } from './config/advice.ts';
import type { Loaded } from './config/load.ts';
import type { Config } from './config/options.ts';
import { workersOf } from './config/workers.ts';
import { Console } from './console/server.ts';
import { Settings } from './console/settings.ts';
import { consolePlace, openConsole } from './console/socket.ts';
import { EX, fail, listenFailure } from './exit.ts';
import { statusLine } from './log.ts';
import { stdout } from './output.ts';
import { beginProcess } from './process.ts';
import { ListenError, NoListener } from './proxy/listeners.ts';
import { type Service, ServiceError, startService } from './service/index.ts';
import { answerReload } from './service/reload-answer.ts';
import type { Whole } from './whole.ts';
import { count } from './words.ts';

/** By one process, or by several workers; only what that needs is loaded. */
async function whole(config: Config, log: Logger): Promise<Whole> {
  const workers = workersOf(config);
  if (workers === 1) {
    const { Single } = await import('./single.ts');
    return new Single(config, log);
  }
  const { Fleet } = await import('./workers/fleet.ts');
  return new Fleet(config, log, workers);
}

/** Runs the proxy with these settings; `again` reads them anew. */
export async function run(loaded: Loaded, again: () => Loaded): Promise<void> {
  const { config } = loaded;
  const log = beginProcess(config);
  for (const warning of loaded.warnings) log.warn(warning);
  const proxy = await whole(config, log);
  const settings = new Settings(proxy, loaded, again);
  const console = new Console(proxy, settings);
  let service: Service;
  try {
    service = await startService(proxy, log, console);
    await openConsole(console, consolePlace(config.adminSocket, service.adminSocket), log);
  } catch (error) {
    if (error instanceof ServiceError) return fail({ code: error.exitCode, text: error.message });
    throw error;
  }
  if (config.tlsCert === '' && service.sockets.some(socket => socket.name === 'amqps'))
    return fail({
      code: EX.CONFIG,
      text: 'the service manager hands over a socket named amqps: set tls_cert and tls_key in [listen], or name it amqp',
    });
  const stop = stopOnSignals(proxy, service);
  try {
    await proxy.listen(service.sockets);
  } catch (error) {
    if (error instanceof ListenError) return fail(listenFailure(error));
    if (error instanceof NoListener) return fail({ code: EX.CONFIG, text: error.message });
    if (error instanceof ServiceError) return fail({ code: error.exitCode, text: error.message });
    throw error;
  }
  const advice = service.ownHttp ? httpAdvice(loaded) : undefined;
  if (advice !== undefined) log.info(advice);
  service.ready();
  process.on('SIGHUP', () => {
    if (proxy.stopping) return;
    if (process.stdout.isTTY && !terminalIsThere()) return stop('The terminal has gone');
    service.reloading();
    void settings.reload().then(({ done }) => {
      service.ready();
      answerReload(done, log);
    });
  });
}

/** The first signal drains, the second ends at once. Gives the function that does it. */
function stopOnSignals(proxy: Whole, service: Service): (why: string) => void {
  const { log } = proxy;
  const end = async (): Promise<never> => {
    await service.stopped();
    if (statusLine.shown) stdout.write('\n');
    stdout.flush();
    process.exit(0);
  };
  const stop = (signal: string): void => {
    const clients = count(proxy.stats.clients, 'client');
    if (proxy.stopping) {
      log.warn(`${signal} again: stopping at once with ${clients}`);
      void Promise.resolve(proxy.abort()).then(end);
      return;
    }
    log.info(`${signal}: draining ${clients}`);
    service.stopping();
    void proxy.drain().then(() => {
      log.info('Stopped');
      return end();
    });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  return stop;
}

/** SIGHUP means two things: read the settings again, or, from the kernel, that the terminal was closed. */
function terminalIsThere(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
