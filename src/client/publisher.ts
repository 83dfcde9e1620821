/**
 * Messages on their way from a client to the broker: every frame is checked, its channel rewritten in place, a message that
 * is not complete held back, and complete ones forwarded. Nothing is allocated per frame.
 */
import { argumentFault, isProperties } from '../amqp/check.ts';
import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M, METHODS } from '../amqp/methods.ts';
import { AGAIN, type MessageSink, NEXT, type Verdict } from '../amqp/scanner.ts';
import { readTag } from '../amqp/tag.ts';
import type { Lease } from '../upstream/lease.ts';
import type { ClientChannel } from './channel.ts';
import type { ClientChannels } from './channels.ts';
import type { DiscardedContent } from './discarded.ts';
import { IncompleteMessages } from './incomplete.ts';
import { BODY, HEADER, METHOD, remembered } from './message.ts';
import * as offences from './offences.ts';
import type { Promotion } from './promotion.ts';
import type { Runs } from './runs.ts';
import type { Session } from './session.ts';
import { MessageShape } from './shape.ts';

const PUBLISH = METHODS.get(M.BASIC_PUBLISH)!;

/** In the flag octet of basic.publish. */
const PUBLISH_IMMEDIATE = 2;
/** The least arguments of basic.publish: a short, two empty strings, an octet of flags. */
const PUBLISH_MIN = 5;

export class Publisher implements MessageSink {
  /** Messages of the client, whole ones. */
  published = 0;
  private readonly session: Session;
  private readonly channels: ClientChannels;
  private readonly promotion: Promotion;
  private readonly runs: Runs;
  private readonly discarded: DiscardedContent;
  /** Has bytes of earlier frames scanned again. */
  private readonly incomplete: IncompleteMessages;
  // the message in the chunk at hand that is not complete yet
  private messageOf: ClientChannel | null = null;
  private messageStart = 0;
  // the body frame that is passing in pieces
  private openChannel: ClientChannel | null = null;

  constructor(
    session: Session,
    channels: ClientChannels,
    promotion: Promotion,
    runs: Runs,
    discarded: DiscardedContent,
  ) {
    this.session = session;
    this.incomplete = new IncompleteMessages(session);
    this.channels = channels;
    this.promotion = promotion;
    this.runs = runs;
    this.discarded = discarded;
  }

  /** What the scanner is told when a frame must wait, or when waiting has ended in an error already. */
  private waiting(): Verdict {
    return this.session.state === 'running' ? AGAIN : NEXT;
  }

  /** Whole messages like the one before them on their channel, at once: see MessageSink. */
  messages(buf: Buffer, at: number, end: number, maxBody: number): number {
    const { session, promotion } = this;
    if (this.messageOf !== null || session.state !== 'running') return at;
    const channel = this.channels.get(frames.uint16(buf, at + 1));
    if (channel === undefined) return at;
    const { message, lease } = channel;
    const { shape } = message;
    if (shape === null || lease === null || message.expect !== METHOD || !this.goesOver(lease)) return at;
    const { upstream, channel: up } = lease;
    if (shape.headerSize > upstream.frameMax) return at;
    const room =
      promotion.upstream === upstream
        ? maxBody
        : session.config.messageBuffer - this.incomplete.pending - shape.headerSize;
    const most = Math.min(maxBody, room);
    let to = at;
    let count = 0;
    for (;;) {
      const next = shape.endOf(buf, to, end, most);
      if (next === 0) break;
      shape.renumber(buf, to, up.id);
      to = next;
      count++;
    }
    if (count > 0) {
      message.lease = lease;
      this.count(lease, count);
      this.runs.forward(upstream, buf, at, to);
    }
    return to;
  }

  /** Nothing is to be decided about where the next message goes. */
  private goesOver(lease: Lease): boolean {
    const { upstream } = this.promotion;
    if (upstream === null ? lease.purpose === 'consume' : upstream !== lease.upstream) return false;
    return !this.channels.tenancy.restless && !this.session.pool.alarm;
  }

