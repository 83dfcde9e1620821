/**
 * Content on its way from a client to the broker: every frame is checked, its channel rewritten in place, a message that is
 * not complete held back, and the longest run of bytes for one upstream forwarded as one slice. Nothing is allocated per
 * frame.
 */
import { argumentFault, isProperties } from '../amqp/check.ts';
import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M, METHODS, type Method } from '../amqp/methods.ts';
import { AGAIN, NEXT, type Verdict } from '../amqp/scanner.ts';
import { readTag } from '../amqp/tag.ts';
import { release } from '../memory.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { BODY, type ClientChannel, HEADER, METHOD } from './client-channel.ts';
import { ClientLeases } from './lease.ts';
import * as offences from './offences.ts';

const PUBLISH = METHODS.get(M.BASIC_PUBLISH)!;

/** In the flag octet of basic.publish. */
const PUBLISH_IMMEDIATE = 2;

export abstract class ClientContent extends ClientLeases {
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

  /** A frame on a channel that is not open. */
  protected abstract unopened(type: number, number: number, buf: Buffer, at: number, size: number): Verdict;
  /** A frame on a channel that the broker has closed. */
  protected abstract discard(
    channel: ClientChannel,
    type: number,
    buf: Buffer,
    at: number,
    size: number,
  ): Verdict;
  protected abstract upstreamFull(upstream: Upstream): void;
  protected abstract rootedError(channel: ClientChannel, method: Method): Verdict;

  /** What the scanner is told when a frame must wait, or when waiting has ended in an error already. */
  protected waiting(): Verdict {
    return this.state === 'running' ? AGAIN : NEXT;
  }

  protected publish(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
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
    this.messageOf = channel;
    this.messageStart = at;
    channel.expect = HEADER;
    return NEXT;
  }

  protected header(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
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
    this.continueMessage(channel, at);
    this.frameEnds(channel, buf, end + 1);
    return NEXT;
  }

  protected body(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
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
    this.continueMessage(channel, at);
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
    this.endMessage(number, buf, at);
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
  private continueMessage(channel: ClientChannel, at: number): void {
    if (this.messageOf === channel) return;
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

  protected forward(upstream: Upstream, buf: Buffer, start: number, end: number): void {
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

  protected override chunkEnds(buf: Buffer, end: number): void {
    if (this.messageOf !== null) this.hold(buf, end);
    this.sendRun();
  }

  /** If another channel's message is not complete at `at`, it is held: the frame there is none of it, and may overtake it. */
  protected endMessage(number: number, buf: Buffer, at: number): void {
    if (this.messageOf !== null && this.messageOf.id !== number) this.hold(buf, at);
  }
}

/** Whether buf[at..at+size) are the bytes that were checked before. */
function sameBytes(checked: Buffer, buf: Buffer, at: number, size: number): boolean {
  if (checked.length !== size) return false;
  for (let i = 0; i < size; i++) if (checked[i] !== buf[at + i]) return false;
  return true;
}
