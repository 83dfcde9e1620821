/**
 * A connection from an application: its socket, its end, and what others tell it. What its bytes mean is in the classes it
 * is made of, each a layer upon the one before:
 *
 *   amqp/scanner.ts   cuts the bytes into frames
 *   lease.ts          which upstream channels its channels use, and moving between them
 *   content.ts        messages on their way to the broker (the hot path)
 *   requests.ts       all other methods on its channels
 *   frames.ts         every frame, by the state of connection and channel
 *   login.ts          the handshake
 *
 *   header ▶ start ▶ tune ▶ open ▶ login ▶ running ─┬─ client closes ──▶ leaving ──▶ closed
 *                                                   └─ we close ──▶ closing ──▶ closed
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import type { Credentials } from '../amqp/sasl.ts';
import type { BadFrame, Verdict } from '../amqp/scanner.ts';
import { NEXT, STOP } from '../amqp/scanner.ts';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import { Heartbeat } from '../io/heartbeat.ts';
import { Inbox } from '../io/inbox.ts';
import { Outbox } from '../io/outbox.ts';
import type { Logins } from '../pool/logins.ts';
import type { Denial, Pool } from '../pool/pool.ts';
import type { Stats } from '../stats.ts';
import type { Broker } from '../upstream/broker.ts';
import type { Holder, Upstream } from '../upstream/upstream.ts';
import type { Peer } from '../upstream/upstream-channel.ts';
import { PAUSE } from './lease.ts';
import { ClientLogin } from './login.ts';
import { badFrame, type Offence, SILENCE } from './offences.ts';

/** What a client needs from the proxy. */
export interface ClientContext {
  readonly config: Config;
  readonly log: Logger;
  readonly stats: Stats;
  readonly broker: Broker;
  /** Resolves, never rejects, when the broker has been met or cannot be. */
  meetBroker(): Promise<void>;
  logins(credentials: Credentials): Logins;
  /** Null when the broker is known to take this login; otherwise resolves when it has, or rejects. */
  prove(logins: Logins): Promise<void> | null;
  pool(logins: Logins, vhost: string): Pool;
  /** Why this login may not come in now, null if it may. */
  admission(client: Client, user: string): Denial | null;
  clientGone(client: Client): void;
}

export type ClientState =
  | 'header'
  | 'start'
  | 'tune'
  | 'open'
  | 'login'
  | 'running'
  | 'leaving'
  | 'closing'
  | 'closed';

/** Milliseconds a client has to answer connection.close, or to hang up after close-ok. */
const LINGER_MS = 5_000;

/** Milliseconds in which a client that did not read may still hear why it was closed. */
const SLEEP_MS = 60_000;

/** What a client on a shared upstream may have waiting beyond client_buffer: one message got, of the largest size. */
const LARGEST_MESSAGE = 128 * 1024 * 1024;

export class Client extends ClientLogin implements Peer, Holder {
  readonly socket: Socket;
  readonly out: Outbox;
  private readonly inbox = new Inbox();
  private knownAddress: string | null = null;
  readonly heartbeat: Heartbeat;
  readonly acceptedAt = clock.now;
  state: ClientState = 'header';
  /** Counts among the clients of its user. */
  counted = false;
  private pauses = 0;
  private pausedUpstream: Upstream | null = null;
  private toldBlocked = false;
  /** The client broke the framing: what it sends from here on is not looked at. */
  private rawDiscard = false;
  /** Coarse time up to which we wait for the client to hang up. */
  private lingersUntil: number | null = null;

  /** Where it is in the proxy's list of clients. */
  slot = -1;

  /** `accepted` is paused. */
  constructor(accepted: Socket, context: ClientContext) {
    super(context);
    this.inbox.consume = chunk => this.read(chunk);
    const socket = this.inbox.adopt(accepted);
    this.socket = socket;
    this.out = new Outbox(socket, context.stats, 'clientBytesOut');
    this.heartbeat = new Heartbeat(this.out, clock.now);
    socket.on('drain', () => this.drained());
    socket.on('error', () => {});
    socket.on('end', () => this.peerEnded());
    socket.on('close', () => this.gone());
  }

