/**
 * A client's methods other than publishes: what each one means for its channel and its upstream, before it is forwarded.
 */
import { Confirms } from '../amqp/confirms.ts';
import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { isAnswered, M, METHODS, type Method } from '../amqp/methods.ts';
import { AGAIN, NEXT, type Verdict } from '../amqp/scanner.ts';
import { readTag, writeTag } from '../amqp/tag.ts';
import type { Lease } from '../upstream/lease.ts';
import type { ClientChannel } from './channel.ts';
import type { ClientChannels } from './channels.ts';
import { Consumers } from './consumers.ts';
import * as offences from './offences.ts';
import { EXCLUSIVE, type Promotion } from './promotion.ts';
import type { Runs } from './runs.ts';
import type { Session } from './session.ts';

/** Exchange types every RabbitMQ has; others may come from plugins, which only a private upstream may find out. */
const EXCHANGE_TYPES = new Set(['direct', 'fanout', 'topic', 'headers']);

/** Bit masks in the flag octets of methods. */
const DECLARE_PASSIVE = 1;
const DECLARE_DURABLE = 2;
const DECLARE_NOWAIT = 16;
const QUEUE_EXCLUSIVE = 4;
const QUEUE_AUTO_DELETE = 8;
const EXCHANGE_AUTO_DELETE = 4;
const DELETE_IF = 3; // if-unused, if-empty
const GET_NO_ACK = 1;
const CONSUME_NO_ACK = 2;
const CONSUME_NOWAIT = 8;

export class Methods {
  private readonly session: Session;
  private readonly channels: ClientChannels;
  private readonly promotion: Promotion;
  private readonly runs: Runs;

  constructor(session: Session, channels: ClientChannels, promotion: Promotion, runs: Runs) {
    this.session = session;
    this.channels = channels;
    this.promotion = promotion;
    this.runs = runs;
  }

  private waiting(): Verdict {
    return this.session.state === 'running' ? AGAIN : NEXT;
  }

  /** connection.update-secret. */
  updateSecret(frame: Buffer): Verdict {
    const { session, promotion } = this;
    if (!promotion.promote('connection.update-secret')) return session.state === 'running' ? AGAIN : NEXT;
    promotion.spend();
    this.runs.send();
    promotion.upstream!.out.write(Buffer.from(frame));
    return NEXT;
  }

