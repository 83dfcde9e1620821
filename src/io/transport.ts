/**
 * One connection's socket, the same for both sides: bytes in and out, heartbeats, pauses, keepalive, lingering and the
 * ways to end.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { clock } from '../clock.ts';
import { READ_SIZE } from '../memory.ts';
import type { Traffic } from '../stats.ts';
import { type Arrival, isLoopback, type Origin } from './arrival.ts';
import { type Accepted, BareSocket } from './bare-socket.ts';
import { Heartbeat } from './heartbeat.ts';
import { type Consumer, Inbox } from './inbox.ts';
import { Outbox } from './outbox.ts';
import { certificateFault, certificateName } from './peer-certificate.ts';
import { turn } from './turn.ts';
import { unacked } from './unacked.ts';
import type { Reader } from './wire.ts';

/** Who a transport belongs to. */
export interface TransportUser {
  /** Bytes came; borrowed (`memory.ts`). */
  received(chunk: Buffer): void;
  /** The peer has ended its side. */
  peerEnded(): void;
  /** The socket is closed: the last call. */
  transportClosed(error: Error | null): void;
}

/** Why a socket is not read for now: a set of these. */
export const PAUSE = {
  /** Too much waits to be scanned. */
  INPUT: 1,
  /** Too much waits to be read by this peer. */
  OUTPUT: 2,
  /** Too much waits to be taken by the peer of the other side. */
  OTHER_SIDE: 4,
  /** It has had its share of this turn of the event loop. */
  TURN: 8,
} as const;

/** Milliseconds a peer has to hang up once it has been told to. */
const LINGER_MS = 5_000;
/** Seconds of silence after which the kernel looks whether the peer is still there. */
const KEEPALIVE_S = 30;

const ignore = (): void => {};

export class Transport implements Reader, Consumer {
  private readonly socket: Accepted;
  readonly out: Outbox;
  readonly heartbeat: Heartbeat;
  private readonly inbox: Inbox;
  /** The TCP socket beneath, where TLS is spoken. */
  private readonly tcp: Accepted;
  private readonly traffic: Traffic;
  private readonly origin: Origin | null;
  private knownPeer: string | null;
  /** Bytes that were read. */
  bytesIn = 0;
  private user: TransportUser | null = null;
  private pauses = 0;
  private error: Error | null = null;
  /** Coarse time up to which we wait for the peer to hang up. */
  private lingersUntil: number | null = null;
  private takenSeen = 0;
  private takenAt = 0;
  private keptAlive = false;
  private toEnd = false;
  private shaken = false;
  /** By its certificate. */
  private refused = false;
  /** The name in the certificate that it has shown. */
  certificate = '';

  /** `socket` reads into `inbox`; `tcp` is what is beneath a TLS socket. */
  constructor(socket: Accepted, inbox: Inbox, traffic: Traffic, tcp = socket, origin: Origin | null = null) {
    this.socket = socket;
    this.tcp = tcp;
    this.inbox = inbox;
    this.traffic = traffic;
    this.origin = origin;
    this.knownPeer = origin?.peer ?? null;
    this.out = new Outbox(socket, traffic);
    this.heartbeat = new Heartbeat(this.out);
  }

  /** Takes over a socket that a listener has accepted. */
  static accept({ socket: accepted, tls, origin, first }: Arrival, traffic: Traffic): Transport {
    const inbox = new Inbox();
    if (accepted instanceof BareSocket) return new Transport(accepted, inbox, traffic, accepted, origin);
    if (tls === null) {
      const socket = inbox.adopt(accepted);
      if (first !== null) process.nextTick(() => inbox.consumer.consume(first)); // nothing is read before that
      return new Transport(socket, inbox, traffic, socket, origin);
    }
    void accepted.remoteAddress; // looked up now, to be known after an early end, too
    if (first !== null) accepted.unshift(first);
    const socket = new TLSSocket(accepted, {
      isServer: true,
      secureContext: tls.context,
      requestCert: tls.asksForCertificate,
      rejectUnauthorized: tls.asksForCertificate,
    });
    const transport = new Transport(inbox.adopt(socket), inbox, traffic, accepted, origin);
    if (tls.asksForCertificate) transport.checkCertificate(socket);
    return transport;
  }

  /** Ends who has shown none that counts, before anything is taken from it. */
  private checkCertificate(socket: TLSSocket): void {
    socket.once('secure', () => {
      const fault = certificateFault(socket);
      if (fault === null) {
        this.certificate = certificateName(socket);
        return;
      }
      this.error ??= fault;
      this.refused = true;
      this.inbox.close();
      this.reset();
    });
  }

  /** Begins to read. */
  start(user: TransportUser): void {
    this.user = user;
    const { socket, tcp, inbox } = this;
    inbox.consumer = this;
    if (socket instanceof BareSocket) {
      socket.readInto(this);
      return;
    }
    socket.on('error', error => {
      this.error = error;
    });
    socket.on('end', () => this.ended());
    socket.on('close', () => {
      // the runtime keeps a closed socket until the next full collection: it shall not keep us, too
      socket.removeAllListeners();
      socket.on('error', ignore);
      this.closed(this.error);
    });
    if (!this.isTls) return;
    (tcp as Socket).on('error', ignore); // the TLS socket tells
    socket.once('secure', () => {
      this.shaken = !this.refused;
    });
  }

  consume(chunk: Buffer): void {
    this.heartbeat.lastRead = clock.now;
    this.traffic.bytesIn += chunk.length;
    this.bytesIn += chunk.length;
    const { out, user } = this;
    turn.readBegins(chunk.length);
    out.answers();
    user?.received(chunk);
    out.answered();
    turn.readEnds();
    if (chunk.length === READ_SIZE && !(this.socket instanceof BareSocket)) this.letOthers();
  }

