/** The listening sockets, plain and TLS: addresses from the settings, or sockets that were handed over. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Logger } from 'pino';
import type { Config } from '../config/options.ts';
import { type Accepted, acceptBare, bareSockets } from '../io/bare-socket.ts';

/** A listening socket handed over by systemd. */
export interface GivenSocket {
  name: 'amqp' | 'amqps' | 'http' | 'admin';
  fd: number;
}

const BACKLOG = 4096;

interface ListenersContext {
  readonly config: Config;
  readonly log: Logger;
  /** A client has connected; its socket is paused. With a context it speaks TLS. */
  accept(socket: Accepted, tls: SecureContext | null): void;
}

export class Listeners {
  private readonly context: ListenersContext;
  private readonly servers: Server[] = [];
  private tls: SecureContext | null = null;

  constructor(context: ListenersContext) {
    this.context = context;
  }

  /** Listens; rejects with the system's error (EADDRINUSE, EACCES …). `given` sockets win over the addresses configured. */
  async listen(given: GivenSocket[]): Promise<void> {
    const { listenAddress, listenPort, listenTlsPort } = this.context.config;
    if (!bareSockets)
      this.context.log.info(
        'Clients are served over net.Socket, which costs more: the runtime is not the one known',
      );
    const mine = given.filter(({ name }) => name === 'amqp' || name === 'amqps');
    if (mine.length > 0) {
      for (const { fd, name } of mine) await this.serve(name === 'amqps', { fd });
      return;
    }
    await this.serveAddress(false, listenAddress, listenPort);
    if (listenTlsPort > 0) await this.serveAddress(true, listenAddress, listenTlsPort);
  }

  private async serveAddress(tls: boolean, host: string, port: number): Promise<void> {
    if (host !== 'localhost') return void (await this.serve(tls, { host, port }));
    const bound = await this.serve(tls, { host: '127.0.0.1', port });
    try {
      await this.serve(tls, { host: '::1', port: bound });
    } catch (error) {
      if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code!)) throw error;
    }
  }

  /** TLS begins on sockets that have been accepted like any other: the same limits and time-outs hold for them. */
  private serve(tls: boolean, where: { fd: number } | { host: string; port: number }): Promise<number> {
    const { context } = this;
    if (tls) this.tls ??= this.certificate();
    const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, socket =>
      context.accept(socket, tls ? this.tls : null),
    );
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      // as an argument: among the options node does not see it for a descriptor, and would cut the socket unit's to 511
      server.listen(where, BACKLOG, () => {
        server.off('error', reject);
        server.on('error', error => context.log.error(`Accepting clients failed: ${error.message}`));
        // TLS is spoken over net.Socket
        if (!tls) acceptBare(server, socket => context.accept(socket, null));
        this.servers.push(server);
        const address = server.address() as AddressInfo;
        const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
        context.log.info(`Proxy listening on ${host}:${address.port}`);
        resolve(address.port);
      });
    });
  }

  /** Whether a socket of this process is connected to one of these. */
  accepts({ remoteAddress, remotePort, localAddress }: Socket): boolean {
    return this.servers.some(server => {
      const { address, port } = server.address() as AddressInfo;
      if (port !== remotePort) return false;
      // an own address of this machine is reached from itself; all of 127.0.0.0/8 are own addresses
      const own = remoteAddress === localAddress || remoteAddress?.startsWith('127.') === true;
      return address === remoteAddress || ((address === '0.0.0.0' || address === '::') && own);
    });
  }

  private certificate(): SecureContext {
    const { tlsCert, tlsKey } = this.context.config;
    return createSecureContext({ cert: readFileSync(tlsCert), key: readFileSync(tlsKey) });
  }

  /** The certificate may have been renewed: it holds for the clients that come from now on. */
  reload(): void {
    if (this.tls !== null) this.tls = this.certificate();
  }

  close(): void {
    for (const server of this.servers) server.close();
  }
}
