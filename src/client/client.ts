/**
 * A connection from an application: what it is made of, its end, and what others tell it.
 *
 *   io/transport.ts     its socket, heartbeats, pauses
 *   amqp/scanner.ts     cuts the bytes into frames; client/frames.ts takes them, by state, to
 *   client/handshake.ts   the login
 *   client/methods.ts     methods on its channels
 *   client/publisher.ts   messages on their way to the broker (the hot path)
 *   client/channels.ts  its channels (channel.ts), and how they come to upstream channels
 *   client/promotion.ts   its way to an upstream of its own
 */
import type { Logger } from 'pino';
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { AGAIN, type BadFrame, FrameScanner, NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import type { Config } from '../config/options.ts';
import { PAUSE, type Transport, type TransportUser } from '../io/transport.ts';
import type { Pool } from '../pool/pool.ts';
import type { Denial } from '../pool/waiters.ts';
import type { Stats } from '../stats.ts';
import type { Carrier } from '../upstream/carrier.ts';
import type { ClientChannel } from './channel.ts';
import { ClientChannels } from './channels.ts';
import { ClientFrames, type Connection } from './frames.ts';
import { ClientHandshake, type HandshakeContext, type Newcomer } from './handshake.ts';
import { Methods } from './methods.ts';
import { Negotiated } from './negotiation.ts';
import { badFrame, type Offence, SILENCE } from './offences.ts';
import { Promotion } from './promotion.ts';
import { Publisher } from './publisher.ts';
import { Runs } from './runs.ts';
import type { ClientState } from './session.ts';

/** What a client needs from the proxy. */
export interface ClientContext extends HandshakeContext {
  readonly log: Logger;
  /** Why this login may not come in now, null if it may. */
  admission(client: Client): Denial | null;
  clientGone(client: Client): void;
}

/** Bytes that may wait to be scanned, with what one read brings on top, before the client is read no more. */
const INPUT_MAX = 65_536;
/** The largest frame before the tune: long enough for any token in start-ok (RabbitMQ's initial_frame_max). */
const HANDSHAKE_FRAME_MAX = 65_536;
/** Milliseconds in which a client that did not read may still hear why it was closed. */
const SLEEP_MS = 60_000;
/** What a client on a shared upstream may have waiting beyond client_buffer: one message got, of the largest size. */
const LARGEST_MESSAGE = 128 * 1024 * 1024;
/** Milliseconds of silence after which a client's clean leases are given back. */
const IDLE_LEASE_MS = 1500;

const LOST: CloseReason = reason('CONNECTION_FORCED', 'the connection to the broker was lost');

export class Client implements Connection, Newcomer, TransportUser {
  readonly transport: Transport;
  readonly out: Transport['out'];
  readonly negotiated = new Negotiated();
  state: ClientState = 'handshake';
  /** Where it is in the proxy's list of clients. */
  slot = -1;
  /** Counts among the clients of its user. */
  counted = false;
  private readonly context: ClientContext;
  private handshake: ClientHandshake | null;
  private readonly scanner: FrameScanner;
  private readonly channels: ClientChannels;
  private readonly promotion: Promotion;
  private readonly runs: Runs;
  private readonly publisher: Publisher;
  private readonly acceptedAt: number;
  private knownAddress: string | null = null;
  /** A consumer of this client is on a shared upstream. */
  private sharedConsumer = false;
  /** Upstreams that it uses, or used, and that the broker has blocked. */
  private blockedBy: Set<Carrier> | null = null;
  /** The upstream of its own that is not read, because the client does not read. */
  private pausedUpstream: { resumeReading(): void } | null = null;
  /** The client broke the framing: what it sends from here on is not looked at. */
  private rawDiscard = false;
  /** It has ended its side, and has not been read to the end yet. */
  private inputEnded = false;

  constructor(transport: Transport, context: ClientContext, now: number) {
    this.transport = transport;
    this.out = transport.out;
    this.context = context;
    this.acceptedAt = now;
    this.handshake = new ClientHandshake(this, context);
    this.runs = new Runs(this);
    this.promotion = new Promotion(this, () => this.channels.moveAll());
    this.channels = new ClientChannels(this, this.promotion);
    this.publisher = new Publisher(this, this.channels, this.promotion, this.runs, bytes =>
      this.scanner.rewind(bytes),
    );
    const methods = new Methods(this, this.channels, this.promotion, this.runs);
    const sink = new ClientFrames(this, this.channels, this.publisher, methods);
    this.scanner = new FrameScanner(sink, HANDSHAKE_FRAME_MAX);
    transport.start(this);
  }

  // ---- who it is

  get config(): Config {
    return this.context.config;
  }

  get stats(): Stats {
    return this.context.stats;
  }

  get address(): string {
    this.knownAddress ??= this.transport.peer;
    return this.knownAddress;
  }

  get user(): string {
    return this.negotiated.user;
  }

  get facts(): object {
    const { user, vhost } = this.negotiated;
    return { user: user || undefined, vhost: vhost || undefined, client: this.address };
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
    else if (this.rawDiscard) {
      if (chunk.includes(frames.CONNECTION_CLOSE_OK)) this.finish();
    } else if (this.state !== 'closed') {
      this.scanner.feed(chunk);
      if (this.scanner.stashed > INPUT_MAX) this.transport.pause(PAUSE.INPUT);
    }
  }

  scan(rest: Buffer): void {
    this.scanner.feed(rest);
  }

  halt(): void {
    this.scanner.halt();
  }

  /** Takes up scanning where it stopped. */
  goOn(): void {
    this.promotion.advance();
    this.scanner.resume();
    if (this.scanner.stashed <= INPUT_MAX) this.transport.resume(PAUSE.INPUT);
    if (this.inputEnded && !this.scanner.isStopped) this.gone();
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
    if (this.state !== 'closed') this.ends();
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

  opened(pool: Pool): void {
    this.handshake = null;
    this.state = 'running';
    this.scanner.maxPayload = this.negotiated.frameMax;
    this.transport.heartbeat.interval = this.negotiated.heartbeat;
    pool.clients++;
    this.out.write(frames.CONNECTION_OPEN_OK);
    this.goOn();
  }

  refuse(cause: string, why: CloseReason | null, text: string): void {
    this.stats.loginsRefused++;
    this.stats.refuse(cause);
    this.context.log.info(this.facts, `Login refused: ${text}`);
    if (why === null) this.finish();
    else this.close(why);
  }

  refuseHeader(): void {
    this.stats.refuse('protocol_header');
    this.context.log.info(this.facts, 'Client refused: its protocol header is not AMQP 0-9-1');
    this.out.write(frames.PROTOCOL_HEADER);
    this.finish();
  }

  // ---- connection methods while running

  clientCloses(): void {
    this.runs.send();
    this.state = 'leaving';
    if (this.config.close === 'instant') {
      this.endLeases();
      this.farewell();
    } else this.channels.leaveAll(() => this.farewell());
  }

  closeOkReceived(): void {
    this.finish();
  }

  updateSecret(frame: Buffer): Verdict {
    if (!this.promotion.promote()) return this.state === 'running' ? AGAIN : NEXT;
    this.promotion.spend();
    this.runs.send();
    this.promotion.upstream!.out.write(Buffer.from(frame));
    return NEXT;
  }

  updateSecretOk(): void {
    if (this.state === 'running') this.out.write(frames.methodFrame(0, M.CONNECTION_UPDATE_SECRET_OK));
  }

  // ---- closing it

  offend(why: Offence): Verdict {
    const told =
      why !== SILENCE &&
      (this.state === 'running' || this.handshake?.state === 'open' || this.handshake?.waits);
    this.stats.refuse(told ? String(why.code) : 'protocol');
    const text = why === SILENCE ? 'a malformed frame' : told ? `${why.code} ${why.text}` : why.text;
    this.context.log.info(this.facts, `Client closed: ${text}`);
    if (!told) {
      this.finish();
      return STOP;
    }
    this.close(why);
    return NEXT;
  }

  badFrame(bad: BadFrame): void {
    if (this.state === 'closing') {
      this.finish();
      return;
    }
    this.offend(badFrame(bad));
    this.rawDiscard = true;
  }

  deny({ cause, why }: Denial): void {
    if (this.state !== 'running') {
      this.refuse(cause, why, why.text);
      return;
    }
    this.stats.refuse(cause);
    this.context.log.info(this.facts, `Client closed: ${why.text}`);
    this.close(why);
  }

  lose(why: CloseReason | null): void {
    if (this.state === 'leaving') this.leftLost();
    if (this.state !== 'running') return;
    this.stats.refuse('upstream_lost');
    this.context.log.info(this.facts, `Client closed: ${why?.text ?? LOST.text}`);
    this.close(why ?? LOST);
  }

  topologyLost(why: CloseReason | null): void {
    this.lose(why);
  }

  /** The proxy is shutting down. Who is leaving already is told when that is done. */
  shutdown(why: CloseReason): void {
    if (this.state !== 'leaving') this.close(why);
  }

  /** Ends the connection from our side: connection.close, then the socket once it is answered. Frames that follow are ignored. */
  close(why: CloseReason): void {
    if (this.state === 'closing' || this.state === 'closed') return;
    this.handshake?.abandon();
    this.state = 'closing';
    this.out.write(frames.connectionClose(why));
    this.endLeases();
    this.goOn();
    this.transport.linger();
  }

  // ---- its channels end

  channelClosed(channel: ClientChannel): void {
    this.channels.closed(channel);
  }

  channelLeft(): void {
    this.channels.left();
  }

  /** What it published last may be lost: so it gets no close-ok, as from a broker that dies. */
  private leftLost(): void {
    if (this.state !== 'leaving') return;
    this.stats.refuse('upstream_lost');
    this.context.log.info(
      this.facts,
      'Client closed: the connection to the broker was lost before its close was answered',
    );
    this.finish();
  }

  privateLost(why: CloseReason | null): void {
    if (this.promotion.lost()) this.lose(why);
  }

  /** Ends what it has upstream; it hears no more of it. */
  private endLeases(): void {
    this.pausedUpstream?.resumeReading();
    this.pausedUpstream = null;
    this.channels.abandonAll();
    if (this.blockedBy !== null) for (const upstream of this.blockedBy) upstream.forget(this);
    this.blockedBy = null;
    this.negotiated.pool?.topologies.delete(this);
  }

  // ---- its end

  /** Answers the client's close. Hanging up is the client's part then: RabbitMQ waits for that, too. */
  private farewell(): void {
    if (this.state !== 'leaving') return;
    this.out.write(frames.CONNECTION_CLOSE_OK);
    this.finish(false);
  }

  /** Our side is done: sends what is queued, half-closes, and reads on (no reset) until the client hangs up. */
  private finish(hangUp = true): void {
    if (this.state === 'closed') return;
    this.ends();
    if (hangUp) this.transport.end();
    this.transport.readToEnd();
    this.transport.linger();
  }

  private ends(): void {
    if (this.handshake === null && this.state !== 'closed') this.pool.clients--;
    this.handshake?.abandon();
    this.state = 'closed';
    this.scanner.close();
    this.endLeases();
  }

  transportClosed(): void {
    if (this.state !== 'closed') this.ends();
    this.context.clientGone(this);
  }

  /** At once, without a word. */
  destroy(): void {
    this.transport.destroy();
  }

  // ---- back-pressure

  upstreamFull(upstream: Carrier): void {
    this.transport.pause(PAUSE.OTHER_SIDE);
    upstream.whenDrained(this);
  }

  upstreamDrained(): void {
    this.transport.resume(PAUSE.OTHER_SIDE);
  }

  written(from: Carrier): void {
    const { pending } = this.out;
    const limit = this.config.clientBuffer;
    if (pending <= limit / 2) return;
    const mine = this.promotion.upstream;
    if (from === mine) {
      if (this.pausedUpstream !== null) return;
      this.pausedUpstream = mine;
      mine.pauseReading();
      this.out.whenDrained(() => this.drained());
      return;
    }
    this.transport.pause(PAUSE.OUTPUT);
    this.out.whenDrained(() => this.drained());
    if (pending > (this.sharedConsumer ? limit : limit + LARGEST_MESSAGE)) {
      this.stats.refuse('client_buffer');
      this.context.log.warn(
        this.facts,
        `Client closed: it does not read, ${pending} bytes wait for it (client_buffer)`,
      );
      this.transport.linger(SLEEP_MS); // it is told when it wakes
      this.close(
        reason('RESOURCE_ERROR', `${pending} bytes are waiting to be read, more than client_buffer allows`),
      );
    }
  }

  private drained(): void {
    this.pausedUpstream?.resumeReading();
    this.pausedUpstream = null;
    this.transport.resume(PAUSE.OUTPUT);
  }

  sharesConsumer(): void {
    this.sharedConsumer = true;
  }

  // ---- alarms

  /** connection.blocked and unblocked, in pairs, go to the clients concerned that announced the capability. */
  upstreamBlocked(upstream: Carrier): void {
    this.blockedBy ??= new Set();
    this.blockedBy.add(upstream);
    if (this.blockedBy.size > 1 || !this.negotiated.blockedNotify || this.state !== 'running') return;
    const why = new frames.Writer(64).shortstr(upstream.blocked ?? '').take();
    this.out.write(frames.methodFrame(0, M.CONNECTION_BLOCKED, why));
  }

  upstreamUnblocked(upstream: Carrier): void {
    if (!this.blockedBy?.delete(upstream)) return;
    if (this.blockedBy.size === 0 && this.negotiated.blockedNotify && this.state === 'running')
      this.out.write(frames.methodFrame(0, M.CONNECTION_UNBLOCKED));
    this.goOn();
  }

  // ---- maintenance

  /** Heartbeats, time-outs and the release of idle leases. `now` as of the coarse clock; `judge` unless we stood still. */
  maintain(now: number, judge: boolean): void {
    const { transport, config, handshake } = this;
    if (!transport.tick(now, judge)) {
      this.cut('heartbeat', `no heartbeat for ${transport.heartbeat.interval * 2} s`);
      return;
    }
    if (transport.lingering) return;
    if (handshake !== null) {
      if (handshake.waits || now - this.acceptedAt <= config.handshakeTimeout * 1000) return;
      this.stats.refuse('handshake_timeout');
      this.context.log.info(this.facts, 'Client closed: the handshake took longer than handshake_timeout');
      this.destroy();
      return;
    }
    if (config.sendTimeout > 0 && transport.stuckFor(now) > config.sendTimeout * 1000) {
      this.cut('send_timeout', `it has read nothing for ${config.sendTimeout} s (send_timeout)`);
      return;
    }
    if (this.state !== 'running') return;
    this.channels.maintain(now);
    if (now - transport.heartbeat.lastRead >= IDLE_LEASE_MS && !this.scanner.isStopped)
      this.channels.releaseIdle();
  }

  /** Ends it with a reset, so that its next write fails, as RabbitMQ does. */
  private cut(cause: string, why: string): void {
    this.stats.refuse(cause);
    this.context.log.info(this.facts, `Client closed: ${why}`);
    this.transport.reset();
  }
}
