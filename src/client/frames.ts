/** Every frame of a client, by the state of its connection and of its channel. */
import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M, METHODS } from '../amqp/methods.ts';
import { AGAIN, NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import { readTag } from '../amqp/tag.ts';
import { BODY, ClientChannel, HEADER, METHOD } from './client-channel.ts';
import * as offences from './offences.ts';
import { ClientRequests } from './requests.ts';

export abstract class ClientFrames extends ClientRequests {
  channelMax = 2047;
  framePayload = 131064;
  cancelNotify = false;

  protected abstract handshakeMethod(methodKey: number, buf: Buffer, at: number, size: number): Verdict;
  protected abstract clientCloses(): void;
  protected abstract closeOkReceived(): void;

  protected override frame(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
    this.endMessage(number, buf, at);
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

  protected override unopened(type: number, number: number, buf: Buffer, at: number, size: number): Verdict {
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
  protected override discard(
    channel: ClientChannel,
    type: number,
    buf: Buffer,
    at: number,
    size: number,
  ): Verdict {
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
