/**
 * A connection from an application: what it is made of, its end, and what others tell it. Its bytes come by the transport and
 * are cut into frames by the scanner; frames.ts takes them, by state, to the handshake, to methods.ts, or to publisher.ts.
 */
import type { Logger } from 'pino';
import type { CloseReason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { type BadFrame, FrameScanner, NEXT, type Verdict } from '../amqp/scanner.ts';
import type { Config } from '../config/options.ts';
import { PAUSE, type Transport, type TransportUser } from '../io/transport.ts';
import type { Denial } from '../pool/denial.ts';
import type { Pool } from '../pool/pool.ts';
import { clientNumbers, share } from '../share.ts';
import type { Stats } from '../stats.ts';
import type { Carrier } from '../upstream/carrier.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { Alarms } from './alarms.ts';
import { BackPressure } from './back-pressure.ts';
import type { ClientChannel } from './channel.ts';
import { ClientChannels } from './channels.ts';
import { DiscardedContent } from './discarded.ts';
import { Ending } from './ending.ts';
import { ClientFrames, type Connection } from './frames.ts';
import { ClientHandshake, type HandshakeContext, type Newcomer } from './handshake.ts';
import { Methods } from './methods.ts';
import { Negotiated } from './negotiation.ts';
import type { Offence } from './offences.ts';
import { Promotion } from './promotion.ts';
import { Publisher } from './publisher.ts';
import { Runs } from './runs.ts';
import type { ClientState } from './session.ts';
import { Stay } from './stay.ts';
import { Timeouts } from './timeouts.ts';
import { Trail } from './trail.ts';

/** What a client needs from the proxy. */
export interface ClientContext extends HandshakeContext {
  readonly log: Logger;
  /** Why this login may not come in now, null if it may. */
  admission(client: Client): Denial | null;
  clientLeft(client: Client): void;
  clientGone(client: Client): void;
}

/** Bytes that may wait to be scanned, with what one read brings on top, before the client is read no more. */
const INPUT_MAX = 65_536;
/** The largest frame before the tune: long enough for any token in start-ok (RabbitMQ's initial_frame_max). */
const HANDSHAKE_FRAME_MAX = 65_536;

export class Client implements Connection, Newcomer, TransportUser {
  private readonly number = share.number(clientNumbers.next());
  readonly transport: Transport;
  readonly out: Transport['out'];
  readonly negotiated = new Negotiated();
  readonly ending = new Ending(this);
  readonly trail: Trail = new Trail(this);
  readonly stay: Stay;
  delivered = 0;
  /** Kept by the proxy: where it is in the list of clients, and whether it has a place that max_clients bounds. */
  slot = -1;
  admitted = false;
  private readonly context: ClientContext;
  private handshake: ClientHandshake | null;
  private readonly scanner: FrameScanner;
  readonly channels: ClientChannels;
  readonly promotion: Promotion;
  private readonly runs: Runs;
  readonly publisher: Publisher;
  private readonly pressure: BackPressure;
  readonly alarms: Alarms;
  private readonly timeouts: Timeouts;
  /** It has ended its side, and has not been read to the end yet. */
  private inputEnded = false;

  constructor(transport: Transport, context: ClientContext, now: number) {
    this.transport = transport;
    this.out = transport.out;
    this.stay = new Stay(this, now);
    this.context = context;
    this.handshake = new ClientHandshake(this, context);
    this.runs = new Runs(this);
    this.promotion = new Promotion(this);
    this.channels = new ClientChannels(this, this.promotion);
    this.pressure = new BackPressure(this);
    this.alarms = new Alarms(this);
    this.timeouts = new Timeouts(this, this.channels, now);
    const discarded = new DiscardedContent(this, this.runs);
    this.publisher = new Publisher(this, this.channels, this.promotion, this.runs, discarded);
    const methods = new Methods(this, this.channels, this.promotion, this.runs);
    const sink = new ClientFrames(this, this.channels, this.publisher, discarded, methods);
    this.scanner = new FrameScanner(sink, HANDSHAKE_FRAME_MAX, this.publisher);
    transport.start(this);
  }

  // ---- who it is

  /** By which the operator and the log know it. */
  get name(): string {
    return `c${this.number}`;
  }

  get config(): Config {
    return this.context.config;
  }

  get log(): Logger {
    return this.context.log;
  }

  get stats(): Stats {
    return this.context.stats;
  }

  get user(): string {
    return this.negotiated.user;
  }

  get facts(): object {
    const { user, vhost } = this.negotiated;
    return { id: this.name, user: user || undefined, vhost: vhost || undefined, client: this.transport.peer };
  }

  get pool(): Pool {
    return this.negotiated.pool!;
  }

  get peer(): this {
    return this;
  }

  get frameMax(): number {
    return this.negotiated.frameMax;
  }

  get framePayload(): number {
    return this.negotiated.frameMax - frames.FRAME_OVERHEAD;
  }

  get channelMax(): number {
    return this.negotiated.channelMax;
  }

  get cancelNotify(): boolean {
    return this.negotiated.cancelNotify;
  }

  // ---- reading

  received(chunk: Buffer): void {
    if (this.handshake?.state === 'header') this.handshake.readHeader(chunk);
    else if (!this.ending.discards(chunk)) {
      this.scanner.feed(chunk);
      if (this.scanner.stashed > INPUT_MAX) this.transport.pause(PAUSE.INPUT);
    }
  }

  scan(rest: Buffer, later: boolean): void {
    if (later) this.scanner.halt();
    if (rest.length > 0) this.scanner.feed(rest);
  }

  /** Takes up scanning where it stopped. */
  goOn(): void {
    this.promotion.advance();
    this.scanner.resume();
    if (this.scanner.stashed <= INPUT_MAX) this.transport.resume(PAUSE.INPUT);
    if (this.inputEnded && !this.scanner.isStopped) this.gone();
  }

  confirmed(): void {
    this.channels.confirmed();
    this.goOn();
  }

  sendRun(): void {
    this.runs.send();
  }

  dropMessage(channel: ClientChannel): void {
    this.publisher.drop(channel);
  }

  peerEnded(): void {
    // what it sent before counts, as with the broker; but nobody waits for room for one that has gone
    if (this.state === 'running' && this.scanner.isStopped && !this.channels.waiting) this.inputEnded = true;
    else this.gone();
  }

  /** The client has hung up. */
  private gone(): void {
    this.inputEnded = false;
    this.ending.gone();
    this.transport.endBoth();
  }

  // ---- the handshake

  handshakeMethod(methodKey: number, buf: Buffer, at: number, size: number): Verdict {
    return this.handshake === null ? NEXT : this.handshake.method(methodKey, buf, at, size);
  }

  admission(): Denial | null {
    return this.context.admission(this);
  }

  requestUpstream(ready: () => void): void {
    this.promotion.request(ready);
  }

  opened(pool: Pool, reused: boolean, seconds: number): void {
    this.handshake = null;
    this.ending.opened();
    this.scanner.maxPayload = this.negotiated.frameMax;
    this.transport.heartbeat.interval = this.negotiated.heartbeat;
    this.trail.opened(reused, seconds, this.negotiated);
    this.stay.begins(pool, reused);
    this.out.write(frames.CONNECTION_OPEN_OK);
    this.goOn();
  }

  // ---- connection methods while running

  clientCloses(): void {
    this.ending.leaves();
    this.channels.leaveAll(() => this.ending.farewell());
  }

  closeOkReceived(): void {
    this.ending.finish();
  }

  updateSecretOk(): void {
    if (this.state === 'running') this.out.write(frames.UPDATE_SECRET_OK);
  }

  // ---- its end

  get state(): ClientState {
    return this.ending.state;
  }

  get toldInHandshake(): boolean {
    return this.handshake?.state === 'open' || this.handshake?.waits === true;
  }

  offend(why: Offence): Verdict {
    return this.ending.offend(why);
  }

  badFrame(bad: BadFrame): void {
    this.ending.badFrame(bad);
  }

  deny(denial: Denial): void {
    this.ending.deny(denial);
  }

  lose(why: CloseReason | null): void {
    this.ending.lose(why);
  }

  topologyLost(why: CloseReason | null): void {
    if (this.state === 'running') this.ending.lose(why);
  }

  privateLost(why: CloseReason | null): void {
    if (this.promotion.lost()) this.ending.lose(why);
    else this.channels.waitElsewhere();
  }

  endParts(): void {
    this.handshake?.abandon();
    this.stay.ends();
    this.pressure.release();
    this.channels.abandonAll();
    this.alarms.end();
    this.negotiated.pool?.topologies.forget(this);
    this.context.clientLeft(this);
  }

  moveAll(): boolean {
    return this.channels.moveAll();
  }

  rewind(bytes: Buffer): void {
    this.scanner.rewind(bytes);
  }

  stopScanning(): void {
    this.scanner.close();
  }

  channelClosed(channel: ClientChannel): void {
    this.channels.closed(channel);
  }

  channelLeft(): void {
    this.channels.left();
  }

  transportClosed(error: Error | null): void {
    if (this.transport.unsecured) this.ending.noTls(error);
    this.ending.gone();
    this.trail.ended();
    this.context.clientGone(this);
  }

  // ---- told by upstreams

  upstreamFull(upstream: Carrier): void {
    this.pressure.upstreamFull(upstream);
  }

  written(from: Carrier): void {
    this.pressure.written(from);
  }

  get privateUpstream(): Upstream | null {
    return this.promotion.upstream;
  }

  sharesConsumer(): void {
    this.pressure.consumesFromShared();
  }

  upstreamBlocked(upstream: Carrier): void {
    this.alarms.blocked(upstream);
  }

  upstreamUnblocked(upstream: Carrier): void {
    this.alarms.unblocked(upstream);
    this.goOn();
  }

  // ---- maintenance

  get isExpected(): boolean {
    return this.handshake?.waits === false;
  }

  get isWaiting(): boolean {
    return this.scanner.isStopped;
  }

  /** `now` as of the coarse clock. */
  maintain(now: number): void {
    this.timeouts.check(now);
  }
}