  /** Who fills a buffer is read on in the next turn, or nobody else would be served for long; bare sockets see to that. */
  private letOthers(): void {
    this.pause(PAUSE.TURN);
    setImmediate(() => this.resume(PAUSE.TURN));
  }

  // ---- told by the socket

  next(): Buffer {
    return this.inbox.next();
  }

  took(size: number, buffer: Buffer): void {
    this.inbox.took(size, buffer);
  }

  ended(): void {
    this.user?.peerEnded();
  }

  closed(error: Error | null): void {
    this.inbox.close();
    this.out.close();
    const { user } = this;
    this.user = null;
    user?.transportClosed(error);
  }

  get isTls(): boolean {
    return this.tcp !== this.socket;
  }

  /** Its TLS handshake is not over. */
  get unsecured(): boolean {
    return this.isTls && !this.shaken;
  }

  /** The peer has sent something, if only the beginning of a handshake. */
  get hasRead(): boolean {
    return this.tcp.bytesRead > 0;
  }

  /** The peer's address and port, for people. To be asked for while the connection lasts; then it is known afterwards, too. */
  get peer(): string {
    const { remoteAddress, remotePort } = this.tcp;
    if (remoteAddress !== undefined) this.knownPeer ??= `${remoteAddress}:${remotePort}`;
    return this.knownPeer ?? 'gone';
  }

  /** The port on our side. */
  get localPort(): number | undefined {
    return this.tcp.localPort;
  }

  /** The connection as RabbitMQ names it, where we have opened it. */
  get way(): string {
    const { localAddress, localPort } = this.tcp;
    return `${localAddress}:${localPort} -> ${this.peer}`;
  }

  /** Bytes that the peer's machine has not acknowledged; 0 where that cannot be seen. */
  get unacked(): number {
    return unacked(this.tcp);
  }

  /** It is of this host, as far as can be known. */
  get isLocal(): boolean {
    return this.origin?.isLocal ?? isLoopback(this.tcp.remoteAddress);
  }

  // ---- reading

  /** Nothing keeps it from being read, for longer than a turn. */
  get reading(): boolean {
    return (this.pauses & ~PAUSE.TURN) === 0;
  }

  pause(why: number): void {
    if (this.toEnd) return; // so that the peer is seen to hang up
    if (this.pauses === 0) this.socket.pause();
    this.pauses |= why;
  }

  resume(why: number): void {
    if ((this.pauses & why) === 0) return;
    this.pauses &= ~why;
    if (this.pauses === 0) this.readOn();
  }

  private readOn(): void {
    if (this.socket.destroyed) return;
    this.heartbeat.lastRead = clock.now;
    this.socket.resume();
  }

  // ---- periodic

  /**
   * Sends a heartbeat if one is due, and resets a peer that should have hung up. `now` as of the coarse clock. True while
   * the peer seems alive.
   */
  tick(now: number): boolean {
    const { heartbeat } = this;
    if (this.lingersUntil !== null) {
      if (now > this.lingersUntil) this.reset();
      return true;
    }
    if (!this.keptAlive) {
      this.keptAlive = true;
      this.tcp.setKeepAlive(true, KEEPALIVE_S * 1000);
    }
    heartbeat.send(clock.real);
    if (this.pauses !== 0) heartbeat.lastRead = now;
    return !heartbeat.silent(now);
  }

  /** Milliseconds in which the peer has taken nothing of what waits for it; 0 when nothing waits. To be asked periodically. */
  stuckFor(now: number): number {
    const { out } = this;
    const taken = out.taken - this.queued;
    if (out.pending === 0 || taken !== this.takenSeen) {
      this.takenSeen = taken;
      this.takenAt = now;
    }
    return now - this.takenAt;
  }

  /**
   * Bytes of the write under way that the kernel has not taken. A write may be all that waits, and the stream says nothing of
   * how far it has come; its handle does, without being asked in public: net's own time-outs look there (0 if it is gone).
   */
  private get queued(): number {
    if (this.tcp instanceof BareSocket) return this.tcp.writeQueueSize;
    const { _handle: handle } = this.tcp as Socket & { _handle?: { writeQueueSize?: number } | null };
    return handle?.writeQueueSize ?? 0;
  }

  // ---- the end

  /** Waits that many milliseconds, and no longer, for the peer to hang up. */
  linger(ms = LINGER_MS): void {
    this.lingersUntil ??= clock.now + ms;
  }

  get lingering(): boolean {
    return this.lingersUntil !== null;
  }

  /** Reads on to the end, whatever it was paused for. */
  readToEnd(): void {
    this.toEnd = true;
    if (this.pauses === 0) return;
    this.pauses = 0;
    this.readOn();
  }

  /** Sends what is queued, then ends our side. */
  end(): void {
    this.out.end();
  }

  /** Both sides have ended: with nothing left to say, closing sends what shutting down would have sent, in one system call. */
  endBoth(): void {
    if (this.out.pending === 0 && !this.isTls) this.socket.destroy();
    else this.out.end();
  }

  /** At once, without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  /** At once, with a reset: the peer's next write fails. */
  reset(): void {
    const { tcp } = this;
    // a Unix socket knows no reset: its end is one for who writes
    const isPipe = !(tcp instanceof BareSocket) && tcp.remoteFamily === undefined;
    if (tcp.destroyed || isPipe) this.socket.destroy();
    else tcp.resetAndDestroy();
  }
}
