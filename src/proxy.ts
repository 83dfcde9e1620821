/** The owner of all that lives: listeners, clients, pools. Start, reload, drain. */

import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type { Logger } from 'pino';
import { type ReplyName, reason } from './amqp/errors.ts';
import type { Credentials } from './amqp/sasl.ts';
import { Client, type ClientContext } from './client/client.ts';
import { clock, TICK_MS } from './clock.ts';
import type { Config } from './config/options.ts';
import { Logins } from './pool/logins.ts';
import { type Denial, Pool, type PoolContext } from './pool/pool.ts';
import { loginKey } from './pool/secrets.ts';
import { Stats } from './stats.ts';
import { Broker } from './upstream/broker.ts';
import { addressName, Dialer } from './upstream/dialer.ts';
import type { Upstream } from './upstream/upstream.ts';

/** A listening socket handed over by systemd. */
export interface GivenSocket {
  name: 'amqp' | 'amqps' | 'http';
  fd: number;
}

/** How full the buffers of one kind are: all of them together, the fullest, and what each may hold. */
export interface Fill {
  total: number;
  largest: number;
  limit: number;
}

/** Milliseconds an upstream that was dialed to meet the broker waits for a login (RabbitMQ hangs up after 10 s). */
const SPARE_MS = 8000;
const BACKLOG = 4096;

export class Proxy implements ClientContext, PoolContext {
  config: Config;
  readonly stats = new Stats();
  readonly broker: Broker;
  readonly log: Logger;
  private readonly dialer: Dialer;
  /** How often other brokers have come in force. */
  private edition = 0;
  private readonly clients: Client[] = [];
  private readonly clientsOfUser = new Map<string, number>();
  /** By `loginKey`. */
  private readonly known = new Map<string, Logins>();
  private readonly pools = new Set<Pool>();
  /** The vhost each user asked for last: the likely one of its next login. */
  private readonly lastVhost = new Map<string, string>();
  private readonly servers: (Server | TlsServer)[] = [];
  private tlsServers: TlsServer[] = [];
  private meeting: Promise<void> | null = null;
  private spare: Upstream | null = null;
  private spareTimer: NodeJS.Timeout | null = null;
  private janitor: NodeJS.Timeout | null = null;
  /** Draining, or ending at once. */
  stopping = false;
  private onEmpty: (() => void) | null = null;

  constructor(config: Config, log: Logger) {
    this.config = config;
    this.log = log;
    this.broker = new Broker(config.heartbeat);
    this.dialer = new Dialer(config, this.broker, this.stats);
  }

  get clientCount(): number {
    return this.clients.length;
  }

  get upstreamCount(): number {
    return this.totalUpstreams();
  }

  get poolCount(): number {
    return this.pools.size;
  }

  private count(of: (upstream: Upstream) => number): number {
    let n = 0;
    for (const pool of this.pools) for (const upstream of pool.upstreams) n += of(upstream);
    return n;
  }

  get privateCount(): number {
    return this.count(upstream => (upstream.holder === null ? 0 : 1));
  }

  get sharedCount(): number {
    return this.count(upstream => (upstream.holder === null ? 1 : 0));
  }

  get parkedCount(): number {
    return this.count(upstream => upstream.parkedPlain.length + upstream.parkedConfirm.length);
  }

  get leasedCount(): number {
    return this.count(upstream => upstream.busy);
  }

  /** The buffers by the settings that bound them. */
  get buffers(): Record<'client_buffer' | 'upstream_buffer' | 'message_buffer', Fill> {
    const fill = (limit: number): Fill => ({ total: 0, largest: 0, limit });
    const { clientBuffer, upstreamBuffer, messageBuffer } = this.config;
    const [toClients, toUpstreams, messages] = [clientBuffer, upstreamBuffer, messageBuffer].map(fill);
    const add = (to: Fill, bytes: number): void => {
      to.total += bytes;
      if (bytes > to.largest) to.largest = bytes;
    };
    for (const client of this.clients) {
      add(toClients, client.out.pending);
      add(messages, client.reservedBytes);
    }
    for (const pool of this.pools)
      for (const upstream of pool.upstreams) add(toUpstreams, upstream.out.pending);
    return { client_buffer: toClients, upstream_buffer: toUpstreams, message_buffer: messages };
  }

