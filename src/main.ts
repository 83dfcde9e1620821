/** Entry: reads the settings, runs the proxy, listens to signals. */
import { parseCommandLine, UsageError } from './config/cli.ts';
import { ConfigError, describe, type Loaded, load } from './config/load.ts';
import { type Config, type OptionName, optionNames, optionOf } from './config/options.ts';
import { createLogger, type LogFormat, statusLine } from './log.ts';
import { Proxy } from './proxy.ts';
import { type Service, ServiceError, startService } from './service/index.ts';

/** sysexits(3) */
const EX = { USAGE: 64, UNAVAILABLE: 69, SOFTWARE: 70, NOPERM: 77, CONFIG: 78 } as const;

function fail(code: number, text: string): never {
  // with a priority, so that the journal shows it as an error
  const prefix = process.env.JOURNAL_STREAM ? '<3>' : '';
  process.stderr.write(
    text
      .split('\n')
      .map(line => `${prefix}amqproxy: ${line}\n`)
      .join(''),
  );
  process.exit(code);
}

function listenFailed(error: NodeJS.ErrnoException, config: Config): never {
  const where = `${config.listenAddress}:${config.listenPort}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return fail(
        EX.UNAVAILABLE,
        `cannot listen on ${where}: the port is in use. Stop what listens there, or choose another with --port`,
      );
    case 'EACCES':
      return fail(
        EX.NOPERM,
        `cannot listen on ${where}: not permitted. Ports under 1024 need the socket unit (amqproxy.socket) or CAP_NET_BIND_SERVICE`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return fail(
        EX.CONFIG,
        `cannot listen on ${where}: this machine has no such address. Mend --listen or [listen] address`,
      );
    default:
      return fail(EX.UNAVAILABLE, `cannot listen on ${where}: ${error.message}`);
  }
}

async function main(): Promise<void> {
  let commandLine: ReturnType<typeof parseCommandLine>;
  let loaded: Loaded;
  try {
    commandLine = parseCommandLine(process.argv.slice(2));
    if (commandLine === null) return;
    loaded = load({ flags: commandLine.flags, env: process.env, file: commandLine.file });
  } catch (error) {
    if (error instanceof UsageError) fail(EX.USAGE, error.message);
    if (error instanceof ConfigError) fail(EX.CONFIG, error.message);
    throw error;
  }
  if (commandLine.checkConfig) {
    process.stdout.write(`${describe(loaded)}\n`);
    return;
  }
  const { config } = loaded;
  const log = createLogger(config.logLevel, config.logFormat as LogFormat);
  const proxy = new Proxy(config, log);
  let service: Service;
  try {
    service = await startService(proxy, log);
  } catch (error) {
    if (error instanceof ServiceError) fail(error.exitCode, error.message);
    throw error;
  }
  try {
    await proxy.listen(service.sockets);
  } catch (error) {
    listenFailed(error as NodeJS.ErrnoException, config);
  }
  service.ready();

  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) {
      log.warn(`${signal} again: stopping at once`);
      proxy.abort();
      process.exit(0);
    }
    stopping = true;
    log.info(`${signal}: draining ${proxy.clientCount} clients`);
    service.stopping();
    void proxy.drain().then(() => {
      log.info('Stopped');
      if (statusLine.shown) process.stdout.write('\n');
      process.exit(0);
    });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGHUP', () => {
    if (stopping) return;
    service.reloading();
    reload(proxy, commandLine.flags, commandLine.file);
    service.ready();
  });
  process.on('SIGPIPE', () => {});
  process.on('uncaughtException', error => {
    log.fatal(`Internal error, stopping: ${error.stack}`);
    process.exit(EX.SOFTWARE);
  });
}

/** Re-reads the file: what can change live does, what cannot is named in a warning; a bad file changes nothing. */
function reload(proxy: Proxy, flags: Partial<Record<OptionName, string>>, file: string | undefined): void {
  let next: Config;
  try {
    next = load({ flags, env: process.env, file }).config;
  } catch (error) {
    for (const line of (error as Error).message.split('\n'))
      proxy.log.error(`Reload failed, nothing has changed: ${line}`);
    return;
  }
  const changed: string[] = [];
  for (const name of optionNames) {
    const option = optionOf(name);
    if (JSON.stringify(next[name]) === JSON.stringify(proxy.config[name])) continue;
    if (option.live) changed.push(option.key);
    else {
      proxy.log.warn(`Reload: ${option.key} changes at the next restart only`);
      (next as Record<string, unknown>)[name] = proxy.config[name];
    }
  }
  proxy.reload(next);
  proxy.log.level = next.logLevel;
  proxy.log.info(`Reloaded: ${changed.length === 0 ? 'nothing has changed' : changed.join(', ')}`);
}

await main();
