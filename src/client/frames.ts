/** Every frame of a client whose protocol header was right, by the state of its connection and of its channel. */
import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M, METHODS } from '../amqp/methods.ts';
import { AGAIN, type BadFrame, type FrameSink, NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import type { ClientChannel } from './channel.ts';
import type { ClientChannels } from './channels.ts';
import type { DiscardedContent } from './discarded.ts';
import { METHOD } from './message.ts';
import type { Methods } from './methods.ts';
import * as offences from './offences.ts';
import type { Publisher } from './publisher.ts';
import type { Session } from './session.ts';

/** The connection, as far as frames on channel 0 go. */
export interface Connection extends Session {
  readonly channelMax: number;
  /** A method before connection.open-ok. */
  handshakeMethod(methodKey: number, buf: Buffer, at: number, size: number): Verdict;
  clientCloses(): void;
  closeOkReceived(): void;
  badFrame(bad: BadFrame): void;
}

export class ClientFrames implements FrameSink {
  private readonly connection: Connection;
  private readonly channels: ClientChannels;
  private readonly publisher: Publisher;
  private readonly discarded: DiscardedContent;
  private readonly methods: Methods;

  constructor(
    connection: Connection,
    channels: ClientChannels,
    publisher: Publisher,
    discarded: DiscardedContent,
    methods: Methods,
  ) {
    this.connection = connection;
    this.channels = channels;
    this.publisher = publisher;
    this.discarded = discarded;
    this.methods = methods;
  }

  frame(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    const { connection, publisher } = this;
    publisher.endMessage(number, buf, at);
    if (number === 0 || connection.state !== 'running')
      return this.connectionFrame(type, number, buf, at, size);
    const channel = this.channels.get(number);
    if (channel === undefined) return this.unopened(type, number, buf, at, size);
    const { is: state } = channel.state;
    if (state !== 'bound' && state !== 'unbound') return this.notOpen(channel, type, buf, at, size);
    if (type === frames.FRAME_METHOD) {
      if (size < 4) return connection.offend(unknown(type, buf, at, size));
      const methodKey = buf.readInt32BE(at + 7);
      const { expect } = channel.message;
      if (expect !== METHOD) return connection.offend(offences.unexpectedFrame(expect));
      if (methodKey === M.BASIC_PUBLISH) return publisher.publish(channel, buf, at, size);
      return this.methods.handle(channel, methodKey, buf, at, size);
    }
    if (type === frames.FRAME_HEADER) return publisher.header(channel, buf, at, size);
    if (type === frames.FRAME_BODY) return publisher.body(channel, buf, at, size);
    return connection.offend(misplaced(type, buf, at, size));
  }

  bodyBegins(number: number, buf: Buffer, at: number, end: number, size: number): Verdict {
    const { connection, publisher } = this;
    publisher.endMessage(number, buf, at);
    publisher.noBody();
    if (connection.state !== 'running') return NEXT;
    const channel = this.channels.get(number);
    if (channel === undefined) return this.unopened(frames.FRAME_BODY, number, buf, at, size);
    return publisher.bodyBegins(channel, buf, at, end, size);
  }

  bodyPart(buf: Buffer, at: number, end: number, last: boolean): void {
    this.publisher.bodyPart(buf, at, end, last);
  }

  chunkEnds(buf: Buffer, end: number): void {
    this.publisher.chunkEnds(buf, end);
  }

  badFrame(bad: BadFrame): void {
    this.connection.badFrame(bad);
  }

  private unopened(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    const { connection, channels } = this;
    if (type === frames.FRAME_HEARTBEAT) return connection.offend(misplaced(type, buf, at, size));
    if (type !== frames.FRAME_METHOD) return connection.offend(offences.unexpectedFrame(METHOD));
    if (size < 4) return connection.offend(unknown(type, buf, at, size));
    const methodKey = buf.readInt32BE(at + 7);
    const method = METHODS.get(methodKey);
    if (method === undefined) return connection.offend(offences.SILENCE);
    const fault = offences.badArguments(method, buf, at + 11, at + 7 + size);
    if (fault !== null) return connection.offend(fault);
    if (methodKey !== M.CHANNEL_OPEN) return connection.offend(offences.notOpened(methodKey));
    const { channelMax } = connection;
    if (channels.count >= channelMax)
      return connection.offend(
        reason(
          'NOT_ALLOWED',
          `number of channels opened (${channels.count}) has reached the negotiated channel_max (${channelMax})`,
        ),
      );
    channels.open(number);
    return NEXT;
  }

  private notOpen(channel: ClientChannel, type: number, buf: Buffer, at: number, size: number): Verdict {
    const { state } = channel;
    if (state.is === 'closing') return this.discard(channel, type, buf, at, size);
    const closing = state.is === 'resetting' && state.after.next === 'close';
    if (closing && type === frames.FRAME_METHOD && size >= 4 && buf.readInt32BE(at + 7) === M.CHANNEL_CLOSE) {
      channel.closeAgain();
      return NEXT;
    }
    return AGAIN;
  }

  /** A channel that was closed on the client: all is discarded until close-ok, but must still be well-formed. */
  private discard(channel: ClientChannel, type: number, buf: Buffer, at: number, size: number): Verdict {
    const { connection, discarded } = this;
    if (type === frames.FRAME_HEADER) return discarded.header(channel, buf, at, size);
    if (type === frames.FRAME_BODY) return discarded.body(channel, buf, at, size);
    if (type !== frames.FRAME_METHOD) return connection.offend(misplaced(type, buf, at, size));
    if (size < 4) return connection.offend(unknown(type, buf, at, size));
    const { expect } = channel.message;
    if (expect !== METHOD) return connection.offend(offences.unexpectedFrame(expect));
    const methodKey = buf.readInt32BE(at + 7);
    const method = METHODS.get(methodKey);
    if (method === undefined) return connection.offend(offences.SILENCE);
    const fault = offences.badArguments(method, buf, at + 11, at + 7 + size);
    if (fault !== null) return connection.offend(fault);
    if (methodKey === M.CHANNEL_CLOSE_OK) channel.closeAnswered();
    else if (methodKey === M.CHANNEL_CLOSE) connection.out.write(frames.channelCloseOk(channel.id));
    else if (methodKey === M.CHANNEL_OPEN) return connection.offend(offences.secondOpen());
    else if (method.content) discarded.begins(channel);
    return NEXT;
  }

  private connectionFrame(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    const { connection } = this;
    const methodKey = type === frames.FRAME_METHOD && size >= 4 ? buf.readInt32BE(at + 7) : 0;
    if (connection.state === 'closing' || connection.state === 'leaving') {
      if (number !== 0) return NEXT;
      if (methodKey === M.CONNECTION_CLOSE_OK) connection.closeOkReceived();
      else if (methodKey === M.CONNECTION_CLOSE) {
        connection.out.write(frames.CONNECTION_CLOSE_OK);
        if (connection.state === 'closing') connection.closeOkReceived();
      }
      return connection.state === ('closed' as string) ? STOP : NEXT;
    }
    if (connection.state === 'closed') return STOP;
    if (type === frames.FRAME_HEARTBEAT) {
      if (size > 0) return connection.offend(unknown(type, buf, at, size));
      return number === 0 ? NEXT : connection.offend(misplaced(type, buf, at, size));
    }
    if (type !== frames.FRAME_METHOD)
      return connection.offend(
        type === frames.FRAME_HEADER && size < 12
          ? unknown(type, buf, at, size)
          : misplaced(type, buf, at, size),
      );
    if (size < 4) return connection.offend(unknown(type, buf, at, size));
    const method = METHODS.get(methodKey);
    if (method === undefined) return connection.offend(offences.SILENCE);
    if (number !== 0) return connection.offend(misplaced(type, buf, at, size)); // before connection.open-ok
    const fault = offences.badArguments(method, buf, at + 11, at + 7 + size, 0);
    if (fault !== null) return connection.offend(fault);
    if (connection.state !== 'running') return connection.handshakeMethod(methodKey, buf, at, size);
    if (methodKey === M.CONNECTION_CLOSE) {
      connection.clientCloses();
      return NEXT;
    }
    if (methodKey === M.CONNECTION_UPDATE_SECRET)
      return this.methods.updateSecret(buf.subarray(at, at + 8 + size));
    return connection.offend(offences.wrongState('running', methodKey));
  }
}

const payloadOf = (buf: Buffer, at: number, size: number): Buffer =>
  buf.subarray(at + frames.FRAME_HEAD, Math.min(buf.length, at + frames.FRAME_HEAD + size));

const misplaced = (type: number, buf: Buffer, at: number, size: number): offences.Offence =>
  offences.misplacedFrame(type, payloadOf(buf, at, size));

const unknown = (type: number, buf: Buffer, at: number, size: number): offences.Offence =>
  offences.unknownFrame(type, payloadOf(buf, at, size));
