/** One place where clients come in: its sockets, and how who comes there is received. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, BlockList, createServer, isIPv4, type Server } from 'node:net';
import { createSecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { clock } from '../clock.ts';
import type { ListenerSettings, Place } from '../config/listeners.ts';
import type { Arrival, Origin, ServerTls } from '../io/arrival.ts';
import { type Accepted, acceptBare, BareSocket } from '../io/bare-socket.ts';
import { onEach } from '../io/localhost.ts';
import { asFile } from '../io/unix-socket.ts';
import { inWords } from '../words.ts';
import type { Introductions } from './introductions.ts';

export const BACKLOG = 4096;

export interface ListenerContext {
  readonly log: Logger;
  /** Whether it says where it listens. */
  readonly tells: boolean;
  warn(text: string): void;
  readonly introductions: Introductions;
  /** Whether one more may come; it is counted if not. */
  hasRoom(): boolean;
  accept(arrival: Arrival): void;
}

/** Where its sockets come from: opened here, handed over by a service manager, or inherited from the main process. */
export type Source = 'opened' | 'given' | 'inherited';

type Where = { fd: number; known: string | null } | { host: string; port: number } | { path: string };

export class Listener {
  settings: ListenerSettings;
  private readonly sockets: Source;
  /** Where it listens, or has listened. */
  readonly addresses: AddressInfo[] = [];
  accepted = 0;
  private closed = false;
  private readonly context: ListenerContext;
  private readonly servers: Server[] = [];
  private tls: ServerTls | null;
  /** Whom it believes who comes; null: it speaks no PROXY protocol. */
  private balancers: BlockList | null;

  constructor(settings: ListenerSettings, context: ListenerContext, sockets: Source) {
    this.settings = settings;
    this.context = context;
    this.sockets = sockets;
    this.tls = secured(settings);
    this.balancers = balancersOf(settings);
  }

  /** Who has connected and was not accepted waits there for the next process. */
  get given(): boolean {
    return this.sockets === 'given';
  }

  /** Whether it can take these over as it is: where it listens does not change. */
  fits({ place, tls }: ListenerSettings): boolean {
    return (
      this.sockets !== 'opened' ||
      (isDeepStrictEqual(place, this.settings.place) && tls === this.settings.tls)
    );
  }

  /** Takes over other settings: they hold for who comes from now on. */
  reload(wanted: ListenerSettings): void {
    const { tls } = this.settings;
    if (wanted.tls !== tls)
      this.context.warn(
        `[${wanted.heading}] tls changes at the next restart only: its socket is ${this.given ? "the service manager's" : 'that of all workers'}`,
      );
    const settings = { ...wanted, tls };
    this.settings = settings;
    this.balancers = balancersOf(settings);
    try {
      this.tls = secured(settings);
    } catch (error) {
      // a file that was taken away since it was checked, or that a socket handed over still needs
      this.context.warn(`[${settings.heading}] keeps its certificate: ${inWords(error as Error)}`);
    }
  }

  // ---- where

  /** `path`: of a Unix socket, where it is known. */
  listenOn(fd: number, path: string | null): Promise<number> {
    return this.serve({ fd, known: path });
  }

  /** Rejects with the system's error (EADDRINUSE, EACCES …). */
  async listen(place: Place): Promise<void> {
    if ('path' in place) return this.listenOnPath(place);
    await onEach(place.host, place.port, (host, port) => this.serve({ host, port }));
  }

  private async listenOnPath(place: Extract<Place, { path: string }>): Promise<void> {
    const { path } = place;
    await asFile(place, async () => void (await this.serve({ path })));
  }

  private serve(where: Where): Promise<number> {
    const { log, tells } = this.context;
    const tell = (text: string): void => log[tells ? 'info' : 'debug'](text);
    const known = 'fd' in where ? where.known : null;
    /** Of a Unix socket, or the name of one that was handed over: its path is not told then. */
    let path: string | null = null;
    const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, socket =>
      this.arrived(socket, path),
    );
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      const heard = (): void => {
        server.off('error', reject);
        server.on('error', error => log.error(`Accepting clients failed: ${inWords(error)}`));
        this.servers.push(server);
        if (this.closed) {
          server.close(); // by a reload, while it was being opened
          resolve(0);
          return;
        }
        const { heading, tls } = this.settings;
        // TLS is spoken over net.Socket, and PROXY headers are read from one
        if (!tls)
          acceptBare(
            server,
            socket => this.arrived(socket, null),
            () => this.balancers === null,
          );
        const address = server.address() as AddressInfo | string | null;
        const name = heading === 'listen' ? '' : ` ([${heading}])`;
        if (address === null || typeof address === 'string') {
          path = address || known || this.settings.name;
          tell(`Proxy listening on ${address || known || 'a Unix socket that was handed over'}${name}`);
          resolve(0);
          return;
        }
        this.addresses.push(address);
        const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
        tell(`Proxy listening on ${host}:${address.port}${name}`);
        resolve(address.port);
      };
      if ('path' in where) server.listen(where.path, BACKLOG, heard);
      // as an argument: among the options node does not see it for a descriptor, and would cut the socket unit's to 511
      else server.listen('fd' in where ? { fd: where.fd } : where, BACKLOG, heard);
    });
  }

  close(): void {
    this.closed = true;
    for (const server of this.servers) server.close();
  }

  // ---- who comes

  /** `path`: of the Unix socket that it has come by. */
  private arrived(socket: Accepted, path: string | null): void {
    this.accepted++;
    const { context, balancers, tls } = this;
    const at = clock.now;
    if (balancers === null || socket instanceof BareSocket) {
      const origin: Origin | null = path === null ? null : { peer: `unix:${path}`, isLocal: true };
      context.accept({ socket, tls, origin, first: null, at });
      return;
    }
    if (!context.hasRoom()) {
      socket.destroy();
      return;
    }
    const trusted = path !== null || isAmong(balancers, socket.remoteAddress);
    context.introductions.hear(socket, { heading: this.settings.heading, trusted, path }, (origin, first) =>
      context.accept({ socket, tls, origin, first, at }),
    );
  }
}

function secured({ tls, config, name }: ListenerSettings): ServerTls | null {
  if (!tls) return null;
  const { tlsCert, tlsKey, tlsClientCa } = config;
  const asksForCertificate = tlsClientCa !== '';
  const context = createSecureContext({
    cert: readFileSync(tlsCert),
    key: readFileSync(tlsKey),
    // OpenSSL resumes no session of a client with a certificate without it
    sessionIdContext: `amqproxy ${name}`.slice(0, 32),
    ...(asksForCertificate ? { ca: readFileSync(tlsClientCa) } : {}),
  });
  return { context, asksForCertificate };
}

function balancersOf({ config: { proxyProtocol, proxyFrom } }: ListenerSettings): BlockList | null {
  if (!proxyProtocol) return null;
  const list = new BlockList();
  for (const one of proxyFrom) {
    const [address, prefix] = one.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** An address that has been lost already is nobody's. */
const isAmong = (list: BlockList, address: string | undefined): boolean =>
  address !== undefined && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