  handle(channel: ClientChannel, methodKey: number, buf: Buffer, at: number, size: number): Verdict {
    const { session } = this;
    const method = METHODS.get(methodKey);
    if (method === undefined) return session.offend(offences.SILENCE);
    const args = at + 11;
    const end = at + 7 + size;
    const fault = offences.badArguments(method, buf, args, end);
    if (fault !== null) return session.offend(fault);
    if (method.action === 'refuse' || methodKey >>> 16 === 10)
      return session.offend(offences.notForClients(methodKey));
    if (!this.channels.settleLane(channel)) return AGAIN;
    switch (methodKey) {
      case M.CHANNEL_OPEN:
        return session.offend(offences.secondOpen());
      case M.CHANNEL_CLOSE:
        channel.close(session.config.close === 'instant');
        return NEXT;
      case M.CHANNEL_CLOSE_OK:
        return session.offend(offences.notForClients(methodKey));
      case M.CHANNEL_FLOW:
        if ((buf[args] & 1) === 0) return this.notByRabbit(channel, method, 'active=false', buf, at, size);
        if (channel.lease?.upstream.answersFlow === false)
          return this.afterPromotion(channel, method, buf, at, size);
        break;
      case M.BASIC_QOS:
        if (buf.readUInt32BE(args) !== 0)
          return this.notByRabbit(
            channel,
            method,
            `prefetch_size!=0 (${buf.readUInt32BE(args)})`,
            buf,
            at,
            size,
          );
        break;
      case M.EXCHANGE_DECLARE:
        if (!EXCHANGE_TYPES.has(exchangeType(buf, args)))
          return this.afterPromotion(channel, method, buf, at, size);
        break;
      case M.QUEUE_DECLARE: {
        const flags = buf[args + 3 + buf[args + 2]];
        if (flags & QUEUE_EXCLUSIVE && !(flags & DECLARE_PASSIVE)) {
          if (this.rootedElsewhere(channel)) return this.rootedError(channel, method);
          if (!this.channels.toPrivate(channel, EXCLUSIVE)) return this.waiting();
          this.promotion.spend();
        }
        break;
      }
      case M.BASIC_CONSUME:
        if (session.config.consumers === 'private' || !mayShareConsumer(channel, buf, args))
          return this.afterPromotion(channel, method, buf, at, size);
        if (this.promotion.lease === null) {
          const tag = consumerTag(buf, args);
          if (tag !== '' && channel.consumers?.has(tag))
            return session.offend(reason('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`, methodKey));
          if (!this.attachConsumer(channel)) return this.waiting();
        }
        break;
      case M.BASIC_RECOVER:
      case M.BASIC_RECOVER_ASYNC:
        if ((buf[args] & 1) === 0) return this.notByRabbit(channel, method, 'requeue=false', buf, at, size);
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
    return this.channels.toPrivate(channel, method.name)
      ? this.pass(channel, method, buf, at, size)
      : this.waiting();
  }

  /** What RabbitMQ does not do, in its words; other brokers are asked, on an upstream that nobody else uses again. */
  private notByRabbit(
    channel: ClientChannel,
    method: Method,
    what: string,
    buf: Buffer,
    at: number,
    size: number,
  ): Verdict {
    const { session } = this;
    if (session.pool.way.route.profile.isRabbit)
      return session.offend(reason('NOT_IMPLEMENTED', what, method.key));
    const verdict = this.afterPromotion(channel, method, buf, at, size);
    this.promotion.spend();
    return verdict;
  }

  private rootedElsewhere(channel: ClientChannel): boolean {
    return channel.rooted && channel.lease?.upstream !== this.promotion.upstream;
  }

  private rootedError(channel: ClientChannel, method: Method): Verdict {
    channel.fail(offences.rooted(method));
    return NEXT;
  }

  /** Binds a channel to an upstream for consumers: those are moved there that have another lease. */
  private attachConsumer(channel: ClientChannel): boolean {
    const { lease } = channel;
    if (lease !== null && lease.purpose !== 'consume' && !this.channels.toMove(channel)) return false;
    return this.channels.attach(channel, 'consume');
  }

  /** Binds, notes what the method changes in the channel, and forwards it. */
  private pass(channel: ClientChannel, method: Method, buf: Buffer, at: number, size: number): Verdict {
    const args = at + 11;
    const confirm = channel.confirm || method.key === M.CONFIRM_SELECT;
    const tx = method.key === M.TX_SELECT && !channel.confirm;
    // a channel that confirms for somebody who did not ask for it takes no transactions
    if (tx && channel.lease !== null && channel.lease.channel.confirms !== null) channel.move();
    if (!this.channels.attach(channel, tx ? 'publish' : 'other', confirm)) return this.waiting();
    const lease = channel.lease!;
    const { channel: up, upstream } = lease;
    if (size > upstream.frameMax)
      return this.session.offend(offences.tooLarge(frames.FRAME_METHOD, size, upstream));
    if (method.defaultQueue && buf[args + 2] === 0) {
      if (channel.awaitsQueue) return this.waiting();
      if (channel.lastQueue !== null) return this.passNamed(channel, method, buf, at, size);
      if (channel.lastQueueOn !== up) {
        channel.fail(reason('NOT_FOUND', 'no previously declared queue', method.key));
        return NEXT;
      }
    }
    if (this.track(channel, lease, method.key, buf, at, size)) return NEXT;
    lease.ask(isAnswered(method, buf, args));
    if (method.key === M.TX_SELECT) lease.dirty = true;
    if (method.key === M.BASIC_GET && !(buf[args + 3 + buf[args + 2]] & GET_NO_ACK)) lease.dirty = true;
    frames.setChannel(buf, at, up.id);
    this.runs.forward(upstream, buf, at, at + 8 + size);
    return NEXT;
  }

  /**
   * The same with the name of the last declared queue written out: the broker may know another by now, of an earlier lease,
   * or, as LavinMQ does, of another channel.
   */
  private passNamed(channel: ClientChannel, method: Method, buf: Buffer, at: number, size: number): Verdict {
    const queue = channel.lastQueue!;
    const start = at + 13; // of the queue's name
    let rest = start + 1;
    const pieces = [buf.subarray(at, start), queue];
    if (method.key === M.QUEUE_BIND || method.key === M.QUEUE_UNBIND) {
      // without a routing key it is the queue's name (rabbit_channel: expand_routing_key_shortcut)
      const routingKey = rest + 1 + buf[rest];
      if (buf[routingKey] === 0) {
        pieces.push(buf.subarray(rest, routingKey), queue);
        rest = routingKey + 1;
      }
    }
    const frame = Buffer.concat([...pieces, buf.subarray(rest, at + 8 + size)]);
    frame.writeUInt32BE(frame.length - 8, 3);
    this.runs.send();
    const verdict = this.pass(channel, method, frame, 0, frame.length - 8);
    this.runs.send();
    return verdict;
  }

  /** Notes what a method changes; true when the proxy itself has answered it. */
  private track(
    channel: ClientChannel,
    lease: Lease,
    methodKey: number,
    buf: Buffer,
    at: number,
    size: number,
  ): boolean {
    const args = at + 11;
    const { channel: up } = lease;
    switch (methodKey) {
      case M.CHANNEL_FLOW:
        up.clientFlows++;
        return false;
      case M.BASIC_QOS: {
        const frame = Buffer.from(buf.subarray(at, at + 8 + size));
        if (buf[args + 6] & 1) {
          channel.globalQos = frame;
          lease.dirty = true;
        } else channel.qos = frame;
        up.qosSet = true;
        return false;
      }
      case M.CONFIRM_SELECT:
        return !channel.confirm && this.select(channel, lease, (buf[args] & 1) !== 0);
      case M.EXCHANGE_DECLARE: {
        const type = args + 3 + buf[args + 2];
        this.declared(lease, buf[type + 1 + buf[type]], EXCHANGE_AUTO_DELETE);
        return false;
      }
      case M.QUEUE_DECLARE: {
        const flags = buf[args + 3 + buf[args + 2]];
        this.declared(lease, flags, QUEUE_AUTO_DELETE | QUEUE_EXCLUSIVE);
        const named = buf[args + 2] > 0;
        channel.lastQueue = named ? Buffer.from(buf.subarray(args + 2, args + 3 + buf[args + 2])) : null;
        channel.lastQueueOn = up;
        // its name comes with declare-ok, if at all
        channel.awaitsQueue = !named && (flags & DECLARE_NOWAIT) === 0;
        return false;
      }
      case M.BASIC_CONSUME: {
        lease.dirty = true;
        const tag = consumerTag(buf, args);
        channel.consumers ??= new Consumers();
        const flags = args + 3 + buf[args + 2];
        channel.consumers.ask(tag, (buf[flags + 1 + buf[flags]] & CONSUME_NOWAIT) !== 0);
        if (this.promotion.lease === null) {
          this.session.sharesConsumer();
          channel.countAcks();
        }
        return false;
      }
      case M.BASIC_CANCEL:
        channel.consumers?.cancelled(frames.readShortstr(buf, args));
        return false;
      case M.BASIC_RECOVER:
      case M.BASIC_RECOVER_ASYNC:
        channel.acked(0, true);
        return false;
      case M.BASIC_ACK:
      case M.BASIC_NACK:
      case M.BASIC_REJECT: {
        const tag = readTag(buf, args);
        channel.acked(tag, methodKey !== M.BASIC_REJECT && (buf[args + 8] & 1) !== 0);
        if (lease.deliveryBase !== 0 && tag !== 0) writeTag(buf, args, tag + lease.deliveryBase);
        return false;
      }
      default:
        return false;
    }
  }

  /** True when the leased channel confirms already: then the proxy answers. */
  private select(channel: ClientChannel, lease: Lease, nowait: boolean): boolean {
    const { channel: up } = lease;
    channel.confirm = true;
    channel.published = 0;
    if (up.confirms === null) {
      up.confirms = new Confirms();
      lease.confirmBase = 0;
      return false;
    }
    lease.confirmBase = up.confirms.published;
    if (!nowait) this.session.out.write(frames.methodFrame(channel.id, M.CONFIRM_SELECT_OK));
    return true;
  }

  /** Something was declared that may not survive a restart of the broker: then neither does this client. */
  private declared({ upstream }: Lease, flags: number, transient: number): void {
    if (flags & DECLARE_PASSIVE || (flags & DECLARE_DURABLE && !(flags & transient))) return;
    this.session.pool.topologies.declared(this.session, upstream.address);
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
