/**
 * One connection to the broker: its channels, and the way of the broker's frames to the clients.
 *
 *   handshake ──open-ok──▶ live ──close──▶ closing ──▶ closed
 */
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { type BadFrame, FrameScanner, type FrameSink, NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import { FrameSplitter } from '../amqp/split.ts';
import { clock } from '../clock.ts';
import type { Transport, TransportUser } from '../io/transport.ts';
import { share, upstreamNumbers } from '../share.ts';
import type { Stats } from '../stats.ts';
import { Answers } from './answers.ts';
import type { BarrierProbe, Barriers } from './barriers.ts';
import { Blockage } from './blockage.ts';
import type { Holder, Peer, UpstreamOwner } from './carrier.ts';
import { channelMethod } from './channel-methods.ts';
import { type ChannelsOwner, UpstreamChannels } from './channels.ts';
import { Deliveries } from './deliveries.ts';
import { Delivery } from './delivery.ts';
import { Drain } from './drain.ts';
import { Refused, UpstreamHandshake } from './handshake.ts';
import type { Lease, LeaseHolder, Purpose } from './lease.ts';
import type { UpstreamBroker } from './profile.ts';
import { Silence } from './silence.ts';

export type UpstreamState = 'handshake' | 'live' | 'closing' | 'closed';

/** Milliseconds the broker has to answer connection.close. */
const CLOSE_MS = 5000;

export class Upstream implements ChannelsOwner, TransportUser, FrameSink {
  readonly id = upstreamNumbers.next();
  /** By which the operator and the log know it, and how it calls itself at the broker. */
  readonly name = `u${share.number(this.id)}`;
  title = '';
  /** The application's name that it bears there, for a client that keeps it; '' for one of ours. */
  namedFor = '';
  state: UpstreamState = 'handshake';
  readonly transport: Transport;
  readonly out: Transport['out'];
  readonly address: string;
  readonly openedAt = clock.now;
  readonly stats: Stats;
  frameMax = 131072;
  /** What the pool does with it; null until it is in one. */
  owner: UpstreamOwner<Upstream> | null = null;
  /** The client that has this upstream for itself; null when shared or idle. */
  holder: Holder | null = null;
  /** Takes no new leases; closed when the last one ends. */
  retired = false;
  /** The broker has not handled all that its last holder sent, which may end the connection: nobody else gets a lease. */
  unsettled = false;
  /** For consumers only, as long as it is in use: a publish during an alarm would stop their acks. */
  consuming = false;
  /** When the last lease ended, for the idle time-out. */
  idleSince = clock.now;
  readonly channels: UpstreamChannels;
  readonly delivery: Delivery;
  /** Told when the connection has ended, and when the socket is closed, too. */
  private readonly closeListeners: ((why: CloseReason | null) => void)[] = [];
  private goneListener: (() => void) | null = null;
  readonly answers = new Answers();
  private readonly blockage: Blockage = new Blockage(this);
  readonly silence = new Silence(this);
  readonly barriers: Barriers;
  private readonly leaves: () => boolean;
  private barrierProbe: BarrierProbe | null = null;
  private readonly drain: Drain;
  private handshake: UpstreamHandshake | null;
  private readonly scanner: FrameScanner;
  private splitter: FrameSplitter | null = null;
  /** Why the connection ended, in the words of the side that ended it. */
  private closeWhy: CloseReason | null = null;

  constructor(transport: Transport, broker: UpstreamBroker, stats: Stats) {
    this.transport = transport;
    this.out = transport.out;
    this.address = broker.name;
    this.stats = stats;
    this.barriers = broker.barriers;
    this.leaves = broker.leaves;
    this.channels = new UpstreamChannels(this, stats);
    this.handshake = new UpstreamHandshake(transport.out, broker.profile, broker.heartbeat);
    this.drain = new Drain(transport.out);
    this.delivery = new Delivery(this);
    this.scanner = new FrameScanner(this, 131072, new Deliveries(this, this.channels));
    transport.start(this);
  }

  // ---- the handshake, step by step

  /** Finds out, unless it is known, what the broker takes for a barrier; on a live upstream that nobody uses yet. */
  async learnBarrier(): Promise<void> {
    this.barrierProbe = this.state === 'live' ? this.barriers.probe(this.out) : null;
    await this.barrierProbe?.answered;
    this.barrierProbe = null;
  }

  /** The broker answers channel.flow; otherwise closing the channel is the only barrier. */
  get answersFlow(): boolean {
    return this.barriers.kind !== 'close';
  }

  /** Takes a step; rejects with Refused when the broker will not have it. */
  step(act: (handshake: UpstreamHandshake) => Promise<void>): Promise<void> {
    return this.handshake === null ? Promise.reject(new Refused(this.closeWhy)) : act(this.handshake);
  }

  /** It waits, greeted or tuned, for the next step of its handshake. */
  waitsAt(state: 'greeted' | 'tuned'): boolean {
    return this.handshake?.state === state;
  }

  private handshakeMethod(handshake: UpstreamHandshake, buf: Buffer, at: number): void {
    handshake.method(buf, at);
    if (handshake.state === 'dialed' || handshake.state === 'greeted') return;
    const { channelMax, frameMax, heartbeat } = handshake.tuned;
    this.channels.max = channelMax === 0 ? 65535 : channelMax;
    this.frameMax = frameMax;
    this.transport.heartbeat.interval = heartbeat;
    this.scanner.maxPayload = Math.max(frameMax, frames.FRAME_MIN_SIZE);
    if (handshake.state !== 'live') return;
    this.handshake = null;
    this.state = 'live';
    this.idleSince = clock.now;
  }

  // ---- leases

  /** Channels that are leased or on their way to be parked or closed. */
  get busy(): number {
    return this.channels.busy;
  }
  mayKeep(openedAt: number, now: number): boolean {
    return this.owner?.mayKeep(openedAt, now) ?? true;
  }

  lease(holder: LeaseHolder, purpose: Purpose, confirm: boolean, maxChannels: number): Lease | null {
    return this.state === 'live' ? this.channels.lease(holder, purpose, confirm, maxChannels) : null;
  }

  channelsChanged(by: number): void {
    this.owner?.channelsChanged(by);
  }

  channelFreed(): void {
    if (this.channels.busy === 0) {
      this.idleSince = clock.now;
      this.consuming = false;
    }
    this.owner?.channelFreed(this);
  }

  channelStuck(number: number): void {
    this.owner?.channelStuck(this, number);
  }

  /** It is silent though it owes an answer, or its broker is about to end it: another upstream is the better choice. */
  get suspect(): boolean {
    return this.silence.suspect || this.leaves();
  }

  // ---- frames to the broker

  /** What is too large for the broker is split. */
  forward(piece: Buffer, frameMax: number): void {
    if (frameMax <= this.frameMax) {
      this.out.forward(piece);
      return;
    }
    this.splitter ??= new FrameSplitter(this.frameMax);
    for (const part of this.splitter.split(piece)) this.out.forward(part);
  }

  /** Tells `who`, once, when the broker has taken what waits for it. */
  whenDrained(who: { upstreamDrained(): void }): void {
    this.drain.wait(who);
  }

  // ---- frames from the broker

  received(chunk: Buffer): void {
    this.handshake?.sees(chunk);
    this.scanner.feed(chunk);
  }

  frame(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    if (number === 0) return type === frames.FRAME_METHOD ? this.connectionMethod(buf, at) : NEXT;
    const channel = this.channels.get(number);
    if (channel === undefined) {
      if (type === frames.FRAME_METHOD) this.barrierProbe?.method(buf, at);
      return NEXT;
    }
    if (type === frames.FRAME_METHOD ? !channelMethod(this, channel, buf, at) : channel.dropping) return NEXT;
    const { lease } = channel;
    if (lease === null) return NEXT;
    if (type === frames.FRAME_BODY && size > lease.peer.framePayload)
      this.delivery.largeBody(lease, buf.subarray(at + 7, at + 7 + size));
    else this.delivery.frame(lease, buf, at, at + size + 8);
    return NEXT;
  }

  chunkEnds(): void {
    this.delivery.sendRun();
  }

  bodyBegins(number: number, buf: Buffer, at: number, end: number): Verdict {
    const channel = this.channels.get(number);
    const lease = channel === undefined || channel.dropping ? null : channel.lease;
    this.delivery.bodyBegins(lease, buf, at, end);
    return NEXT;
  }

  bodyPart(buf: Buffer, at: number, end: number, last: boolean): void {
    this.delivery.bodyPart(buf, at, end, last);
  }

  badFrame(bad: BadFrame): void {
    this.destroy(reason('FRAME_ERROR', `the broker sent a bad frame (${bad.kind})`));
  }

  private connectionMethod(buf: Buffer, at: number): Verdict {
    switch (buf.readUInt32BE(at + 7)) {
      case M.CONNECTION_BLOCKED:
        this.block(frames.readShortstr(buf, at + 11));
        return NEXT;
      case M.CONNECTION_UNBLOCKED:
        this.unblock();
        return NEXT;
      case M.CONNECTION_UPDATE_SECRET_OK:
        this.holder?.updateSecretOk();
        return NEXT;
      case M.CONNECTION_CLOSE:
        this.closeWhy = frames.readClose(buf, at + 11);
        this.out.write(frames.CONNECTION_CLOSE_OK);
        this.delivery.sendRun();
        this.transport.end();
        this.transport.linger();
        this.lost();
        return STOP;
      case M.CONNECTION_CLOSE_OK:
        this.transport.end();
        this.transport.linger();
        this.lost();
        return STOP;
      default:
        if (this.handshake !== null) this.handshakeMethod(this.handshake, buf, at);
        return NEXT;
    }
  }

  // ---- alarms

  get blocked(): string | null {
    return this.blockage.why;
  }

  private block(why: string): void {
    this.blockage.why = why;
    if (this.holder !== null) this.tell(this.holder.peer);
    for (const { lease } of this.channels) if (lease !== null) this.tell(lease.peer);
    this.owner?.blockedChanged(this);
  }

  tell(peer: Peer): void {
    this.blockage.tell(peer);
  }

  forget(peer: Peer): void {
    this.blockage.forget(peer);
  }

  private unblock(): void {
    this.blockage.why = null;
    this.answers.restart();
    this.owner?.blockedChanged(this);
    this.blockage.end();
  }

  // ---- the end

  /** Keeps the connection alive, and ends it when the broker is silent for two intervals, or owes an answer. */
  tick(now: number): void {
    const { transport } = this;
    let dead = this.state === 'live' ? this.silence.check(now) : null;
    if (!transport.tick(now)) dead = `no heartbeat from the broker for ${transport.heartbeat.interval * 2} s`;
    if (dead !== null) this.destroy(reason('CONNECTION_FORCED', dead));
  }

  /** Closes politely: connection.close, then the socket when the broker has answered. */
  close(text = 'closed by amqproxy'): void {
    if (this.state === 'handshake') this.destroy();
    if (this.state !== 'live') return;
    this.state = 'closing';
    this.retired = true;
    this.out.write(frames.connectionClose({ code: 200, text, classId: 0, methodId: 0 }));
    setTimeout(() => this.transport.destroy(), CLOSE_MS).unref();
  }

  destroy(why: CloseReason | null = null): void {
    this.closeWhy ??= why;
    this.transport.destroy();
    this.lost();
  }

  /** Has `listener` called when the connection has ended, at once if it has. */
  whenClosed(listener: (why: CloseReason | null) => void): void {
    if (this.state === 'closed') listener(this.closeWhy);
    else this.closeListeners.push(listener);
  }

  peerEnded(): void {
    this.transport.endBoth();
  }

  transportClosed(error: Error | null): void {
    if (error !== null) this.handshake?.fail(error);
    this.lost();
    this.owner?.upstreamGone(this);
    this.goneListener?.();
  }

  /** Has `listener` called when the socket is closed. */
  whenGone(listener: () => void): void {
    this.goneListener = listener;
  }

  private lost(): void {
    if (this.state === 'closed') return;
    const why = this.state === 'closing' ? null : this.closeWhy;
    this.state = 'closed';
    this.scanner.close();
    this.delivery.close();
    this.handshake?.fail(new Refused(this.closeWhy));
    this.handshake = null;
    this.barrierProbe?.lost(this.closeWhy);
    this.drain.over();
    const leases = this.channels.close();
    const { holder } = this;
    this.holder = null;
    holder?.upstreamLost(why); // first of all: a client that goes on must not come back here
    this.owner?.upstreamClosed(this, this.closeWhy);
    for (const lease of leases) lease.ended({ how: 'lost', why });
    this.blockage.end();
    for (const listener of this.closeListeners.splice(0)) listener(this.closeWhy);
  }
}
