/** The owner of all that lives: start, reload, drain. */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { Client, type ClientContext } from '../client/client.ts';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import type { Arrival } from '../io/arrival.ts';
import { Transport } from '../io/transport.ts';
import { type Denial, SHUTDOWN } from '../pool/denial.ts';
import type { Pool } from '../pool/pool.ts';
import { Registry } from '../pool/registry.ts';
import { Stats } from '../stats.ts';
import { type BrokerNews, say } from '../upstream/broker-news.ts';
import type { BrokerProfile } from '../upstream/profile.ts';
import { Admission } from './admission.ts';
import { Balance } from './balance.ts';
import { Janitor } from './janitor.ts';
import { type GivenSocket, Listeners } from './listeners.ts';
import type { Route, RouteOwner } from './route.ts';
import { Routes } from './routes.ts';
import { Sentinel } from './sentinel.ts';

/** How full the buffers of one kind are: all of them together, the fullest, and what each may hold. */
export interface Fill {
  total: number;
  largest: number;
  limit: number;
}

export type Buffers = Record<'client_buffer' | 'upstream_buffer' | 'message_buffer', Fill>;

/** A client that has come less than this many milliseconds ago, and waits for no messages, may well leave by itself … */
const PASSING_MS = 5000;
/** … within this many seconds: it hears no 320 for being a moment too late. */
const MOMENT_S = 2;

const isPassing = ({ stay, channels }: Client): boolean =>
  clock.now - stay.acceptedAt < PASSING_MS && !channels.consume;

/** How a broker is. */
export interface BrokerStatus {
  name: string;
  route: string;
  up: boolean;
  dials: { ok: number; failed: number };
  /** Upstreams that it has blocked. */
  blocked: number;
}

export class Proxy implements ClientContext, RouteOwner {
  config: Config;
  readonly stats = new Stats();
  readonly log: Logger;
  readonly registry: Registry;
  /** Draining, or ending at once. */
  stopping = false;
  readonly routes: Routes;
  /**
   * Who is held still by the operator's wish until a route has other brokers, by its name, null for everybody: they are as they
   * were when it began, whatever a reload makes of the routes.
   */
  readonly held = new Map<string, { routes: ReadonlySet<Route> } | null>();
  private readonly clients: Admission;
  private readonly balance = new Balance();
  private readonly sentinel = new Sentinel();
  private readonly listeners: Listeners;
  private readonly janitor: Janitor;

  /** Says what an operator should hear of brokers. */
  private readonly tell: (news: BrokerNews) => void;

  constructor(config: Config, log: Logger, tell = (news: BrokerNews) => say(news, log)) {
    this.config = config;
    this.log = log;
    this.tell = tell;
    this.stats.totals.max = config.metricsPools;
    this.routes = new Routes(config, this);
    this.registry = new Registry(this, this.routes);
    this.clients = new Admission(this);
    this.listeners = new Listeners(this);
    this.janitor = new Janitor(this);
  }

  get clientList(): readonly Client[] {
    return this.clients.clients;
  }

  /** Clients that have been let in; others have yet to say who they are, or to hang up. */
  get admitted(): number {
    return this.clients.admitted;
  }

  /** The buffers by the settings that bound them. */
  get buffers(): Buffers {
    const { stats, config } = this;
    return {
      client_buffer: { ...stats.clientTraffic.backlog.fill, limit: config.clientBuffer },
      upstream_buffer: { ...stats.upstreamTraffic.backlog.fill, limit: config.upstreamBuffer },
      message_buffer: { ...stats.messages.fill, limit: config.messageBuffer },
    };
  }

  /** Whether a client that came now would be served. */
  ready(): boolean {
    return !this.stopping && this.routes.leading.some(({ ready }) => ready);
  }

  /** Whether those who take each route would be served; nothing where there are no routes. */
  readyRoutes(): Map<string, boolean> {
    const { all, leading } = this.routes;
    if (all.length === 1) return new Map();
    return new Map(leading.map(({ name, ready }) => [name, ready && !this.stopping]));
  }

  /** What clients are told of the broker before it is known which one is theirs. */
  get profile(): BrokerProfile {
    return this.routes.greeting.profile;
  }

  /** Listens; rejects with ListenError. `tells`: it says where, and to whom it leads. */
  async listen(given: readonly GivenSocket[] = [], tells = true): Promise<void> {
    if (tells) this.tellWays();
    await this.listeners.listen(given, tells);
    this.janitor.start();
    for (const route of this.routes.all) route.begin();
  }

  /** One more socket to listen on: see Listeners. */
  adopt(socket: GivenSocket): void {
    this.listeners.adopt(socket);
  }

  private tellWays(): void {
    for (const { name, addresses, trustsAnybody } of this.routes.all) {
      const way = name === 'main' ? '' : ` by [route ${name}]`;
      for (const address of addresses) this.log.info(`Proxy upstream: ${address}${way}`);
      if (trustsAnybody)
        this.log.warn(
          `tls_verify = no${way}: the broker’s certificate is not checked, anybody on the way can read and change everything`,
        );
    }
  }

