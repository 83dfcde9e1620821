/** Frames a client sends, named after the methods: terse, so that a case reads as a list of actions. */
import { methodFrame, Writer } from '../../src/amqp/frame.ts';
import { key } from '../../src/amqp/methods.ts';
import { bodyFrame, header, rawFrame } from '../support/raw-client.ts';

export { bodyFrame, header, rawFrame };

export const w = (): Writer => new Writer();
const NO_TABLE = Buffer.alloc(4);
const EMPTY = Buffer.alloc(0);

/** Any method, its arguments given as bytes. */
export const method = (channel: number, classId: number, methodId: number, args: Buffer = EMPTY): Buffer =>
  methodFrame(channel, key(classId, methodId), args);

/** A field table of already encoded fields. */
export const table = (...fields: Buffer[]): Buffer => w().longstr(Buffer.concat(fields)).take();
/** One field: its name, type letter and encoded value. */
export const field = (name: string, type: string, value: Buffer): Buffer =>
  w().shortstr(name).bytes(Buffer.from(type)).bytes(value).take();
export const text = (name: string, value: string): Buffer => field(name, 'S', w().longstr(value).take());
export const int = (name: string, value: number): Buffer => field(name, 'I', w().long(value).take());

/** Bits of queue.declare and exchange.declare. */
export const PASSIVE = 1;
export const DURABLE = 2;
export const EXCLUSIVE = 4;
export const AUTO_DELETE = 8;
export const NO_WAIT = 16;

export const channelOpen = (channel: number): Buffer => method(channel, 20, 10, w().shortstr('').take());
export const channelFlow = (channel: number, active: boolean): Buffer =>
  method(channel, 20, 20, Buffer.from([active ? 1 : 0]));
export const channelClose = (channel: number, code = 200, why = ''): Buffer =>
  method(channel, 20, 40, w().short(code).shortstr(why).short(0).short(0).take());
export const channelCloseOk = (channel: number): Buffer => method(channel, 20, 41);
export const connectionClose = (code = 200, why = ''): Buffer =>
  method(0, 10, 50, w().short(code).shortstr(why).short(0).short(0).take());
export const connectionCloseOk = (): Buffer => method(0, 10, 51);

export const declare = (channel: number, queue: string, flags = 0, args: Buffer = NO_TABLE): Buffer =>
  method(channel, 50, 10, w().short(0).shortstr(queue).octet(flags).bytes(args).take());
export const bind = (channel: number, queue: string, exchange: string, routingKey = '', flags = 0): Buffer =>
  method(
    channel,
    50,
    20,
    w().short(0).shortstr(queue).shortstr(exchange).shortstr(routingKey).octet(flags).bytes(NO_TABLE).take(),
  );
export const unbind = (channel: number, queue: string, exchange: string, routingKey = ''): Buffer =>
  method(
    channel,
    50,
    50,
    w().short(0).shortstr(queue).shortstr(exchange).shortstr(routingKey).bytes(NO_TABLE).take(),
  );
export const purge = (channel: number, queue: string, flags = 0): Buffer =>
  method(channel, 50, 30, w().short(0).shortstr(queue).octet(flags).take());
/** Flags: 1 if-unused, 2 if-empty, 4 no-wait. */
export const remove = (channel: number, queue: string, flags = 0): Buffer =>
  method(channel, 50, 40, w().short(0).shortstr(queue).octet(flags).take());

/** Flags: 1 passive, 2 durable, 4 auto-delete, 8 internal, 16 no-wait. */
export const declareExchange = (
  channel: number,
  name: string,
  type: string,
  flags = 0,
  args: Buffer = NO_TABLE,
): Buffer =>
  method(channel, 40, 10, w().short(0).shortstr(name).shortstr(type).octet(flags).bytes(args).take());
export const removeExchange = (channel: number, name: string, flags = 0): Buffer =>
  method(channel, 40, 20, w().short(0).shortstr(name).octet(flags).take());

export const qos = (channel: number, count: number, global = false, size = 0): Buffer =>
  method(
    channel,
    60,
    10,
    w()
      .long(size)
      .short(count)
      .octet(global ? 1 : 0)
      .take(),
  );
export const NO_LOCAL = 1;
export const NO_ACK = 2;
export const EXCLUSIVE_CONSUMER = 4;
export const CONSUME_NO_WAIT = 8;
export const consume = (
  channel: number,
  queue: string,
  tag = '',
  flags = 0,
  args: Buffer = NO_TABLE,
): Buffer =>
  method(channel, 60, 20, w().short(0).shortstr(queue).shortstr(tag).octet(flags).bytes(args).take());
export const cancel = (channel: number, tag: string, noWait = false): Buffer =>
  method(
    channel,
    60,
    30,
    w()
      .shortstr(tag)
      .octet(noWait ? 1 : 0)
      .take(),
  );
export const get = (channel: number, queue: string, noAck = true): Buffer =>
  method(
    channel,
    60,
    70,
    w()
      .short(0)
      .shortstr(queue)
      .octet(noAck ? 1 : 0)
      .take(),
  );
export const ack = (channel: number, tag: number, multiple = false): Buffer =>
  method(
    channel,
    60,
    80,
    w()
      .longlong(BigInt(tag))
      .octet(multiple ? 1 : 0)
      .take(),
  );
export const reject = (channel: number, tag: number, requeue: boolean): Buffer =>
  method(
    channel,
    60,
    90,
    w()
      .longlong(BigInt(tag))
      .octet(requeue ? 1 : 0)
      .take(),
  );
/** Flags: 1 multiple, 2 requeue. */
export const nack = (channel: number, tag: number, flags: number): Buffer =>
  method(channel, 60, 120, w().longlong(BigInt(tag)).octet(flags).take());
export const recover = (channel: number, requeue = true): Buffer =>
  method(channel, 60, 110, Buffer.from([requeue ? 1 : 0]));
export const confirmSelect = (channel: number, noWait = false): Buffer =>
  method(channel, 85, 10, Buffer.from([noWait ? 1 : 0]));
export const txSelect = (channel: number): Buffer => method(channel, 90, 10);
export const txCommit = (channel: number): Buffer => method(channel, 90, 20);
export const txRollback = (channel: number): Buffer => method(channel, 90, 30);

export const MANDATORY = 1;
export const IMMEDIATE = 2;
export const publishMethod = (channel: number, routingKey: string, exchange = '', flags = 0): Buffer =>
  method(channel, 60, 40, w().short(0).shortstr(exchange).shortstr(routingKey).octet(flags).take());
/** A content header with property flags and encoded properties. */
export const headerWith = (
  channel: number,
  size: number,
  flags: number,
  properties: Buffer = EMPTY,
): Buffer =>
  rawFrame(2, channel, w().short(60).short(0).longlong(BigInt(size)).short(flags).bytes(properties).take());

export interface Publish {
  exchange?: string;
  flags?: number;
  /** Property flags and the properties they announce. */
  properties?: [number, Buffer];
  /** Payload bytes of a body frame at most. */
  split?: number;
}

export function publish(
  channel: number,
  routingKey: string,
  body: string | Buffer,
  options: Publish = {},
): Buffer {
  const bytes = Buffer.from(body as string);
  const { exchange = '', flags = 0, properties = [0, EMPTY], split = 131064 } = options;
  const frames = [
    publishMethod(channel, routingKey, exchange, flags),
    headerWith(channel, bytes.length, properties[0], properties[1]),
  ];
  for (let at = 0; at < bytes.length; at += split)
    frames.push(bodyFrame(channel, bytes.subarray(at, at + split)));
  return Buffer.concat(frames);
}