  get address(): string {
    this.knownAddress ??= `${this.socket.remoteAddress}:${this.socket.remotePort}`;
    return this.knownAddress;
  }

  get facts(): object {
    return { user: this.user || undefined, vhost: this.vhost || undefined, client: this.address };
  }

  private read(chunk: Buffer): void {
    this.heartbeat.lastRead = clock.now;
    this.stats.clientBytesIn += chunk.length;
    if (this.state === 'header') this.readHeader(chunk);
    else if (this.rawDiscard) {
      if (chunk.includes(frames.CONNECTION_CLOSE_OK)) this.finish();
    } else if (this.state !== 'closed') {
      this.feed(chunk);
      if (this.isStopped) this.pause(PAUSE.SCAN);
    }
  }

  // ---- connection methods while running

  protected override clientCloses(): void {
    this.state = 'leaving';
    if (this.config.close === 'instant') {
      this.releaseAll(null);
      this.farewell();
    } else
      this.releaseAll(() => {
        if (this.state === 'leaving') this.farewell();
      });
  }

  protected override closeOkReceived(): void {
    this.finish();
  }

  /** Closes the client's connection for what it did; the reason is the broker's own. Frames that follow are ignored. */
  override offend(why: Offence): Verdict {
    if (why === SILENCE || (this.state !== 'running' && this.state !== 'login' && this.state !== 'open')) {
      this.stats.refuse('protocol');
      this.context.log.info(
        this.facts,
        why === SILENCE ? 'Client closed: a malformed frame' : `Client closed: ${why.text}`,
      );
      this.finish();
      return STOP;
    }
    this.stats.refuse(String(why.code));
    this.context.log.info(this.facts, `Client closed: ${why.code} ${why.text}`);
    this.sendClose(why);
    return NEXT;
  }

  /** Ends the connection from our side: connection.close, then the socket once it is answered. */
  sendClose(why: CloseReason): void {
    if (this.state === 'closing' || this.state === 'closed') return;
    if (this.state === 'leaving') {
      this.farewell();
      return;
    }
    this.state = 'closing';
    this.out.write(frames.connectionClose(why));
    this.releaseAll(null);
    this.goOn();
    this.linger();
  }

  protected override badFrame(bad: BadFrame): void {
    if (this.state === 'closing') {
      this.finish();
      return;
    }
    this.offend(badFrame(bad));
    this.rawDiscard = true;
  }

  /** Answers the client's close. Hanging up is the client's part then: RabbitMQ waits for that, too. */
  private farewell(): void {
    this.out.write(frames.CONNECTION_CLOSE_OK);
    this.finish(false);
  }