  /** Whether the proxy can lend now. */
  ready(): boolean {
    if (this.stopping) return false;
    for (const pool of this.pools) if (pool.upstreams.length === 0 && !pool.empty) return false;
    return true;
  }

  // ---- start

  /** Listens; rejects with the system's error (EADDRINUSE, EACCES …). `given` sockets win over the addresses configured. */
  async listen(given: GivenSocket[] = []): Promise<void> {
    for (const { host, port, tls } of this.config.upstream)
      this.log.info(`Proxy upstream: ${addressName({ host, port, tls })}${tls ? ' TLS' : ''}`);
    if (!this.config.tlsVerify && this.config.upstream.some(address => address.tls))
      this.log.warn(
        'tls_verify = no: the broker’s certificate is not checked, anybody on the way can read and change everything',
      );
    const plain = given.filter(socket => socket.name === 'amqp');
    const secure = given.filter(socket => socket.name === 'amqps');
    if (plain.length > 0 || secure.length > 0) {
      for (const { fd } of plain) await this.serve(this.plainServer(), { fd });
      for (const { fd } of secure) await this.serve(this.tlsServer(), { fd });
    } else {
      const { listenAddress, listenPort, listenTlsPort } = this.config;
      await this.serveAddress(() => this.plainServer(), listenAddress, listenPort);
      if (listenTlsPort > 0) await this.serveAddress(() => this.tlsServer(), listenAddress, listenTlsPort);
    }
    this.janitor = setInterval(() => this.maintain(), TICK_MS);
  }

