/** The other end of the control socket: asks a running proxy. */
import { userInfo } from 'node:os';
import { inWords } from '../words.ts';
import type { Row } from './history.ts';

/** Not by `import`, which would load all that node:http can give, WebSocket among it: 80 ms of each command. */
const { request } = process.getBuiltinModule('node:http');

export const DEFAULT_SOCKET = '/run/amqproxy/admin.sock';

/** The proxy cannot be asked. `code` as of sysexits(3). */
export class Unasked extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Answer {
  status: number;
  body: { rows?: Row[]; total?: number; text?: string; error?: string };
}

function whyNot(error: NodeJS.ErrnoException, path: string): Unasked {
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return new Unasked(
        77,
        `you may not use the console on ${path}: become root, or a member of the group that it belongs to`,
      );
    case 'ENOENT':
      return new Unasked(
        69,
        `no amqproxy runs here with a console on ${path} (--socket, or socket in [admin], name another)`,
      );
    case 'ECONNREFUSED':
      return new Unasked(69, `the amqproxy that had its console on ${path} has gone`);
    default:
      return new Unasked(69, `the console on ${path} does not answer: ${inWords(error)}`);
  }
}

function me(): string {
  try {
    return process.env.SUDO_USER ?? userInfo().username;
  } catch {
    return String(process.getuid?.() ?? '');
  }
}

/** @throws Unasked */
export function ask(socketPath: string, method: 'GET' | 'POST', path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath, method, path, headers: { 'x-amqproxy-user': encodeURIComponent(me()) } },
      response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', error => reject(whyNot(error, socketPath)));
        response.on('end', () => {
          try {
            const body = JSON.parse(Buffer.concat(chunks).toString()) as Answer['body'];
            resolve({ status: response.statusCode ?? 0, body });
          } catch {
            reject(new Unasked(69, `what listens on ${socketPath} is no amqproxy`));
          }
        });
      },
    );
    asked.on('error', error => reject(whyNot(error, socketPath)));
    asked.end();
  });
}

/** The rows of a view. @throws Error with the proxy's words */
export async function askRows(
  socketPath: string,
  view: string,
  filters: readonly string[] = [],
): Promise<Row[]> {
  const query = filters.map(filter => `filter=${encodeURIComponent(filter)}`).join('&');
  const { body } = await ask(socketPath, 'GET', `/show/${view}${query ? `?${query}` : ''}`);
  if (body.rows === undefined) throw new Unasked(64, body.error ?? 'the proxy gives no answer');
  return body.rows;
}