  publish(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    const { message } = channel;
    message.repeats = size >= PUBLISH_MIN + 4 && sameBytes(message.checkedPublish, buf, at + 11, size - 4);
    if (!message.repeats) {
      if (argumentFault(PUBLISH.args, buf, at + 11, at + 7 + size) !== null)
        return this.session.offend(offences.badArguments(PUBLISH, buf, at + 11, at + 7 + size)!);
      if (buf[at + 6 + size] & PUBLISH_IMMEDIATE) {
        const elsewhere = channel.rooted && channel.lease?.upstream !== this.promotion.upstream;
        if (this.session.pool.way.route.profile.isRabbit || elsewhere)
          return this.session.offend(reason('NOT_IMPLEMENTED', 'immediate=true', M.BASIC_PUBLISH));
        if (!this.channels.toPrivate(channel, 'basic.publish immediate')) return this.waiting();
        this.promotion.spend();
      }
      message.checkedPublish = remembered(message.checkedPublish, buf, at + 11, at + 7 + size);
      message.shape = null;
    }
    let { lease } = channel;
    if (lease === null || !this.goesOver(lease)) lease = this.channels.publishLease(channel);
    if (lease === null) return this.waiting();
    message.lease = lease;
    frames.setChannel(buf, at, lease.channel.id);
    this.messageOf = channel;
    this.messageStart = at;
    message.expect = HEADER;
    return NEXT;
  }

  header(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    const { message } = channel;
    const { session } = this;
    if (message.expect !== HEADER) return session.offend(offences.unexpectedFrame(message.expect));
    const end = at + 7 + size;
    const fault = offences.badHeader(buf, at, size);
    if (fault !== null) return session.offend(fault);
    if (size < 14 || !sameBytes(message.checkedProperties, buf, at + 19, size - 12)) {
      if (!isProperties(buf, at + 19, end)) return session.offend(offences.INTERNAL_ERROR);
      message.checkedProperties = remembered(message.checkedProperties, buf, at + 19, end);
      message.repeats = false;
      message.shape = null;
    }
    const { upstream, channel: up } = message.lease!;
    if (size > upstream.frameMax)
      return session.offend(offences.tooLarge(frames.FRAME_HEADER, size, upstream));
    const bodySize = readTag(buf, at + 11);
    const { messageBuffer } = session.config;
    if (this.promotion.upstream !== upstream && this.incomplete.pending + size + bodySize > messageBuffer) {
      if (!channel.rooted) return this.promoteMessage(channel, buf, at);
      this.drop(channel);
      message.bodyLeft = bodySize;
      message.expect = bodySize === 0 ? METHOD : BODY;
      channel.fail(offences.rooted(PUBLISH));
      return NEXT;
    }
    frames.setChannel(buf, at, up.id);
    message.bodyLeft = bodySize;
    message.expect = BODY;
    this.continueMessage(channel, at);
    this.frameEnds(channel, buf, end + 1);
    return NEXT;
  }

  body(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    const { message } = channel;
    // many small frames are more than the bodies that their headers announced
    if (
      this.incomplete.pending > 2 * this.session.config.messageBuffer &&
      message.bodyLeft > 0 &&
      message.lease!.upstream !== this.promotion.upstream &&
      !channel.rooted
    )
      return this.promoteMessage(channel, buf, at);
    if (size === 0 && message.bodyLeft > 0) this.skipFrame(channel, buf, at);
    else if (this.takeBody(channel, buf, at, size)) this.frameEnds(channel, buf, at + 8 + size);
    return NEXT;
  }

  /** Leaves out a body frame without a byte: a client could send them without end. */
  private skipFrame(channel: ClientChannel, buf: Buffer, at: number): void {
    if (this.messageOf === channel) this.hold(buf, at);
  }

  /** Makes a body frame a part of its channel's message; false when it has no place there, which has been dealt with. */
  private takeBody(channel: ClientChannel, buf: Buffer, at: number, size: number): boolean {
    const { message } = channel;
    if (message.expect !== BODY) {
      this.session.offend(offences.unexpectedFrame(message.expect));
      return false;
    }
    if (size > message.bodyLeft) {
      this.overrun(channel);
      return false;
    }
    message.bodyLeft -= size;
    frames.setChannel(buf, at, message.lease!.channel.id);
    this.continueMessage(channel, at);
    return true;
  }

  /**
   * A body is longer than its header says: RabbitMQ says nothing, never completes the message, and swallows what follows
   * up to the next method. So the message is dropped here.
   */
  private overrun(channel: ClientChannel): void {
    this.drop(channel);
    channel.message.bodyLeft = -1;
  }

