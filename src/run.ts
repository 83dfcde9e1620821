/** The proxy as a process: it starts, listens to signals, and ends. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { httpAdvice } from './config/advice.ts';
import type { Loaded } from './config/load.ts';
import { Console } from './console/server.ts';
import { Settings } from './console/settings.ts';
import { consolePlace, openConsole } from './console/socket.ts';
import { EX, fail, listenFailure, logFailure } from './exit.ts';
import { createLogger, statusLine } from './log.ts';
import { stdout } from './output.ts';
import { ListenError, NoListener } from './proxy/listeners.ts';
import { Proxy } from './proxy/proxy.ts';
import { type Service, ServiceError, startService } from './service/index.ts';
import { answerReload } from './service/reload-answer.ts';
import { count } from './words.ts';

/**
 * Signals that would end the process, or with SIGUSR1 open its debugger: sent by mistake (log rotation, profilers, somebody
 * who thinks of another daemon), they must not cost every client its connection.
 */
const MEANINGLESS: NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGIO'];

/** For top, pgrep and systemctl status: node calls itself MainThread. `process.title` would hide the arguments. */
function nameProcess(): void {
  try {
    writeFileSync('/proc/self/comm', 'amqproxy');
  } catch {
    // it runs under any name
  }
}

/** Runs the proxy with these settings; `again` reads them anew. */
export async function run(loaded: Loaded, again: () => Loaded): Promise<void> {
  const { config } = loaded;
  nameProcess();
  const log = createLogger(config.logLevel, config.logFormat, {
    onUnwritable: code => fail(logFailure(code)),
  });
  process.on('uncaughtException', error => {
    log.fatal(`Internal error, stopping: ${error.stack}`);
    stdout.flush();
    process.exit(EX.SOFTWARE);
  });
  // the live line of a terminal that has gone
  process.stdout.on('error', () => {});
  // until it runs there is nothing to reload; by default the signal would end it
  process.on('SIGHUP', () => {});
  for (const signal of MEANINGLESS) {
    process.once(signal, () => log.info(`${signal}: it means nothing here, nothing is done`));
    process.on(signal, () => {});
  }

  for (const warning of loaded.warnings) log.warn(warning);
  const proxy = new Proxy(config, log);
  const reloads = new Settings(proxy, loaded, again);
  const console = new Console({ proxy, settings: reloads }, log);
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
    throw error;
  }
  const advice = service.ownHttp ? httpAdvice(loaded) : undefined;
  if (advice !== undefined) log.info(advice);
  service.ready();
  process.on('SIGHUP', () => {
    if (proxy.stopping) return;
    if (process.stdout.isTTY && !terminalIsThere()) return stop('The terminal has gone');
    service.reloading();
    const { done } = reloads.reload();
    service.ready();
    answerReload(done, log);
  });
}

/** The first signal drains, the second ends at once. Gives the function that does it. */
function stopOnSignals(proxy: Proxy, service: Service): (why: string) => void {
  const { log } = proxy;
  const end = async (): Promise<never> => {
    await service.stopped();
    if (statusLine.shown) stdout.write('\n');
    stdout.flush();
    process.exit(0);
  };
  const stop = (signal: string): void => {
    const clients = count(proxy.clientCount, 'client');
    if (proxy.stopping) {
      log.warn(`${signal} again: stopping at once with ${clients}`);
      proxy.abort();
      void end();
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
