/**
 * A client's methods other than publishes: what each one means for its channel and its upstream, before it is forwarded.
 */
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M, METHODS, type Method } from '../amqp/methods.ts';
import { NEXT, type Verdict } from '../amqp/scanner.ts';
import { readTag, writeTag } from '../amqp/tag.ts';
import type { ClientChannel } from './client-channel.ts';
import { ClientContent } from './content.ts';
import * as offences from './offences.ts';

/** Exchange types every RabbitMQ has; others may come from plugins, which only a private upstream may find out. */
const EXCHANGE_TYPES = new Set(['direct', 'fanout', 'topic', 'headers']);

/** Bit masks in the flag octets of methods. */
const DECLARE_PASSIVE = 1;
const DECLARE_EXCLUSIVE = 4;
const DELETE_IF = 3; // if-unused, if-empty
const GET_NO_ACK = 1;
const CONSUME_NO_ACK = 2;

export abstract class ClientRequests extends ClientContent {
  protected openChannels = 0;

  protected method(
    channel: ClientChannel,
    methodKey: number,
    buf: Buffer,
    at: number,
    size: number,
  ): Verdict {
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
    }
    return method.action === 'promote'
      ? this.afterPromotion(channel, method, buf, at, size)
      : this.pass(channel, method, buf, at, size);
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
  protected override rootedError(channel: ClientChannel, method: Method): Verdict {
    const why = `${method.name} needs another upstream than the consumers and unacked messages of this channel (consumers = shared)`;
    return this.channelError(channel, reason('PRECONDITION_FAILED', why, method.key));
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
    this.forward(up.upstream, buf, at, end);
    return NEXT;
  }

  protected channelClosed(channel: ClientChannel): void {
    if (this.channels[channel.id] !== channel) return;
    this.channels[channel.id] = undefined;
    this.openChannels--;
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
