/** How the process ends when it cannot go on: one line that says what to do, and a code of sysexits(3). */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ListenerSettings } from './config/listeners.ts';
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

/** What the system said of a listener, and the settings that it has. */
interface ListenFailure {
  readonly message: string;
  readonly cause?: unknown;
  readonly listener: ListenerSettings;
  /** Its sockets were handed over. */
  readonly given: boolean;
}

/** How a listener's place is chosen: where it is one of a section, only there. */
function settingsOf({ name, heading }: ListenerSettings): { port: string; address: string } {
  if (name === 'amqps') return { port: 'tls_port in [listen]', address: 'address in [listen]' };
  if (name !== 'amqp') return { port: `port in [${heading}]`, address: `address in [${heading}]` };
  return {
    port: '--port, LISTEN_PORT or port in [listen]',
    address: '--listen, LISTEN_ADDRESS or address in [listen]',
  };
}

/** A listener that could not be opened. Node's error says which one, where it has several. */
export function listenFailure({ cause, listener, given }: ListenFailure): Failure {
  const error = cause as NodeJS.ErrnoException & { address?: string; port?: number };
  const { place, heading } = listener;
  const setting = settingsOf(listener);
  if (error.code === undefined)
    return { code: EX.CONFIG, text: `[${heading}] cannot listen: ${error.message}` };
  if (given)
    return {
      code: EX.CONFIG,
      text: `cannot listen on the sockets handed over for [${heading}]: ${inWords(error)}. Mend the socket unit: ListenStream= with Accept=no`,
    };
  if (place !== null && 'path' in place) return socketFailure(error, place.path, heading);
  const port = error.port || place?.port;
  const cannot = `cannot listen on ${host(error.address ?? place?.host ?? '')}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return {
        code: EX.UNAVAILABLE,
        text: `${cannot}: the port is in use. Stop what listens there (ss -ltnp 'sport = :${port}'), or choose another with ${setting.port}`,
      };
    case 'EACCES':
      return {
        code: EX.NOPERM,
        text: `${cannot}: not permitted. Ports under 1024 need the socket unit (amqproxy.socket) or CAP_NET_BIND_SERVICE; or choose another with ${setting.port}`,
      };
    case 'EAI_AGAIN':
      // DNS may well answer in a moment
      return { code: EX.UNAVAILABLE, text: `${cannot}: ${inWords(error)}. Give an IP address, or mend DNS` };
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAFNOSUPPORT':
      return {
        code: EX.CONFIG,
        text: `${cannot}: this machine has no such address (ip address lists them). Mend ${setting.address}`,
      };
    default:
      return { code: EX.UNAVAILABLE, text: `${cannot}: ${inWords(error)}` };
  }
}

function socketFailure(error: NodeJS.ErrnoException, path: string, heading: string): Failure {
  const cannot = `cannot listen on ${path}`;
  // of a directory that is not there the runtime says EACCES
  switch (existsSync(dirname(path)) ? error.code : 'ENOENT') {
    case 'EADDRINUSE':
      return {
        code: EX.UNAVAILABLE,
        text: `${cannot}: another process listens there. Stop it, or choose another socket in [${heading}]`,
      };
    case 'ENOENT':
      return {
        code: EX.CONFIG,
        text: `${cannot}: there is no such directory. Make it, or mend socket in [${heading}]`,
      };
    case 'EPERM':
      return {
        code: EX.NOPERM,
        text: `${cannot}: the socket cannot be given to socket_group of [${heading}]. Put the process into that group (SupplementaryGroups= in the unit)`,
      };
    case 'EACCES':
    case 'EROFS':
      return {
        code: EX.NOPERM,
        text: `${cannot}: it may not be made there. Under systemd /run/amqproxy is the place: mend socket in [${heading}]`,
      };
    default:
      return { code: EX.UNAVAILABLE, text: `${cannot}: ${inWords(error)}. Mend socket in [${heading}]` };
  }
}

/** The log cannot be written from the very start. */
export const logFailure = (code: string): Failure => ({
  code: EX.IOERR,
  text: `cannot write the log to standard output (${code}). Mend StandardOutput= in the unit, or what amqproxy is piped into`,
});
