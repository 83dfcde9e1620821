/** What every process of amqproxy does, the one that is started and its workers: its name, its log, and signals that mean nothing. */
import { writeFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config } from './config/options.ts';
import { EX, fail, logFailure } from './exit.ts';
import { createLogger } from './log.ts';
import { stdout } from './output.ts';

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

/** Gives the log. */
export function beginProcess({ logLevel, logFormat }: Config, facts?: object): Logger {
  nameProcess();
  const log = createLogger(logLevel, logFormat, {
    facts,
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
  return log;
}
