/** The owner of all that lives: start, reload, drain. */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Logger } from 'pino';
import { reason } from '../amqp/errors.ts';
import { Client, type ClientContext } from '../client/client.ts';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import type { Accepted } from '../io/bare-socket.ts';
import { Transport } from '../io/transport.ts';
import type { Pool } from '../pool/pool.ts';
import { Registry } from '../pool/registry.ts';
import type { Denial } from '../pool/waiters.ts';
import { Stats } from '../stats.ts';
import { Dialer, type DialerOwner } from '../upstream/dialer.ts';
import { addressName } from '../upstream/names.ts';
import { BrokerProfile } from '../upstream/profile.ts';
import { Admission } from './admission.ts';
import { Greeter } from './greeter.ts';
import { Janitor } from './janitor.ts';
import { type GivenSocket, Listeners } from './listeners.ts';

/** How full the buffers of one kind are: all of them together, the fullest, and what each may hold. */
export interface Fill {
  total: number;
  largest: number;
  limit: number;
}

/** What upstreams depend on. */
const brokersOf = ({ upstream, tlsCa, tlsVerify, upstreamTlsCert, upstreamTlsKey }: Config): string =>
  JSON.stringify([upstream, tlsCa, tlsVerify, upstreamTlsCert, upstreamTlsKey]);

/** How a broker is. */
export interface BrokerStatus {
  name: string;
  up: boolean;
  dials: { ok: number; failed: number };
  /** Upstreams that it has blocked. */
  blocked: number;
}

export class Proxy implements ClientContext, DialerOwner {
  config: Config;
  readonly stats = new Stats();
  readonly profile: BrokerProfile;
  readonly log: Logger;
  readonly registry: Registry;
  /** Draining, or ending at once. */
  stopping = false;
  readonly dialer: Dialer;
  private readonly greeter: Greeter;
  private readonly clients: Admission;
  private readonly listeners: Listeners;
  private readonly janitor: Janitor;

  constructor(config: Config, log: Logger) {
    this.config = config;
    this.log = log;
    this.stats.totals.max = config.metricsPools;
    this.profile = new BrokerProfile(config.heartbeat);
    this.dialer = new Dialer(config, this.profile, this.stats, this);
    this.greeter = new Greeter(this, this.dialer);
    this.registry = new Registry(this, this.greeter);
    this.clients = new Admission(this);
    this.listeners = new Listeners(this);
    this.janitor = new Janitor(this);
  }

  get clientList(): readonly Client[] {
    return this.clients.clients;
  }

  get clientCount(): number {
    return this.stats.clients;
  }

  /** The buffers by the settings that bound them. */
  get buffers(): Record<'client_buffer' | 'upstream_buffer' | 'message_buffer', Fill> {
    const { stats, config } = this;
    return {
      client_buffer: { ...stats.clientTraffic.backlog.fill, limit: config.clientBuffer },
      upstream_buffer: { ...stats.upstreamTraffic.backlog.fill, limit: config.upstreamBuffer },
      message_buffer: { ...stats.messages.fill, limit: config.messageBuffer },
    };
  }

  /** Whether a client that came now would be served. */
  ready(): boolean {
    return !this.stopping && this.dialer.ready;
  }

  /** Listens; rejects with the system's error (EADDRINUSE, EACCES …). */
  async listen(given: GivenSocket[] = []): Promise<void> {
    for (const { host, port, tls } of this.config.upstream)
      this.log.info(`Proxy upstream: ${addressName({ host, port, tls })}${tls ? ' TLS' : ''}`);
    if (!this.config.tlsVerify && this.config.upstream.some(address => address.tls))
      this.log.warn(
        'tls_verify = no: the broker’s certificate is not checked, anybody on the way can read and change everything',
      );
    await this.listeners.listen(given);
    this.janitor.start();
    void this.greeter.meet().then(() => this.dialer.verifyNew());
  }

  accept(socket: Accepted, tls: SecureContext | null): void {
    this.stats.clientsAccepted++;
    if (!this.clients.hasRoom()) {
      socket.destroy();
      return;
    }
    const transport = Transport.accept(socket, tls, this.stats.clientTraffic);
    this.clients.add(new Client(transport, this, clock.now));
  }

  // ---- what clients and pools ask for

  brokerChanged({ down }: { readonly down: boolean }, text: string): void {
    this.log.warn(text);
    if (!down) this.registry.retryNow();
  }

  isSelf(socket: Socket): boolean {
    return this.listeners.accepts(socket);
  }

  brokerSays(text: string): void {
    this.log.warn(text);
  }

  brokerGone(name: string): void {
    if (this.registry.leaveBroker(name))
      this.log.info(`Broker ${name} is gone: its name stands for others now`);
  }

  /** How each broker is. */
  brokers(): BrokerStatus[] {
    const blocked = this.registry.blockedAt();
    return [...this.dialer.brokers].map(({ name, down, dials }) => ({
      name,
      up: !down,
      dials,
      blocked: blocked.get(name) ?? 0,
    }));
  }

  meetBroker(): Promise<void> {
    return this.greeter.meet();
  }

  admission(client: Client): Denial | null {
    return this.clients.admit(client);
  }

  clientGone(client: Client): void {
    this.clients.remove(client);
  }

  report(level: 'debug' | 'info' | 'warn', pool: Pool, message: string, facts: object = {}): void {
    this.log[level]({ user: pool.user, vhost: pool.vhost, ...facts }, message);
  }

  maintain(now: number): void {
    for (const client of this.clients.clients) client.maintain(now);
    this.registry.maintain(now);
    this.dialer.maintain();
  }

  /** Takes a checked configuration; what cannot change live keeps its value (the caller says so). */
  reload(config: Config): void {
    const changed = brokersOf(config) !== brokersOf(this.config);
    this.config = config;
    this.dialer.configure(config, changed);
    if (changed) {
      this.greeter.leaveBrokers();
      this.registry.leaveBrokers();
    } else this.registry.forgetLimits();
    this.listeners.reload();
  }

  // ---- by the operator's wish

  /** Upstreams, to one broker or to all, end with their last lease; whoever needs one gets a new one. */
  reconnect(broker?: string): void {
    this.greeter.leaveBrokers();
    if (broker === undefined) this.registry.leaveBrokers();
    else {
      this.registry.leaveBroker(broker);
      this.registry.retryNow();
    }
  }

  // ---- the end

  /** Stops accepting, lets clients leave, closes those that stay, then the upstreams. Resolves when all is closed. */
  async drain(): Promise<void> {
    this.stopping = true;
    this.listeners.close();
    this.greeter.dropSpare();
    this.registry.dropTuned();
    const { termClientCloseTimeout, termTimeout } = this.config;
    if (termClientCloseTimeout > 0) await this.clients.empty(termClientCloseTimeout);
    for (const client of [...this.clients.clients])
      client.ending.shutdown(reason('CONNECTION_FORCED', 'amqproxy is shutting down'));
    await this.clients.empty(termTimeout < 0 ? Number.POSITIVE_INFINITY : termTimeout);
    for (const client of [...this.clients.clients]) client.transport.reset();
    this.registry.close();
    const until = performance.now() + 3000;
    while (this.stats.upstreams > 0 && performance.now() < until)
      await new Promise(resolve => setTimeout(resolve, 10));
    this.abort();
  }

  /** Ends everything at once. */
  abort(): void {
    this.stopping = true;
    this.dialer.close();
    this.janitor.stop();
    this.greeter.dropSpare();
    this.listeners.close();
    for (const client of [...this.clients.clients]) client.transport.reset();
    this.registry.destroy();
  }
}