  hasRoom(waiting: number): boolean {
    return this.clients.hasRoom(waiting);
  }

  accept(arrival: Arrival): void {
    this.stats.clientsAccepted++;
    if (!this.clients.hasRoom()) {
      arrival.socket.destroy();
      return;
    }
    const transport = Transport.accept(arrival, this.stats.clientTraffic);
    this.clients.add(new Client(transport, this, arrival.at));
  }

  // ---- what routes ask for

  reserve(route: Route): boolean {
    return this.registry.reserveOn(route);
  }

  release(route: Route): void {
    this.registry.release(route);
  }

  retake(route: Route): void {
    this.registry.retake(route);
  }

  brokerTells(news: BrokerNews): void {
    this.tell(news);
    if (news.is === 'up') this.registry.retryNow();
  }

  isSelf(socket: Socket): boolean {
    return this.listeners.accepts(socket);
  }

  brokerGone(route: Route, name: string): void {
    if (this.registry.leaveBroker(name, route)) this.tell({ name, is: 'left' });
  }

  // ---- what clients and pools ask for

  /** How each broker is. */
  brokers(): BrokerStatus[] {
    return this.routes.all.flatMap(route => {
      const blocked = this.blockedAt(route);
      return [...route.dialer.brokers].map(({ name, down, dials }) => ({
        name,
        route: route.name,
        up: !down,
        dials,
        blocked: blocked.get(name) ?? 0,
      }));
    });
  }

  /** How many upstreams each broker of a route has blocked. */
  private blockedAt(route: Route): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { way, upstreams } of this.registry.pools)
      if (way.route === route)
        for (const { address, blocked } of upstreams)
          if (blocked !== null) counts.set(address, (counts.get(address) ?? 0) + 1);
    return counts;
  }

  meetBroker(): Promise<void> {
    return this.routes.greeting.opener.meet();
  }

  admission(client: Client): Denial | null {
    return this.clients.admit(client);
  }

  clientLeft(client: Client): void {
    this.clients.leave(client);
  }

  clientGone(client: Client): void {
    this.clients.remove(client);
  }

  report(level: 'debug' | 'info' | 'warn', pool: Pool, message: string, facts: object = {}): void {
    this.log[level]({ user: pool.user, vhost: pool.vhost, ...facts }, message);
  }

  maintain(now: number): void {
    for (const client of this.clients.clients) client.maintain(now);
    this.listeners.introductions.maintain(now);
    this.sentinel.maintain(now, this.registry.pools);
    this.registry.maintain(now);
    this.balance.maintain(now, this.routes.all, this.registry.pools);
    for (const { dialer } of this.routes.all) dialer.maintain();
  }

  /** Takes a checked configuration; what cannot change live keeps its value (the caller says so). `tells`: see `listen`. */
  reload(config: Config, tells = true): void {
    this.config = config;
    const changed = this.routes.configure(config);
    for (const route of changed) this.registry.leaveBrokers(route);
    if (changed.length === 0) this.registry.forgetLimits();
    this.registry.reroute();
    this.listeners.reload(tells);
  }

  // ---- by the operator's wish

  /** Upstreams, to one broker or to all, end with their last lease; whoever needs one gets a new one. */
  reconnect(broker?: string): void {
    for (const { opener } of this.routes.all) opener.leaveBrokers();
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
    await this.listeners.drain();
    for (const { opener } of this.routes.all) opener.dropSpare();
    this.registry.dropTuned();
    const { clients } = this.clients;
    const { termClientCloseTimeout, termTimeout } = this.config;
    const { introductions } = this.listeners;
    if (termClientCloseTimeout > 0) {
      await introductions.settled(MOMENT_S);
      await this.clients.gone(clients, termClientCloseTimeout);
    } else {
      this.dismiss(clients.filter(client => !isPassing(client)));
      await introductions.settled(MOMENT_S);
      await this.clients.gone(clients.filter(isPassing), MOMENT_S);
    }
    introductions.end();
    this.dismiss([...clients]);
    await this.clients.gone(clients, termTimeout < 0 ? Number.POSITIVE_INFINITY : termTimeout);
    for (const client of [...this.clients.clients]) client.transport.reset();
    this.registry.close();
    const until = performance.now() + 3000;
    while (this.stats.upstreams > 0 && performance.now() < until)
      await new Promise(resolve => setTimeout(resolve, 10));
    this.abort();
  }

  private dismiss(clients: Client[]): void {
    for (const { ending } of clients) ending.shutdown(SHUTDOWN.why);
  }

  /** Ends everything at once. */
  abort(): void {
    this.stopping = true;
    for (const { dialer } of this.routes.all) dialer.close();
    this.janitor.stop();
    for (const { opener } of this.routes.all) opener.dropSpare();
    this.listeners.close();
    this.listeners.introductions.end();
    for (const client of [...this.clients.clients]) client.transport.reset();
    this.registry.destroy();
  }
}
