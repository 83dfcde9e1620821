/**
 * The way of a client's frames to the broker, once its connection is open: every frame is checked, its channel rewritten
 * in place, and the longest run of bytes for one upstream forwarded as one slice. Nothing is allocated per frame.
 */
import { argumentFault, isProperties } from '../amqp/check.ts';
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M, METHODS, type Method } from '../amqp/methods.ts';
import { AGAIN, NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import { readTag, writeTag } from '../amqp/tag.ts';
import { release } from '../memory.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { BODY, ClientChannel, HEADER, METHOD } from './client-channel.ts';
import { ClientLeases } from './lease.ts';
import * as offences from './offences.ts';

const PUBLISH = METHODS.get(M.BASIC_PUBLISH)!;

/** Exchange types every RabbitMQ has; others may come from plugins, which only a private upstream may find out. */
const EXCHANGE_TYPES = new Set(['direct', 'fanout', 'topic', 'headers']);

/** Bit masks in the flag octets of methods. */
const DECLARE_PASSIVE = 1;
const DECLARE_EXCLUSIVE = 4;
const DELETE_IF = 3; // if-unused, if-empty
const GET_NO_ACK = 1;
const CONSUME_NO_ACK = 2;
const PUBLISH_IMMEDIATE = 2;

export abstract class ClientFrames extends ClientLeases {
  channelMax = 2047;
  framePayload = 131064;
  cancelNotify = false;
  private openChannels = 0;

  // the run of complete messages and methods in the chunk at hand that goes to one upstream
  private runTo: Upstream | null = null;
  private runBuf: Buffer | null = null;
  private runStart = 0;
  private runEnd = 0;
  // the message in the chunk at hand that is not complete yet
  private messageOf: ClientChannel | null = null;
  private messageStart = 0;
  // the body frame that is passing in pieces
  private openChannel: ClientChannel | null = null;

  protected abstract handshakeMethod(methodKey: number, buf: Buffer, at: number, size: number): Verdict;
  protected abstract clientCloses(): void;
  protected abstract closeOkReceived(): void;

  protected override frame(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    if (number === 0 || this.state !== 'running') return this.connectionFrame(type, number, buf, at, size);
    const channel = this.channels[number];
    if (channel === undefined) return this.unopened(type, number, buf, at, size);
    if (channel.state !== 'open') return this.notOpen(channel, type, buf, at, size);
    if (type === frames.FRAME_METHOD) {
      if (size < 4) return this.offend(offences.unknownFrame(type, buf.subarray(at + 7, at + 7 + size)));
      const methodKey = buf.readInt32BE(at + 7);
      if (channel.expect !== METHOD) return this.offend(offences.unexpectedFrame(channel.expect));
      if (methodKey === M.BASIC_PUBLISH) return this.publish(channel, buf, at, size);
      return this.method(channel, methodKey, buf, at, size);
    }
    if (type === frames.FRAME_HEADER) return this.header(channel, buf, at, size);
    if (type === frames.FRAME_BODY) return this.body(channel, buf, at, size);
    return this.offend(offences.misplacedFrame(type, buf.subarray(at + 7, at + 7 + size)));
  }

  // ---- publishes

  private publish(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    if (!sameBytes(channel.checkedPublish, buf, at + 11, size - 4)) {
      if (argumentFault(PUBLISH.args, buf, at + 11, at + 7 + size) !== null)
        return this.offend(offences.badArguments(PUBLISH, buf, at + 11, at + 7 + size)!);
      if (buf[at + 6 + size] & PUBLISH_IMMEDIATE)
        return this.offend(reason('NOT_IMPLEMENTED', 'immediate=true', M.BASIC_PUBLISH));
      channel.checkedPublish = Buffer.from(buf.subarray(at + 11, at + 7 + size));
    }
    if ((channel.up === null || this.private !== null) && !this.bind(channel, 'publish'))
      return this.waiting();
    const up = channel.up!;
    if (up.upstream.blocked !== null) this.publishesInto(up.upstream);
    buf[at + 1] = up.id >>> 8;
    buf[at + 2] = up.id;
    if (this.messageOf !== null) this.hold(buf, at);
    this.messageOf = channel;
    this.messageStart = at;
    channel.expect = HEADER;
    return NEXT;
  }

  private header(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    if (channel.expect !== HEADER) return this.offend(offences.unexpectedFrame(channel.expect));
    const end = at + 7 + size;
    const fault = offences.badHeader(buf, at, size);
    if (fault !== null) return this.offend(fault);
    if (size < 14 || !sameBytes(channel.checkedProperties, buf, at + 19, size - 12)) {
      if (!isProperties(buf, at + 19, end)) return this.offend(offences.INTERNAL_ERROR);
      channel.checkedProperties = Buffer.from(buf.subarray(at + 19, end));
    }
    const { id, upstream } = channel.up!;
    if (size > upstream.frameMax) return this.offend(offences.tooLarge(frames.FRAME_HEADER, size, upstream));
    const bodySize = readTag(buf, at + 11);
    const { messageBuffer } = this.config;
    if (this.private !== upstream && this.reservedBytes + size + bodySize > messageBuffer) {
      if (!channel.rooted) return this.promoteMessage(channel, buf, at);
      this.dropMessage(channel);
      channel.bodyLeft = bodySize;
      channel.expect = bodySize === 0 ? METHOD : BODY;
      return this.rootedError(channel, PUBLISH);
    }
    buf[at + 1] = id >>> 8;
    buf[at + 2] = id;
    channel.bodyLeft = bodySize;
    channel.expect = BODY;
    this.continueMessage(channel, buf, at);
    this.frameEnds(channel, buf, end + 1);
    return NEXT;
  }

  private body(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    // many small frames are more than the bodies that their headers announced
    if (
      this.reservedBytes > 2 * this.config.messageBuffer &&
      channel.bodyLeft > 0 &&
      channel.up!.upstream !== this.private &&
      !channel.rooted
    )
      return this.promoteMessage(channel, buf, at);
    if (size === 0 && channel.bodyLeft > 0) this.skipFrame(channel, buf, at);
    else if (this.takeBody(channel, buf, at, size)) this.frameEnds(channel, buf, at + 8 + size);
    return NEXT;
  }

  /** Leaves out a body frame without a byte: a client could send them without end. */
  private skipFrame(channel: ClientChannel, buf: Buffer, at: number): void {
    if (this.messageOf === channel) this.hold(buf, at);
  }

  /** Makes a body frame a part of its channel's message; false when it has no place there, which has been dealt with. */
  private takeBody(channel: ClientChannel, buf: Buffer, at: number, size: number): boolean {
    if (channel.expect !== BODY) {
      this.offend(offences.unexpectedFrame(channel.expect));
      return false;
    }
    if (size > channel.bodyLeft) {
      this.overrun(channel);
      return false;
    }
    channel.bodyLeft -= size;
    const { id } = channel.up!;
    buf[at + 1] = id >>> 8;
    buf[at + 2] = id;
    this.continueMessage(channel, buf, at);
    return true;
  }

  /**
   * A body is longer than its header says: RabbitMQ says nothing, never completes the message, and swallows what follows
   * up to the next method. So the message is dropped here.
   */
  private overrun(channel: ClientChannel): void {
    this.dropMessage(channel);
    channel.bodyLeft = -1;
  }

  private dropMessage(channel: ClientChannel): void {
    if (this.messageOf === channel) this.messageOf = null;
    this.dropHeld(channel);
  }

  protected override bodyBegins(
    number: number,
    buf: Buffer,
    at: number,
    _end: number,
    size: number,
  ): Verdict {
    this.openChannel = null;
    if (this.state !== 'running') return NEXT;
    const channel = this.channels[number];
    if (channel === undefined) return this.unopened(frames.FRAME_BODY, number, buf, at, size);
    if (channel.state === 'closing') return this.discard(channel, frames.FRAME_BODY, buf, at, size);
    if (channel.state !== 'open') return AGAIN;
    if (this.takeBody(channel, buf, at, size)) this.openChannel = channel;
    return NEXT;
  }

  protected override bodyPart(buf: Buffer, at: number, end: number, last: boolean): void {
    const channel = this.openChannel;
    if (channel === null || channel.state !== 'open' || channel.up === null) return;
    this.messageOf = channel;
    this.messageStart = at;
    if (last) {
      this.openChannel = null;
      this.frameEnds(channel, buf, end);
    }
    if (this.messageOf !== null) this.hold(buf, end);
  }

  /** Makes the frame at `at` a part of the channel's message in this chunk. */
  private continueMessage(channel: ClientChannel, buf: Buffer, at: number): void {
    if (this.messageOf === channel) return;
    if (this.messageOf !== null) this.hold(buf, at);
    this.messageOf = channel;
    this.messageStart = at;
  }

  /** A content frame ends at `end`: sends the message if it is complete, or all there is where it may stream. */
  private frameEnds(channel: ClientChannel, buf: Buffer, end: number): void {
    const complete = channel.bodyLeft === 0;
    const up = channel.up!;
    if (complete) {
      channel.expect = METHOD;
      this.stats.messagesIn++;
      channel.publishedHere = true;
      if (up.confirms !== null) {
        up.confirms.published++;
        channel.published++;
      }
    } else if (this.private !== up.upstream) return;
    channel.streamed = !complete;
    if (channel.reserved > 0) this.sendHeld(channel, up.upstream);
    this.forward(up.upstream, buf, this.messageStart, end);
    this.messageOf = null;
  }

  private sendHeld(channel: ClientChannel, upstream: Upstream): void {
    this.sendRun();
    for (const piece of channel.held.take()) {
      upstream.forward(piece, this.maxPayload);
      release(piece);
    }
    this.reserve(channel, 0);
  }

  /** Keeps the incomplete message of this chunk, up to `end`, for later. */
  private hold(buf: Buffer, end: number): void {
    const channel = this.messageOf!;
    this.messageOf = null;
    if (end === this.messageStart) return;
    channel.held.add(buf.subarray(this.messageStart, end));
    this.reserve(channel, channel.held.bytes + (channel.expect === BODY ? channel.bodyLeft : 0));
  }

  /** A message too large to hold back goes over a private upstream, frame by frame: scanned again from its publish on. */
  private promoteMessage(channel: ClientChannel, buf: Buffer, at: number): Verdict {
    if (this.messageOf === channel) this.hold(buf, at);
    const begun = channel.held.takeWhole();
    this.reserve(channel, 0);
    channel.expect = METHOD;
    frames.renumber(begun, channel.id);
    this.rewound = begun;
    if (this.promote()) setImmediate(() => this.state === 'running' && this.goOn());
    return AGAIN;
  }

  // ---- runs

  private forward(upstream: Upstream, buf: Buffer, start: number, end: number): void {
    if (this.runTo === upstream && this.runEnd === start && this.runBuf === buf) {
      this.runEnd = end;
      return;
    }
    this.sendRun();
    this.runTo = upstream;
    this.runBuf = buf;
    this.runStart = start;
    this.runEnd = end;
  }

  protected override sendRun(): void {
    const upstream = this.runTo;
    if (upstream === null) return;
    this.runTo = null;
    upstream.forward(this.runBuf!.subarray(this.runStart, this.runEnd), this.maxPayload);
    this.runBuf = null;
    if (upstream.out.pending > this.config.upstreamBuffer) this.upstreamFull(upstream);
  }

  protected abstract upstreamFull(upstream: Upstream): void;

  protected override chunkEnds(buf: Buffer, end: number): void {
    if (this.messageOf !== null) this.hold(buf, end);
    this.sendRun();
  }

  // ---- other methods

  private method(channel: ClientChannel, methodKey: number, buf: Buffer, at: number, size: number): Verdict {
    const method = METHODS.get(methodKey);
    if (method === undefined) return this.offend(offences.SILENCE);
    const args = at + 11;
    const end = at + 7 + size;
    const fault = offences.badArguments(method, buf, args, end);
    if (fault !== null) return this.offend(fault);
    if (method.action === 'refuse' || methodKey >>> 16 === 10)
      return this.offend(offences.notForClients(methodKey));
    switch (methodKey) {
      case M.CHANNEL_OPEN:
        return this.offend(offences.secondOpen());
      case M.CHANNEL_CLOSE:
        this.closeChannel(channel);
        return NEXT;
      case M.CHANNEL_CLOSE_OK:
        return this.offend(offences.notForClients(methodKey));
      case M.CHANNEL_FLOW:
        if ((buf[args] & 1) === 0) return this.offend(reason('NOT_IMPLEMENTED', 'active=false', methodKey));
        break;
      case M.BASIC_QOS:
        if (buf.readUInt32BE(args) !== 0)
          return this.offend(
            reason('NOT_IMPLEMENTED', `prefetch_size!=0 (${buf.readUInt32BE(args)})`, methodKey),
          );
        break;
      case M.EXCHANGE_DECLARE:
        if (!EXCHANGE_TYPES.has(exchangeType(buf, args)))
          return this.afterPromotion(channel, method, buf, at, size);
        break;
      case M.QUEUE_DECLARE: {
        const flags = buf[args + 3 + buf[args + 2]];
        if (flags & DECLARE_EXCLUSIVE && !(flags & DECLARE_PASSIVE)) {
          if (this.rootedElsewhere(channel)) return this.rootedError(channel, method);
          if (!this.promote()) return this.waiting();
          this.spent = true;
        }
        break;
      }
      case M.BASIC_CONSUME:
        if (this.config.consumers === 'private' || !mayShareConsumer(channel, buf, args))
          return this.afterPromotion(channel, method, buf, at, size);
        if (this.private === null && channel.consumerTags?.has(consumerTag(buf, args)))
          return this.offend(
            reason('NOT_ALLOWED', `attempt to reuse consumer tag '${consumerTag(buf, args)}'`, methodKey),
          );
        if (!this.bindConsumer(channel)) return this.waiting();
        break;
      case M.BASIC_RECOVER:
      case M.BASIC_RECOVER_ASYNC:
        if ((buf[args] & 1) === 0) return this.offend(reason('NOT_IMPLEMENTED', 'requeue=false', methodKey));
        break;
      case M.QUEUE_DELETE:
        if ((buf[args + 3 + buf[args + 2]] & DELETE_IF) === 0) break;
        return this.afterPromotion(channel, method, buf, at, size);
      // on a stream or a quorum queue these end the whole connection, and only the broker knows what a queue is
      case M.BASIC_GET:
      case M.QUEUE_PURGE:
        return this.afterPromotion(channel, method, buf, at, size);
      case M.TX_SELECT:
        return this.afterPromotion(channel, method, buf, at, size);
    }
    return this.pass(channel, method, buf, at, size);
  }

  private afterPromotion(
    channel: ClientChannel,
    method: Method,
    buf: Buffer,
    at: number,
    size: number,
  ): Verdict {
    if (this.rootedElsewhere(channel)) return this.rootedError(channel, method);
    return this.promote() ? this.pass(channel, method, buf, at, size) : this.waiting();
  }

  private rootedElsewhere(channel: ClientChannel): boolean {
    return channel.rooted && channel.up!.upstream !== this.private;
  }

  /** What needs a private upstream cannot be had on a channel that must stay on a shared one. */
  private rootedError(channel: ClientChannel, method: Method): Verdict {
    const why = `${method.name} needs another upstream than the consumers and unacked messages of this channel (consumers = shared)`;
    return this.channelError(channel, reason('PRECONDITION_FAILED', why, method.key));
  }

  /** What the scanner is told when a frame must wait, or when waiting has ended in an error already. */
  private waiting(): Verdict {
    return this.state === 'running' ? AGAIN : NEXT;
  }

  /** Binds, notes what the method changes in the channel, and forwards it. */
  private pass(channel: ClientChannel, method: Method, buf: Buffer, at: number, size: number): Verdict {
    const args = at + 11;
    const end = at + 8 + size;
    const confirm = channel.confirm || method.key === M.CONFIRM_SELECT;
    if (!this.bind(channel, 'other', confirm)) return this.waiting();
    const up = channel.up!;
    if (size > up.upstream.frameMax)
      return this.offend(offences.tooLarge(frames.FRAME_METHOD, size, up.upstream));
    if (method.defaultQueue && buf[args + 2] === 0) {
      if (channel.lastQueue === null) {
        if (up.hasDeclared)
          return this.channelError(channel, reason('NOT_FOUND', 'no previously declared queue', method.key));
      } else if (channel.lastQueueOn !== up) {
        this.endMessage(buf, at);
        this.sendRun();
        up.upstream.out.write(frames.passiveDeclare(up.id, channel.lastQueue));
        channel.lastQueueOn = up;
        up.hasDeclared = true;
      }
    }
    switch (method.key) {
      case M.CHANNEL_FLOW:
        up.clientFlows++;
        break;
      case M.BASIC_QOS: {
        const frame = Buffer.from(buf.subarray(at, end));
        if (buf[args + 6] & 1) {
          channel.globalQos = frame;
          channel.dirty = true;
        } else channel.qos = frame;
        up.qosSet = true;
        break;
      }
      case M.CONFIRM_SELECT:
        if (!channel.confirm && this.select(channel)) {
          if (!(buf[args] & 1)) this.out.write(frames.methodFrame(channel.id, M.CONFIRM_SELECT_OK));
          return NEXT;
        }
        break;
      case M.QUEUE_DECLARE:
        up.hasDeclared = true;
        if (buf[args + 2] > 0) {
          channel.lastQueue = Buffer.from(buf.subarray(args + 2, args + 3 + buf[args + 2]));
          channel.lastQueueOn = up;
        }
        break;
      case M.BASIC_CONSUME:
        channel.dirty = true;
        channel.consumers++;
        if (this.private === null) {
          this.sharedConsumer = true;
          channel.countAcks();
          const tag = consumerTag(buf, args);
          if (tag !== '') (channel.consumerTags ??= new Set()).add(tag);
        }
        break;
      case M.BASIC_CANCEL:
        channel.consumerCancelled(frames.readShortstr(buf, args));
        break;
      case M.BASIC_GET:
        if (!(buf[args + 3 + buf[args + 2]] & GET_NO_ACK)) channel.dirty = true;
        break;
      case M.TX_SELECT:
        channel.dirty = true;
        break;
      case M.BASIC_RECOVER:
      case M.BASIC_RECOVER_ASYNC:
        if (channel.acks !== null) channel.acked(0, true);
        break;
      case M.BASIC_ACK:
      case M.BASIC_NACK:
      case M.BASIC_REJECT:
        if (channel.acks !== null)
          channel.acked(readTag(buf, args), method.key !== M.BASIC_REJECT && (buf[args + 8] & 1) !== 0);
        if (up.deliveryBase !== 0) {
          const tag = readTag(buf, args);
          if (tag !== 0) writeTag(buf, args, tag + up.deliveryBase);
        }
        break;
    }
    buf[at + 1] = up.id >>> 8;
    buf[at + 2] = up.id;
    this.endMessage(buf, at);
    this.forward(up.upstream, buf, at, end);
    return NEXT;
  }

  private channelClosed(channel: ClientChannel): void {
    if (this.channels[channel.id] !== channel) return;
    this.channels[channel.id] = undefined;
    this.openChannels--;
  }

  /** Another channel's message is not complete at `at`: it is held, so that the frame at `at` may overtake it. */
  private endMessage(buf: Buffer, at: number): void {
    if (this.messageOf !== null) this.hold(buf, at);
  }

  private closeChannel(channel: ClientChannel): void {
    this.sendRun();
    channel.state = 'releasing';
    const { id } = channel;
    const closed = (): void => {
      if (channel.state !== 'releasing') return;
      channel.state = 'closed';
      this.channelClosed(channel);
      for (; channel.moreCloses >= 0; channel.moreCloses--) this.out.write(frames.channelCloseOk(id));
      if (this.isStopped) this.goOn();
    };
    if (this.config.close === 'instant') {
      const { up } = channel;
      this.release(channel, null);
      if (up !== null) up.lessee = null;
      closed();
    } else this.release(channel, closed);
  }

  /** Closes a channel as the broker would, after what came before on it. */
  private channelError(channel: ClientChannel, why: CloseReason): Verdict {
    this.sendRun();
    channel.state = 'moving';
    this.release(channel, late => {
      if (late !== null || this.channels[channel.id] !== channel) return;
      channel.state = 'closing';
      this.out.write(frames.channelClose(channel.id, why));
      if (this.isStopped) this.goOn();
    });
    return NEXT;
  }

  // ---- channels that are not open, and channel 0

  private unopened(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    const payload = buf.subarray(at + 7, Math.min(buf.length, at + 7 + size));
    if (type === frames.FRAME_HEARTBEAT) return this.offend(offences.misplacedFrame(type, payload));
    if (type !== frames.FRAME_METHOD) return this.offend(offences.unexpectedFrame(METHOD));
    if (size < 4) return this.offend(offences.unknownFrame(type, payload));
    const methodKey = buf.readInt32BE(at + 7);
    const method = METHODS.get(methodKey);
    if (method === undefined) return this.offend(offences.SILENCE);
    const fault = offences.badArguments(method, buf, at + 11, at + 7 + size);
    if (fault !== null) return this.offend(fault);
    if (methodKey !== M.CHANNEL_OPEN) return this.offend(offences.notOpened(methodKey));
    if (this.openChannels >= this.channelMax)
      return this.offend(
        reason(
          'NOT_ALLOWED',
          `number of channels opened (${this.openChannels}) has reached the negotiated channel_max (${this.channelMax})`,
        ),
      );
    this.openChannels++;
    this.channels[number] = new ClientChannel(this as never, number);
    this.out.write(frames.channelOpenOk(number));
    return NEXT;
  }

  private notOpen(channel: ClientChannel, type: number, buf: Buffer, at: number, size: number): Verdict {
    if (channel.state === 'closing') return this.discard(channel, type, buf, at, size);
    if (channel.state === 'releasing' && type === frames.FRAME_METHOD && size >= 4) {
      if (buf.readInt32BE(at + 7) !== M.CHANNEL_CLOSE) return AGAIN;
      channel.moreCloses++;
      return NEXT;
    }
    return AGAIN;
  }

  /** A channel that was closed on the client: all is discarded until close-ok, but must still be well-formed. */
  private discard(channel: ClientChannel, type: number, buf: Buffer, at: number, size: number): Verdict {
    const payload = buf.subarray(at + 7, Math.min(buf.length, at + 7 + size));
    if (type === frames.FRAME_METHOD) {
      if (size < 4) return this.offend(offences.unknownFrame(type, payload));
      if (channel.expect !== METHOD) return this.offend(offences.unexpectedFrame(channel.expect));
      const methodKey = buf.readInt32BE(at + 7);
      const method = METHODS.get(methodKey);
      if (method === undefined) return this.offend(offences.SILENCE);
      const fault = offences.badArguments(method, buf, at + 11, at + 7 + size);
      if (fault !== null) return this.offend(fault);
      if (methodKey === M.CHANNEL_CLOSE_OK) {
        channel.state = 'closed';
        this.channelClosed(channel);
      } else if (methodKey === M.CHANNEL_CLOSE) this.out.write(frames.channelCloseOk(channel.id));
      else if (methodKey === M.CHANNEL_OPEN) return this.offend(offences.secondOpen());
      else if (method.content) channel.expect = HEADER;
      return NEXT;
    }
    if (type === frames.FRAME_HEADER) {
      if (channel.expect !== HEADER) return this.offend(offences.unexpectedFrame(channel.expect));
      const fault = offences.badHeader(buf, at, size);
      if (fault !== null) return this.offend(fault);
      channel.bodyLeft = readTag(buf, at + 11);
    } else if (type === frames.FRAME_BODY) {
      if (channel.expect !== BODY) return this.offend(offences.unexpectedFrame(channel.expect));
      channel.bodyLeft -= size;
    } else return this.offend(offences.misplacedFrame(type, payload));
    channel.expect = channel.bodyLeft === 0 ? METHOD : BODY;
    return NEXT;
  }

  private connectionFrame(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    const payload = buf.subarray(at + 7, at + 7 + size);
    const methodKey = type === frames.FRAME_METHOD && size >= 4 ? buf.readInt32BE(at + 7) : 0;
    if (this.state === 'closing' || this.state === 'leaving') {
      if (number !== 0) return NEXT;
      if (methodKey === M.CONNECTION_CLOSE_OK) this.closeOkReceived();
      else if (methodKey === M.CONNECTION_CLOSE) {
        this.out.write(frames.CONNECTION_CLOSE_OK);
        if (this.state === 'closing') this.closeOkReceived();
      }
      return this.state === ('closed' as string) ? STOP : NEXT;
    }
    if (this.state === 'closed') return STOP;
    if (type === frames.FRAME_HEARTBEAT) {
      if (size > 0) return this.offend(offences.unknownFrame(type, payload));
      return number === 0 ? NEXT : this.offend(offences.misplacedFrame(type, payload));
    }
    if (type !== frames.FRAME_METHOD)
      return this.offend(
        type === frames.FRAME_HEADER && size < 12
          ? offences.unknownFrame(type, payload)
          : offences.misplacedFrame(type, payload),
      );
    if (size < 4) return this.offend(offences.unknownFrame(type, payload));
    const method = METHODS.get(methodKey);
    if (method === undefined) return this.offend(offences.SILENCE);
    if (number !== 0) return this.offend(offences.misplacedFrame(type, payload)); // before connection.open-ok
    const fault = offences.badArguments(method, buf, at + 11, at + 7 + size, 0);
    if (fault !== null) return this.offend(fault);
    if (this.state !== 'running') return this.handshakeMethod(methodKey, buf, at, size);
    if (methodKey === M.CONNECTION_CLOSE) {
      this.sendRun();
      this.clientCloses();
      return NEXT;
    }
    if (methodKey === M.CONNECTION_UPDATE_SECRET) {
      if (!this.promote()) return this.waiting();
      this.spent = true;
      this.sendRun();
      this.private!.out.write(Buffer.from(buf.subarray(at, at + 8 + size)));
      return NEXT;
    }
    return this.offend(offences.wrongState('running', methodKey));
  }
}

function exchangeType(buf: Buffer, args: number): string {
  const name = args + 2;
  return frames.readShortstr(buf, name + 1 + buf[name]);
}

/** The tag in the arguments of basic.consume. */
const consumerTag = (buf: Buffer, args: number): string => frames.readShortstr(buf, args + 3 + buf[args + 2]);

/**
 * Whether a consumer may be on a shared upstream: what is in flight is bounded, and nothing in it makes a stream or quorum
 * queue close the connection (no_ack, a global prefetch, arguments such as x-stream-offset).
 */
function mayShareConsumer(channel: ClientChannel, buf: Buffer, args: number): boolean {
  const tag = args + 3 + buf[args + 2];
  const flags = tag + 1 + buf[tag];
  const bounded = channel.qos !== null && channel.qos.readUInt16BE(15) > 0 && channel.globalQos === null;
  return bounded && (buf[flags] & CONSUME_NO_ACK) === 0 && buf.readUInt32BE(flags + 1) === 0;
}

/** Whether buf[at..at+size) are the bytes that were checked before. */
function sameBytes(checked: Buffer, buf: Buffer, at: number, size: number): boolean {
  if (checked.length !== size) return false;
  for (let i = 0; i < size; i++) if (checked[i] !== buf[at + i]) return false;
  return true;
}
