/** How the process ends when it cannot go on: one line that says what to do, and a code of sysexits(3). */
import type { Config } from './config/options.ts';
import { stderr, stdout } from './output.ts';
import { inWords } from './words.ts';

export const EX = { USAGE: 64, UNAVAILABLE: 69, SOFTWARE: 70, IOERR: 74, NOPERM: 77, CONFIG: 78 } as const;

export interface Failure {
  code: number;
  text: string;
}

/** Says why on standard error, with a priority where that is the journal, and ends. */
export function fail({ code, text }: Failure): never {
  const prefix = process.env.JOURNAL_STREAM && !process.stderr.isTTY ? '<3>' : '';
  for (const line of text.split('\n')) stderr.write(`${prefix}amqproxy: ${line}\n`);
  stdout.flush();
  stderr.flush();
  process.exit(code);
}

const host = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** A listener that could not be opened. Node's error says which one, where there are several. */
export function listenFailure(
  error: NodeJS.ErrnoException & { address?: string; port?: number },
  config: Config,
): Failure {
  const port = error.port || config.listenPort;
  const tls = port === config.listenTlsPort && port !== config.listenPort;
  const cannot = `cannot listen on ${host(error.address ?? config.listenAddress)}:${port}`;
  const setting = tls ? 'tls_port in [listen]' : '--port, LISTEN_PORT or port in [listen]';
  switch (error.code) {
    case 'EADDRINUSE':
      return {
        code: EX.UNAVAILABLE,
        text: `${cannot}: the port is in use. Stop what listens there (ss -ltnp 'sport = :${port}'), or choose another with ${setting}`,
      };
    case 'EACCES':
      return {
        code: EX.NOPERM,
        text: `${cannot}: not permitted. Ports under 1024 need the socket unit (amqproxy.socket) or CAP_NET_BIND_SERVICE; or choose another with ${setting}`,
      };
    case 'EAI_AGAIN':
      // DNS may well answer in a moment
      return { code: EX.UNAVAILABLE, text: `${cannot}: ${inWords(error)}. Give an IP address, or mend DNS` };
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAFNOSUPPORT':
      return {
        code: EX.CONFIG,
        text: `${cannot}: this machine has no such address (ip address lists them). Mend --listen, LISTEN_ADDRESS or address in [listen]`,
      };
    case 'ENOTSOCK':
    case 'EINVAL':
    case 'EBADF':
      return {
        code: EX.CONFIG,
        text: `cannot listen on the sockets handed over: ${inWords(error)}. Mend the socket unit: ListenStream= with Accept=no`,
      };
    default:
      return { code: EX.UNAVAILABLE, text: `${cannot}: ${inWords(error)}` };
  }
}

/** The log cannot be written from the very start. */
export const logFailure = (code: string): Failure => ({
  code: EX.IOERR,
  text: `cannot write the log to standard output (${code}). Mend StandardOutput= in the unit, or what amqproxy is piped into`,
});
