/**
 * One connection to the broker, once it is logged in (`login.ts`): its channels, and the way of the broker's frames to the
 * clients.
 *
 *   dialed ──start──▶ greeted ──start-ok, tune──▶ tuned ──open──▶ live ──close──▶ closing ──▶ closed
 */
import type { Socket } from 'node:net';
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { type BadFrame, NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import { FrameSplitter, splitBody } from '../amqp/split.ts';
import { readTag, writeTag } from '../amqp/tag.ts';
import { clock } from '../clock.ts';
import { Heartbeat } from '../io/heartbeat.ts';
import type { Inbox } from '../io/inbox.ts';
import { Outbox } from '../io/outbox.ts';
import { keep, release } from '../memory.ts';
import type { Stats } from '../stats.ts';
import type { Broker } from './broker.ts';
import { Refused, UpstreamLogin } from './login.ts';
import { type Lessee, type Peer, UpstreamChannel } from './upstream-channel.ts';

/** What an upstream tells its pool. */
export interface UpstreamOwner {
  /** A channel was parked, or is gone: another lease may be possible. */
  channelFreed(upstream: Upstream, channel: UpstreamChannel): void;
  upstreamClosed(upstream: Upstream, why: CloseReason | null): void;
  blockedChanged(upstream: Upstream): void;
}

/** A client that has the upstream for itself; told of what concerns the connection. */
export interface Holder {
  updateSecretOk(): void;
  holderLost(why: CloseReason | null): void;
}

export class Upstream extends UpstreamLogin {
  readonly socket: Socket;
  readonly out: Outbox;
  private readonly inbox: Inbox;
  readonly address: string;
  readonly openedAt = clock.now;
  owner: UpstreamOwner | null = null;
  /** The client that has this upstream for itself; null when shared or idle. */
  holder: Holder | null = null;
  /** Takes no new leases; closed when the last one ends. */
  retired = false;
  /** The broker has announced connection.blocked, with this reason. */
  blocked: string | null = null;
  /** For consumers only, as long as it is in use: a publish during an alarm would stop their acks. */
  consuming = false;
  /** Leased or settling channels. */
  busy = 0;
  /** Told, once, when the connection has ended. */
  onClosed: (() => void) | null = null;
  readonly heartbeat: Heartbeat;
  readonly channels: (UpstreamChannel | undefined)[] = [];
  channelCount = 0;
  readonly parkedPlain: UpstreamChannel[] = [];
  readonly parkedConfirm: UpstreamChannel[] = [];
  /** Peers whose input waits until this upstream's socket drains. */
  readonly waitingForDrain = new Set<{ upstreamDrained(): void }>();
  private freeIds: number[] = [];
  private readonly stats: Stats;
  private pauses = 0;
  private splitter: FrameSplitter | null = null;

  // the run of frames in the chunk at hand that go to one client
  private runPeer: Peer | null = null;
  private runStart = 0;
  private runEnd = 0;
  private runBuf: Buffer | null = null;
  // the body frame that is passing in pieces
  private openPeer: Peer | null = null;
  private openPieces: Buffer[] = [];

  constructor(socket: Socket, inbox: Inbox, address: string, broker: Broker, stats: Stats) {
    super(broker);
    this.socket = socket;
    this.inbox = inbox;
    this.address = address;
    this.stats = stats;
    this.out = new Outbox(socket, stats, 'upstreamBytesOut');
    this.heartbeat = new Heartbeat(this.out, clock.now);
    this.maxPayload = 131072;
    inbox.consume = chunk => {
      this.heartbeat.lastRead = clock.now;
      this.stats.upstreamBytesIn += chunk.length;
      this.feed(chunk);
    };
    socket.on('drain', () => this.drained());
    socket.on('error', error => {
      this.failStep(error);
    });
    socket.on('close', () => {
      this.inbox.close();
      this.out.close();
      this.lost();
    });
    socket.on('end', () => this.socket.end());
  }

  // ---- channels

  /** A channel to lend, parked before or newly opened; null when the upstream has none to give. */
  takeChannel(confirm: boolean, maxChannels: number): UpstreamChannel | null {
    const parked = confirm ? this.parkedConfirm.pop() : this.parkedPlain.pop();
    if (parked) {
      this.busy++;
      this.stats.leases++;
      this.stats.leasesReused++;
      return parked;
    }
    const limit = this.channelMax === 0 ? maxChannels : Math.min(maxChannels, this.channelMax);
    if (this.channelCount >= limit) {
      // a parked channel of the other kind makes room
      const other = (confirm ? this.parkedPlain : this.parkedConfirm).pop();
      if (other) {
        this.busy++;
        this.finish(other);
      }
      return null;
    }
    const id = this.freeIds.pop() ?? this.channelCount + 1;
    const channel = new UpstreamChannel(this, id);
    this.channels[id] = channel;
    this.channelCount++;
    this.busy++;
    this.stats.leases++;
    this.stats.channelsOpened++;
    this.out.write(frames.channelOpen(id));
    return channel;
  }

  private finish(channel: UpstreamChannel): void {
    channel.lessee = null;
    channel.close(null);
  }

  private removeChannel(channel: UpstreamChannel): void {
    channel.state = 'gone';
    channel.lessee = null;
    this.channels[channel.id] = undefined;
    this.channelCount--;
    this.freeIds.push(channel.id);
    this.unbusy(channel);
  }

  private unbusy(channel: UpstreamChannel): void {
    this.busy--;
    if (this.busy === 0) {
      this.idleSince = clock.now;
      this.consuming = false;
    }
    this.owner?.channelFreed(this, channel);
  }

  /** Takes frames of a client that agreed on `frameMax`, in pieces (borrowed bytes); what is too large for the broker is split. */
  forward(piece: Buffer, frameMax: number): void {
    if (frameMax <= this.frameMax) {
      this.out.forward(piece);
      return;
    }
    this.splitter ??= new FrameSplitter(this.frameMax);
    for (const part of this.splitter.split(piece)) this.out.forward(part);
  }

  // ---- frames from the broker

  protected override frame(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    if (number === 0) {
      if (type === frames.FRAME_METHOD) return this.connectionMethod(buf, at);
      return NEXT;
    }
    const channel = this.channels[number];
    if (channel === undefined) return NEXT;
    if (type === frames.FRAME_METHOD) {
      if (!this.channelMethod(channel, buf, at)) return NEXT;
    } else if (channel.dropping) return NEXT;
    const { lessee } = channel;
    if (lessee === null) return NEXT;
    buf[at + 1] = lessee.id >>> 8;
    buf[at + 2] = lessee.id;
    if (type === frames.FRAME_BODY && size > lessee.peer.framePayload) {
      this.sendRun();
      for (const piece of splitBody(lessee.id, buf.subarray(at + 7, at + 7 + size), lessee.peer.framePayload))
        lessee.peer.out.write(piece);
      lessee.peer.written(this);
      return NEXT;
    }
    this.extendRun(lessee.peer, buf, at, at + size + 8);
    return NEXT;
  }

  private extendRun(peer: Peer, buf: Buffer, at: number, end: number): void {
    if (this.runPeer === peer && this.runEnd === at && this.runBuf === buf) {
      this.runEnd = end;
      return;
    }
    this.sendRun();
    this.runPeer = peer;
    this.runBuf = buf;
    this.runStart = at;
    this.runEnd = end;
  }

  private sendRun(): void {
    const { runPeer } = this;
    if (runPeer === null) return;
    this.runPeer = null;
    runPeer.out.forward(this.runBuf!.subarray(this.runStart, this.runEnd));
    this.runBuf = null;
    runPeer.written(this);
  }

  protected override chunkEnds(): void {
    this.sendRun();
  }

  protected override bodyBegins(number: number, buf: Buffer, at: number, end: number): Verdict {
    const channel = this.channels[number];
    const lessee = channel === undefined || channel.dropping ? null : channel.lessee;
    this.openPeer = lessee?.peer ?? null;
    if (lessee !== null) {
      buf[at + 1] = lessee.id >>> 8;
      buf[at + 2] = lessee.id;
      this.openPieces.push(keep(buf.subarray(at, end)));
    }
    return NEXT;
  }

  protected override bodyPart(buf: Buffer, at: number, end: number, last: boolean): void {
    const peer = this.openPeer;
    if (peer === null) return;
    this.openPieces.push(keep(buf.subarray(at, end)));
    if (!last) return;
    const pieces = this.openPieces;
    this.openPieces = [];
    this.openPeer = null;
    const size = pieces[0].length >= 7 ? pieces[0].readUInt32BE(3) : Buffer.concat(pieces).readUInt32BE(3);
    if (size > peer.framePayload) {
      const whole = Buffer.concat(pieces);
      pieces.forEach(release);
      for (const piece of splitBody(
        whole.readUInt16BE(1),
        whole.subarray(7, whole.length - 1),
        peer.framePayload,
      ))
        peer.out.write(piece);
    } else for (const piece of pieces) peer.out.write(piece);
    peer.written(this);
  }

  protected override badFrame(bad: BadFrame): void {
    this.destroy(reason('FRAME_ERROR', `the broker sent a bad frame (${bad.kind})`));
  }

  /** Handles a method on a channel; true when it goes on to the lessee. */
  private channelMethod(channel: UpstreamChannel, buf: Buffer, at: number): boolean {
    switch (buf.readUInt32BE(at + 7)) {
      case M.BASIC_DELIVER:
        channel.delivered++;
        this.stats.messagesOut++;
        channel.dropping = channel.lessee === null;
        if (channel.deliveryBase !== 0) {
          const tagAt = at + 12 + buf[at + 11];
          writeTag(buf, tagAt, readTag(buf, tagAt) - channel.deliveryBase);
        }
        return true;
      case M.BASIC_GET_OK:
        channel.delivered++;
        this.stats.messagesOut++;
        channel.dropping = channel.lessee === null;
        if (channel.deliveryBase !== 0) writeTag(buf, at + 11, readTag(buf, at + 11) - channel.deliveryBase);
        return true;
      case M.BASIC_RETURN:
        this.stats.messagesReturned++;
        channel.dropping = channel.lessee === null;
        return true;
      case M.BASIC_ACK:
      case M.BASIC_NACK: {
        const tag = readTag(buf, at + 11);
        if (channel.confirms !== null) {
          channel.confirms.confirm(tag, (buf[at + 19] & 1) !== 0);
          if (channel.onConfirmed !== null && channel.confirmed) {
            // after this ack has gone to the client
            setImmediate(channel.onConfirmed);
            channel.onConfirmed = null;
          }
        }
        if (channel.confirmBase !== 0 && tag !== 0) {
          if (tag <= channel.confirmBase) return false; // an earlier lease's
          writeTag(buf, at + 11, tag - channel.confirmBase);
        }
        return true;
      }
      case M.CHANNEL_OPEN_OK:
        return false;
      case M.CHANNEL_FLOW_OK:
        if (channel.clientFlows > 0) {
          channel.clientFlows--;
          return true;
        }
        if (channel.state === 'settling') this.settled(channel);
        return false;
      case M.BASIC_QOS_OK:
        if (channel.swallowQosOk > 0) {
          channel.swallowQosOk--;
          return false;
        }
        return true;
      case M.CONFIRM_SELECT_OK:
        return true;
      case M.QUEUE_DECLARE_OK:
        channel.hasDeclared = true;
        channel.lessee?.queueDeclared(buf.subarray(at + 11, at + 12 + buf[at + 11]));
        return true;
      case M.BASIC_CANCEL:
        channel.lessee?.consumerCancelled(frames.readShortstr(buf, at + 11));
        return channel.lessee?.peer.cancelNotify ?? false;
      case M.CHANNEL_CLOSE: {
        const why = frames.readClose(buf, at + 11);
        this.out.write(frames.channelCloseOk(channel.id));
        this.sendRun();
        channel.lessee?.channelClosed(this.clientWords(channel, why));
        channel.lessee = null;
        if (channel.state === 'closing') return false; // it crossed our close, whose close-ok is still to come
        this.removeChannel(channel);
        channel.settle(why);
        return false;
      }
      case M.CHANNEL_CLOSE_OK:
        this.sendRun();
        this.removeChannel(channel);
        channel.settle(null);
        return false;
      default:
        return true;
    }
  }

  /** The broker's reason with a delivery tag in it as the client knows it. */
  private clientWords(channel: UpstreamChannel, why: CloseReason): CloseReason {
    if (channel.deliveryBase === 0) return why;
    const text = why.text.replace(
      /(unknown delivery tag )(\d+)/,
      (_all, words: string, tag: string) => words + String(Number(tag) - channel.deliveryBase),
    );
    return { ...why, text };
  }

  private settled(channel: UpstreamChannel): void {
    this.sendRun();
    this.stats.barriers++;
    this.stats.barrierSeconds.add(channel.barrierAge);
    channel.state = 'parked';
    channel.lessee = null;
    channel.dropping = true;
    if (this.retired) {
      channel.state = 'closing';
      channel.settle(null);
      this.finish(channel);
      return;
    }
    (channel.confirms ? this.parkedConfirm : this.parkedPlain).push(channel);
    channel.settle(null);
    this.unbusy(channel);
  }

  private connectionMethod(buf: Buffer, at: number): Verdict {
    switch (buf.readUInt32BE(at + 7)) {
      case M.CONNECTION_BLOCKED:
        this.blocked = frames.readShortstr(buf, at + 11);
        this.owner?.blockedChanged(this);
        return NEXT;
      case M.CONNECTION_UNBLOCKED:
        this.blocked = null;
        this.owner?.blockedChanged(this);
        return NEXT;
      case M.CONNECTION_UPDATE_SECRET_OK:
        this.holder?.updateSecretOk();
        return NEXT;
      case M.CONNECTION_CLOSE:
        this.closeWhy = frames.readClose(buf, at + 11);
        this.out.write(frames.CONNECTION_CLOSE_OK);
        this.sendRun();
        this.out.end();
        this.lost();
        return STOP;
      case M.CONNECTION_CLOSE_OK:
        this.out.end();
        this.lost();
        return STOP;
      default:
        return this.handshakeMethod(buf, at);
    }
  }

  // ---- back-pressure

  /** Stops reading from the broker; as often as `resumeReading` is called it takes to go on. */
  pauseReading(): void {
    if (this.pauses++ === 0) this.socket.pause();
  }

  resumeReading(): void {
    if (--this.pauses === 0) {
      this.heartbeat.lastRead = clock.now;
      this.socket.resume();
    }
  }

  private drained(): void {
    if (this.waitingForDrain.size === 0) return;
    const waiting = [...this.waitingForDrain];
    this.waitingForDrain.clear();
    for (const peer of waiting) peer.upstreamDrained();
  }

  // ---- the end

  /** Every client channel that has a lease here. */
  lessees(): Lessee[] {
    const found: Lessee[] = [];
    for (const channel of this.channels) if (channel?.lessee) found.push(channel.lessee);
    return found;
  }

  /** Keeps the connection alive, and ends it when the broker is silent for two intervals. */
  checkHeartbeat(now: number): void {
    if (this.state !== 'live' || this.heartbeat.check(now, this.pauses === 0)) return;
    this.destroy(
      reason('CONNECTION_FORCED', `no heartbeat from the broker for ${this.heartbeat.interval * 2} s`),
    );
  }

  /** Closes politely: connection.close, then the socket when the broker has answered. */
  close(text = 'closed by amqproxy'): void {
    if (this.state === 'closed' || this.state === 'closing') return;
    if (this.state !== 'live') {
      this.socket.destroy();
      return;
    }
    this.state = 'closing';
    this.retired = true;
    this.out.write(frames.connectionClose({ code: 200, text, classId: 0, methodId: 0 }));
    setTimeout(() => this.socket.destroy(), 5000).unref();
  }

  destroy(why: CloseReason | null = null): void {
    this.closeWhy ??= why;
    this.socket.destroy();
    this.lost();
  }

  private lost(): void {
    if (this.state === 'closed') return;
    const polite = this.state === 'closing';
    this.state = 'closed';
    this.discardInput();
    this.failStep(new Refused(this.closeWhy));
    const lessees = this.lessees();
    this.drained();
    this.owner?.upstreamClosed(this, this.closeWhy);
    const why = polite ? null : this.closeWhy;
    for (const lessee of lessees) lessee.upstreamLost(why);
    const { holder } = this;
    this.holder = null;
    holder?.holderLost(why);
    this.onClosed?.();
  }
}
