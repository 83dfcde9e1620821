/** HTTP for monitoring: /metrics (Prometheus), /healthz (alive), /readyz (can lend an upstream), as AMQProxy's. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { onEach } from '../io/localhost.ts';
import { inWords } from '../words.ts';
import { EX, ServiceError } from './errors.ts';

/** Answers for what can be shown, and nothing else. */
export interface Shows {
  /** False for a request that is for something else. */
  read(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  readonly page: string;
  readonly pageHeaders: Record<string, string>;
}

export interface HttpSources {
  console?: Shows;
  metrics: Pick<Registry, 'metrics' | 'contentType'>;
  /** Whether a client that comes now would be served. */
  ready(): boolean;
  /** The same for those who take each route, where there are routes. */
  routes?(): Map<string, boolean>;
}

/** Where to listen: addresses from the settings, or a socket that was handed over. */
export type HttpWhere = { host: string; port: number } | { fd: number };

const TEXT = 'text/plain; charset=utf-8';
const MISLED = 'Ask by address or as localhost\n';

/**
 * Whether a browser may have been led here by somebody else's name for this machine (DNS rebinding): on loopback, only names
 * that nobody else can give are taken.
 */
function isMisled({ headers, socket }: IncomingMessage): boolean {
  const { host } = headers;
  const loopback = /^(127\.|::1$|::ffff:127\.)/.test(socket.localAddress ?? '');
  return (
    loopback && host !== undefined && !/^(\[[\da-f:.]+\]|[\d.]+|([\w-]+\.)*localhost)(:\d+)?$/i.test(host)
  );
}

/** `/readyz?route=NAME` is about one route; without, some route must be ready, and those that are not are named. */
function readiness(
  { url }: IncomingMessage,
  sources: HttpSources,
  send: (status: number, body: string) => void,
): void {
  const routes = sources.routes?.() ?? new Map<string, boolean>();
  const name = new URLSearchParams(url!.split('?')[1]).get('route');
  const ready = name === null ? sources.ready() : routes.get(name);
  const others = name === null ? [...routes].filter(([, ready]) => !ready) : [];
  const text = [ready ? 'OK' : 'Not ready', ...others.map(([name]) => `route ${name}: not ready`)];
  if (ready === undefined) send(404, 'There is no such route\n');
  else send(ready ? 200 : 503, `${text.join('\n')}\n`);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  sources: HttpSources,
): Promise<void> {
  const send = (status: number, body: string, type = TEXT, headers: Record<string, string> = {}): void => {
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return send(405, 'Only GET and HEAD\n', TEXT, { Allow: 'GET, HEAD' });
  switch (request.url?.split('?')[0]) {
    case '/metrics':
      return send(200, await sources.metrics.metrics(), sources.metrics.contentType);
    case '/healthz':
      return send(200, 'OK\n');
    case '/readyz':
      return readiness(request, sources, send);
    case '/':
      if (isMisled(request)) return send(403, MISLED);
      if (sources.console === undefined) return send(200, 'amqproxy: /metrics /healthz /readyz\n');
      return send(200, sources.console.page, 'text/html; charset=utf-8', sources.console.pageHeaders);
    default:
      if (request.url?.startsWith('/show/') && isMisled(request)) return send(403, MISLED);
      if (await sources.console?.read(request, response)) return;
      return send(404, 'Not found: there are /metrics, /healthz, /readyz and /show/…\n');
  }
}

function createHttp(sources: HttpSources, log: Logger): Server {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 8192 },
    (request, response) => {
      request.resume();
      answer(request, response, sources).catch((error: Error) => {
        log.error(`HTTP ${request.url} failed: ${error.message}`);
        response.destroy();
      });
    },
  );
  // a monitor that leaks connections takes no file descriptors from clients
  server.maxConnections = 100;
  return server;
}

const listen = (server: Server, where: HttpWhere): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });

function failed(error: NodeJS.ErrnoException, where: HttpWhere): ServiceError {
  const name = 'fd' in where ? `the socket handed over (fd ${where.fd})` : `${where.host}:${where.port}`;
  const [code, advice] =
    error.code === 'EADDRINUSE'
      ? [
          EX.UNAVAILABLE,
          'the port is in use. Stop what listens there, choose another http_port in [listen], or 0 for none',
        ]
      : error.code === 'EACCES'
        ? [EX.NOPERM, 'not permitted. Choose an http_port of 1024 or more']
        : error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND'
          ? [EX.CONFIG, 'this machine has no such address. Mend http_address in [listen]']
          : [EX.UNAVAILABLE, inWords(error)];
  return new ServiceError(code as number, `cannot serve HTTP on ${name}: ${advice}`);
}

/**
 * Listens on `where`. Gives the servers, for closing them.
 * @throws ServiceError with what to do.
 */
export async function startHttp(where: HttpWhere, sources: HttpSources, log: Logger): Promise<Server[]> {
  const servers: Server[] = [];
  const add = async (at: HttpWhere): Promise<number> => {
    const server = createHttp(sources, log);
    const { address, port, family } = await listen(server, at);
    log.info(`HTTP listening on ${family === 'IPv6' ? `[${address}]` : address}:${port}`);
    servers.push(server);
    return port;
  };
  try {
    if ('fd' in where) await add(where);
    else await onEach(where.host, where.port, (host, port) => add({ host, port }));
  } catch (error) {
    for (const server of servers) server.close();
    throw failed(error as NodeJS.ErrnoException, where);
  }
  return servers;
}