  /** Our side is done: sends what is queued, half-closes, and reads on (no reset) until the client hangs up. */
  protected override finish(hangUp = true): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.discardInput();
    this.releaseAll(null);
    if (hangUp) this.out.end();
    this.pauses = 0;
    this.socket.resume();
    this.linger();
  }

  private linger(ms = LINGER_MS): void {
    this.lingersUntil ??= clock.now + ms;
  }

  private peerEnded(): void {
    if (this.state !== 'closed') {
      this.state = 'closed';
      this.discardInput();
      this.releaseAll(null);
    }
    // with nothing left to say, closing sends what shutting down would have sent: one system call, not two
    if (this.out.pending === 0 && !(this.socket instanceof TLSSocket)) this.socket.destroy();
    else this.out.end();
  }

  private gone(): void {
    this.inbox.close();
    this.out.close();
    // the runtime keeps a closed socket until the next full collection: it shall not keep us, too
    this.socket.removeAllListeners();
    this.state = 'closed';
    this.discardInput();
    this.releaseAll(null);
    if (this.counts) this.pool!.clients--;
    this.counts = false;
    this.context.clientGone(this);
  }

  /** At once, without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  // ---- reading and writing

  protected override pause(why: number): void {
    if (this.state === 'closed') return; // read on, so that the client is seen to hang up
    if (this.pauses === 0) this.socket.pause();
    this.pauses |= why;
  }

  protected override unpause(why: number): void {
    if ((this.pauses & why) === 0) return;
    this.pauses &= ~why;
    if (this.pauses === 0 && !this.socket.destroyed) {
      this.heartbeat.lastRead = clock.now;
      this.socket.resume();
    }
  }

  protected override upstreamFull(upstream: Upstream): void {
    upstream.waitingForDrain.add(this);
    this.pause(PAUSE.UPSTREAM);
  }

  upstreamDrained(): void {
    this.unpause(PAUSE.UPSTREAM);
  }

  written(from: Upstream): void {
    const { pending } = this.out;
    const limit = this.config.clientBuffer;
    if (pending <= limit / 2) return;
    if (from === this.private) {
      if (this.pausedUpstream === null) {
        this.pausedUpstream = from;
        from.pauseReading();
      }
      return;
    }
    this.pause(PAUSE.OUTPUT);
    if (pending > (this.sharedConsumer ? limit : limit + LARGEST_MESSAGE)) {
      this.stats.refuse('client_buffer');
      this.context.log.warn(
        this.facts,
        `Client closed: it does not read, ${pending} bytes wait for it (client_buffer)`,
      );
      this.linger(SLEEP_MS); // it is told when it wakes
      this.sendClose(
        reason('RESOURCE_ERROR', `${pending} bytes are waiting to be read, more than client_buffer allows`),
      );
    }
  }

  private drained(): void {
    this.resumeUpstream();
    this.unpause(PAUSE.OUTPUT);
  }

  protected override resumeUpstream(): void {
    const upstream = this.pausedUpstream;
    this.pausedUpstream = null;
    upstream?.resumeReading();
  }

  // ---- told by upstreams

  updateSecretOk(): void {
    if (this.state === 'running') this.out.write(frames.methodFrame(0, M.CONNECTION_UPDATE_SECRET_OK));
  }

  /** connection.blocked and unblocked go to the clients concerned that announced the capability. */
  blockedChanged(upstream: Upstream): void {
    if (!this.blockedNotify || this.state !== 'running' || !this.uses(upstream)) return;
    this.tellBlocked(upstream);
  }

  private tellBlocked(upstream: Upstream): void {
    if (upstream.blocked !== null && !this.toldBlocked) {
      this.toldBlocked = true;
      this.out.write(
        frames.methodFrame(0, M.CONNECTION_BLOCKED, new frames.Writer(64).shortstr(upstream.blocked).take()),
      );
    } else if (upstream.blocked === null && this.toldBlocked) {
      this.toldBlocked = false;
      this.out.write(frames.methodFrame(0, M.CONNECTION_UNBLOCKED));
    }
  }

  /** A client that begins to publish into a blocked upstream is told, as the broker would. */
  protected override publishesInto(upstream: Upstream): void {
    if (this.blockedNotify && upstream.blocked !== null) this.tellBlocked(upstream);
  }

  // ---- maintenance

  /** Heartbeats, the handshake time-out and the release of idle leases. `now` as of the coarse clock. */
  maintain(now: number): void {
    if (this.lingersUntil !== null) {
      if (now > this.lingersUntil) this.destroy();
      return;
    }
    if (this.state !== 'running' && this.state !== 'leaving') {
      if (this.state !== 'login' && now - this.acceptedAt > this.config.handshakeTimeout * 1000) {
        this.stats.refuse('handshake_timeout');
        this.context.log.info(this.facts, 'Client closed: the handshake took longer than handshake_timeout');
        this.destroy();
      }
      return;
    }
    if (!this.heartbeat.check(now, this.pauses === 0)) {
      this.stats.refuse('heartbeat');
      this.context.log.info(this.facts, `Client closed: no heartbeat for ${this.heartbeat.interval * 2} s`);
      this.destroy();
      return;
    }
    if (this.state === 'running') this.releaseIdle(now);
  }
}