  /** The body frame that begins is none of a channel that takes it. */
  noBody(): void {
    this.openChannel = null;
  }

  /** A body frame begins whose end is still to come; AGAIN when its channel must wait. */
  bodyBegins(channel: ClientChannel, buf: Buffer, at: number, end: number, size: number): Verdict {
    if (channel.state.is === 'closing') {
      this.openChannel = channel;
      return this.discarded.bodyBegins(channel, buf, at, end, size);
    }
    const { is: state } = channel.state;
    if (state !== 'bound' && state !== 'unbound') return AGAIN;
    if (this.takeBody(channel, buf, at, size)) this.openChannel = channel;
    return NEXT;
  }

  bodyPart(buf: Buffer, at: number, end: number, last: boolean): void {
    const channel = this.openChannel;
    if (channel === null) return;
    if (last) this.openChannel = null;
    if (channel.state.is === 'closing') {
      this.discarded.bodyPart(channel, buf, at, end, last);
      return;
    }
    if (channel.lease === null) return;
    this.messageOf = channel;
    this.messageStart = at;
    if (last) this.frameEnds(channel, buf, end);
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
    const { message } = channel;
    const lease = message.lease!;
    const complete = message.bodyLeft === 0;
    if (complete) {
      message.expect = METHOD;
      this.count(lease, 1);
      if (message.repeats && message.shape === null && message.reserved === 0)
        message.shape = MessageShape.of(buf, this.messageStart, end, channel.id);
    } else if (this.promotion.upstream !== lease.upstream) return;
    lease.streaming = !complete;
    if (message.reserved > 0) this.sendHeld(channel, lease);
    this.runs.forward(lease.upstream, buf, this.messageStart, end);
    this.messageOf = null;
  }

  private count(lease: Lease, messages: number): void {
    this.session.stats.messagesIn += messages;
    this.published += messages;
    lease.countPublished(messages);
  }

  private sendHeld({ message }: ClientChannel, { upstream }: Lease): void {
    this.runs.send();
    this.incomplete.send(message, upstream);
  }

  /** Keeps the incomplete message of this chunk, up to `end`, for later. */
  private hold(buf: Buffer, end: number): void {
    const { message } = this.messageOf!;
    this.messageOf = null;
    this.incomplete.hold(message, buf, this.messageStart, end);
  }

  /** A message too large to hold back goes over a private upstream, frame by frame: scanned again from its publish on. */
  private promoteMessage(channel: ClientChannel, buf: Buffer, at: number): Verdict {
    if (this.messageOf === channel) this.hold(buf, at);
    const { message } = channel;
    const begun = this.incomplete.take(message);
    message.expect = METHOD;
    frames.renumber(begun, channel.id);
    this.session.rewind(begun);
    if (this.channels.toPrivate(channel, 'a message larger than message_buffer')) this.session.goOn();
    return AGAIN;
  }

  /** Forgets the incomplete message of a channel; but the broker must have all of a message that it has the beginning of. */
  drop(channel: ClientChannel): void {
    if (this.messageOf === channel) this.messageOf = null;
    const { message, state } = channel;
    if (state.is === 'closing' && state.rest !== null) this.sendHeld(channel, state.rest);
    this.incomplete.drop(message);
    // the rest of it may still come, and will be discarded; of its last frame the scanner takes care
    if (message.expect === BODY && message.bodyLeft === 0) message.expect = METHOD;
  }

  // ---- chunks

  chunkEnds(buf: Buffer, end: number): void {
    if (this.messageOf !== null) this.hold(buf, end);
    this.runs.send();
  }

  /** If another channel's message is not complete at `at`, it is held: the frame there is none of it, and may overtake it. */
  endMessage(number: number, buf: Buffer, at: number): void {
    if (this.messageOf !== null && this.messageOf.id !== number) this.hold(buf, at);
  }
}

/** Whether buf[at..at+size) are the bytes that were checked before. */
function sameBytes(checked: Buffer, buf: Buffer, at: number, size: number): boolean {
  if (checked.length !== size) return false;
  for (let i = 0; i < size; i++) if (checked[i] !== buf[at + i]) return false;
  return true;
}