  private async serveAddress(make: () => Server, host: string, port: number): Promise<void> {
    if (host !== 'localhost') return void (await this.serve(make(), { host, port }));
    const bound = await this.serve(make(), { host: '127.0.0.1', port });
    try {
      await this.serve(make(), { host: '::1', port: bound });
    } catch (error) {
      if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code!)) throw error;
    }
  }

  private plainServer(): Server {
    const options = { noDelay: true, allowHalfOpen: true, pauseOnConnect: true };
    return createServer(options, socket => this.accept(socket));
  }

  private tlsServer(): TlsServer {
    const server = createTlsServer({ ...this.certificate(), noDelay: true, allowHalfOpen: true }, socket =>
      this.accept(socket),
    );
    server.on('tlsClientError', (error, socket) => {
      this.stats.refuse('tls');
      this.log.info(
        { client: `${socket.remoteAddress}:${socket.remotePort}` },
        `TLS handshake failed: ${error.message}`,
      );
    });
    this.tlsServers.push(server);
    return server;
  }

  private certificate(): { cert: Buffer; key: Buffer } {
    return { cert: readFileSync(this.config.tlsCert), key: readFileSync(this.config.tlsKey) };
  }

  private serve(server: Server, where: { fd: number } | { host: string; port: number }): Promise<number> {
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      // as an argument: among the options node does not see it for a descriptor, and would cut the socket unit's to 511
      server.listen(where, BACKLOG, () => {
        server.off('error', reject);
        server.on('error', error => this.log.error(`Accepting clients failed: ${error.message}`));
        this.servers.push(server);
        const address = server.address() as AddressInfo;
        const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
        this.log.info(`Proxy listening on ${host}:${address.port}`);
        resolve(address.port);
      });
    });
  }

  private accept(socket: Socket): void {
    this.stats.clientsAccepted++;
    const { maxClients } = this.config;
    if (maxClients > 0 && this.clients.length >= maxClients) {
      // told at connection.open, like every refusal; but not more than as many again may wait to be told
      if (this.clients.length >= maxClients * 2 + 100) {
        this.stats.refuse('max_clients');
        socket.destroy();
        return;
      }
    }
    const client = new Client(socket, this);
    client.slot = this.clients.length;
    this.clients.push(client);
    if (this.clients.length > this.stats.clientsPeak) this.stats.clientsPeak = this.clients.length;
  }

  // ---- what clients ask for

  blockedChanged(pool: Pool, upstream: Upstream): void {
    for (const client of this.clients) if (client.pool === pool) client.blockedChanged(upstream);
  }

  report(level: 'debug' | 'info' | 'warn', pool: Pool, message: string, facts: object = {}): void {
    this.log[level]({ user: pool.user, vhost: pool.vhost, ...facts }, message);
  }

  /** Dials the broker so that clients are greeted as it greets; the connection serves the first login. */
  meetBroker(): Promise<void> {
    this.meeting ??= this.current(() => this.dialer.dial())
      .then(
        upstream => this.keepSpare(upstream),
        (error: Error) => this.log.warn(`${error.message}`),
      )
      .finally(() => {
        this.meeting = null;
      });
    return this.meeting;
  }

  private keepSpare(upstream: Upstream): void {
    if (this.stopping) {
      upstream.destroy();
      return;
    }
    this.spare = upstream;
    this.spareTimer = setTimeout(() => this.dropSpare(), SPARE_MS);
  }

  private takeSpare(): Upstream | null {
    const { spare } = this;
    this.spare = null;
    if (this.spareTimer) clearTimeout(this.spareTimer);
    return spare?.state === 'greeted' ? spare : null;
  }

  private dropSpare(): void {
    this.takeSpare()?.destroy();
  }

  logins({ user, secret }: Credentials): Logins {
    const key = loginKey(user, secret);
    let logins = this.known.get(key);
    if (logins === undefined) {
      logins = new Logins(key, user, secret);
      this.known.set(key, logins);
    }
    return logins;
  }

  /** Null when the broker is known to take this login; otherwise resolves when it has, or rejects. */
  prove(logins: Logins): Promise<void> | null {
    if (logins.proven) return null;
    const vhost = this.lastVhost.get(logins.user) ?? '/';
    return logins.prove(vhost, () => this.current(() => this.newUpstream(logins, vhost)));
  }

  pool(proven: Logins, vhost: string): Pool {
    // a client that took its time may have been forgotten
    const logins = this.known.get(proven.key) ?? proven;
    this.known.set(logins.key, logins);
    let pool = logins.pools.get(vhost);
    if (pool === undefined) {
      pool = new Pool(this, logins, vhost);
      logins.pools.set(vhost, pool);
      this.pools.add(pool);
    }
    return pool;
  }

  admission(client: Client, user: string): Denial | null {
    const { config } = this;
    const mine = (this.clientsOfUser.get(user) ?? 0) + 1;
    this.clientsOfUser.set(user, mine);
    client.counted = true;
    const deny = (cause: string, code: ReplyName, text: string): Denial => ({
      cause,
      why: reason(code, text),
    });
    if (this.stopping) return deny('shutdown', 'CONNECTION_FORCED', 'amqproxy is shutting down');
    if (config.maxClients > 0 && this.clients.length > config.maxClients)
      return deny(
        'max_clients',
        'NOT_ALLOWED',
        `amqproxy has max_clients (${config.maxClients}) clients already`,
      );
    if (config.maxClientsPerUser > 0 && mine > config.maxClientsPerUser)
      return deny(
        'max_clients_per_user',
        'NOT_ALLOWED',
        `user '${user}' has max_clients_per_user (${config.maxClientsPerUser}) clients already`,
      );
    if (user === 'guest' && !config.allowRemoteGuest && !isLoopback(client.socket.remoteAddress))
      return deny(
        'remote_guest',
        'ACCESS_REFUSED',
        "user 'guest' can only connect via localhost (allow_remote_guest)",
      );
    return null;
  }

  clientGone(client: Client): void {
    // the last one takes its place: a Set would be made anew again and again, and its old tables keep clients in memory
    const last = this.clients.pop()!;
    if (last !== client) {
      this.clients[client.slot] = last;
      last.slot = client.slot;
    }
    if (client.counted) {
      const left = (this.clientsOfUser.get(client.user) ?? 1) - 1;
      if (left > 0) this.clientsOfUser.set(client.user, left);
      else this.clientsOfUser.delete(client.user);
    }
    if (this.clients.length === 0) this.onEmpty?.();
  }

  // ---- what pools ask for

  totalUpstreams(): number {
    let n = 0;
    for (const pool of this.pools) n += pool.size;
    return n;
  }

  /** An upstream that is logged in but has opened no vhost, named for one. */
  private async newUpstream(logins: Logins, vhost: string): Promise<Upstream> {
    const upstream = this.takeSpare() ?? (await this.dialer.dial());
    const name = `amqproxy ${hostname()}: ${logins.user}@${vhost} #${logins.nextNumber(vhost)}`;
    await this.inTime(upstream, upstream.authenticate(logins, name));
    return upstream;
  }

  async open(pool: Pool): Promise<Upstream> {
    const { logins, vhost } = pool;
    const upstream = await this.current(async () => {
      const upstream = logins.take(vhost) ?? (await this.newUpstream(logins, vhost));
      await this.inTime(upstream, upstream.open(vhost));
      return upstream;
    });
    this.lastVhost.set(logins.user, vhost);
    this.log.info({ user: logins.user, vhost, upstream: upstream.address }, 'Upstream opened');
    return upstream;
  }

  /** The upstream that `make` gives, made anew if a reload has named other brokers meanwhile. */
  private async current(make: () => Promise<Upstream>): Promise<Upstream> {
    for (;;) {
      const { edition } = this;
      try {
        const upstream = await make();
        if (edition === this.edition) return upstream;
        upstream.close();
      } catch (error) {
        if (edition === this.edition) throw error;
      }
    }
  }

  /** Hangs up on a broker that takes longer than handshake_timeout for a step of the login. */
  private async inTime(upstream: Upstream, step: Promise<void>): Promise<void> {
    const timer = setTimeout(() => upstream.destroy(), this.config.handshakeTimeout * 1000);
    try {
      await step;
    } finally {
      clearTimeout(timer);
    }
  }

  // ---- maintenance

  private maintain(): void {
    const now = performance.now();
    clock.now = now;
    for (const client of this.clients) client.maintain(now);
    for (const [key, logins] of this.known) {
      for (const [vhost, pool] of logins.pools) {
        pool.maintain(now);
        for (const upstream of pool.upstreams) upstream.checkHeartbeat(now);
        if (!pool.empty || pool.clients > 0) continue;
        logins.pools.delete(vhost);
        this.pools.delete(pool);
      }
      if (logins.empty) this.known.delete(key);
    }
  }

  /** Takes a checked configuration; what cannot change live keeps its value (the caller says so). */
  reload(config: Config): void {
    const brokers = JSON.stringify([config.upstream, config.tlsCa, config.tlsVerify]);
    const changed =
      brokers !== JSON.stringify([this.config.upstream, this.config.tlsCa, this.config.tlsVerify]);
    this.config = config;
    this.dialer.configure(config);
    if (changed) this.leaveBrokers();
    for (const server of this.tlsServers) server.setSecureContext(this.certificate());
  }

  /** New leases go to the brokers that are named now; upstreams to the earlier ones end with their last lease. */
  private leaveBrokers(): void {
    this.edition++;
    this.dropSpare();
    for (const logins of this.known.values()) logins.drop();
    for (const pool of this.pools) pool.leaveBrokers();
  }

  // ---- the end

  /** Stops accepting, lets clients leave, closes those that stay, then the upstreams. Resolves when all is closed. */
  async drain(): Promise<void> {
    this.stopping = true;
    for (const server of this.servers) server.close();
    this.dropSpare();
    for (const logins of this.known.values()) logins.drop();
    const { termClientCloseTimeout, termTimeout } = this.config;
    if (termClientCloseTimeout > 0) await this.empty(termClientCloseTimeout);
    for (const client of [...this.clients])
      client.sendClose(reason('CONNECTION_FORCED', 'amqproxy is shutting down'));
    await this.empty(termTimeout < 0 ? Number.POSITIVE_INFINITY : termTimeout);
    for (const client of [...this.clients]) client.destroy();
    for (const pool of this.pools) pool.close();
    const until = performance.now() + 3000;
    while (this.totalUpstreams() > 0 && performance.now() < until)
      await new Promise(resolve => setTimeout(resolve, 10));
    this.abort();
  }

  /** Resolves when there are no clients, or after that many seconds. */
  private empty(seconds: number): Promise<void> {
    if (this.clients.length === 0 || seconds === 0) return Promise.resolve();
    return new Promise(resolve => {
      const timer = Number.isFinite(seconds) ? setTimeout(() => this.onEmpty?.(), seconds * 1000) : null;
      this.onEmpty = () => {
        if (timer) clearTimeout(timer);
        this.onEmpty = null;
        resolve();
      };
    });
  }

  /** Ends everything at once. */
  abort(): void {
    this.stopping = true;
    if (this.janitor) clearInterval(this.janitor);
    this.dropSpare();
    for (const server of this.servers) server.close();
    for (const client of [...this.clients]) client.destroy();
    for (const pool of this.pools) for (const upstream of [...pool.upstreams]) upstream.destroy();
  }
}

const isLoopback = (address = ''): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
