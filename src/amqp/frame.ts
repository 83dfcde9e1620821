/** Frames as bytes (AMQP 0-9-1 section 4.2): type(1) channel(2) size(4) payload(size) end(1). */
import type { CloseReason } from './errors.ts';
import { M } from './methods.ts';

export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;
export const FRAME_END = 0xce;
/** Bytes of type, channel and size before a payload. */
export const FRAME_HEAD = 7;
/** Bytes of a frame that are not payload. */
export const FRAME_OVERHEAD = 8;
/** The smallest frame_max a peer may ask for, and what holds before tune (AMQP 0-9-1 section 4.2.3, `frame-min-size`). */
export const FRAME_MIN_SIZE = 4096;

export const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');
export const HEARTBEAT = Buffer.from([FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END]);

/** Appends AMQP fields to a growing buffer. For methods the proxy writes itself; never on the per-message path. */
export class Writer {
  private buffer: Buffer;
  private length = 0;

  constructor(capacity = 256) {
    this.buffer = Buffer.allocUnsafe(capacity);
  }

  private room(bytes: number): number {
    const at = this.length;
    if (at + bytes > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, at + bytes));
      this.buffer.copy(grown, 0, 0, at);
      this.buffer = grown;
    }
    this.length += bytes;
    return at;
  }

  octet(value: number): this {
    const at = this.room(1);
    this.buffer[at] = value;
    return this;
  }

  short(value: number): this {
    const at = this.room(2);
    this.buffer.writeUInt16BE(value, at);
    return this;
  }

  long(value: number): this {
    const at = this.room(4);
    this.buffer.writeUInt32BE(value >>> 0, at);
    return this;
  }

  longlong(value: bigint): this {
    const at = this.room(8);
    this.buffer.writeBigUInt64BE(value, at);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.room(value.length);
    this.buffer.set(value, at);
    return this;
  }

  /** A short string, cut at 255 bytes on a character boundary. */
  shortstr(value: string): this {
    let bytes = Buffer.from(value, 'utf8');
    if (bytes.length > 255) {
      let end = 255;
      while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--;
      bytes = bytes.subarray(0, end);
    }
    return this.octet(bytes.length).bytes(bytes);
  }

  longstr(value: string | Uint8Array): this {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    return this.long(bytes.length).bytes(bytes);
  }

  take(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/** A method frame with ready-made argument bytes. */
export function methodFrame(channel: number, methodKey: number, args?: Uint8Array): Buffer {
  const size = 4 + (args?.length ?? 0);
  const frame = Buffer.allocUnsafe(size + FRAME_OVERHEAD);
  frame[0] = FRAME_METHOD;
  frame.writeUInt16BE(channel, 1);
  frame.writeUInt32BE(size, 3);
  frame.writeUInt32BE(methodKey >>> 0, 7);
  if (args) frame.set(args, 11);
  frame[size + 7] = FRAME_END;
  return frame;
}

/** Numbers in bytes that are known to be there, on the way of every message: Buffer's own readers look twice. */
export const uint16 = (buf: Buffer, at: number): number => (buf[at] << 8) | buf[at + 1];
export const uint32 = (buf: Buffer, at: number): number =>
  ((buf[at] << 24) | (buf[at + 1] << 16) | (buf[at + 2] << 8) | buf[at + 3]) >>> 0;

/** Where the frame after the one at `at` begins; its head must be there. */
export const frameAfter = (buf: Buffer, at: number): number => at + uint32(buf, at + 3) + FRAME_OVERHEAD;

/** Gives the frame at `at` another channel number. */
export function setChannel(buf: Buffer, at: number, channel: number): void {
  buf[at + 1] = channel >>> 8;
  buf[at + 2] = channel;
}

/** The same for whole frames, one after the other. */
export function renumber(frames: Buffer, channel: number): void {
  for (let at = 0; at < frames.length; at = frameAfter(frames, at)) setChannel(frames, at, channel);
}

export const NO_ARGS = Buffer.alloc(0);
const EMPTY_LONGSTR = Buffer.alloc(4);
const EMPTY_SHORTSTR = Buffer.alloc(1);
const FLOW_ACTIVE = Buffer.from([1]);

/** A method that is the same every time: made once for each channel number. */
function constant(methodKey: number, args?: Uint8Array): (channel: number) => Buffer {
  const made: Buffer[] = [];
  return channel => (made[channel] ??= methodFrame(channel, methodKey, args));
}

export const channelOpen = constant(M.CHANNEL_OPEN, EMPTY_SHORTSTR);
export const channelOpenOk = constant(M.CHANNEL_OPEN_OK, EMPTY_LONGSTR);
export const channelCloseOk = constant(M.CHANNEL_CLOSE_OK);
/** The barrier: a no-op for RabbitMQ that it answers with flow-ok after all that came before on the channel. */
export const barrier = constant(M.CHANNEL_FLOW, FLOW_ACTIVE);
export const CONNECTION_OPEN_OK = methodFrame(0, M.CONNECTION_OPEN_OK, EMPTY_SHORTSTR);
export const CONNECTION_CLOSE_OK = methodFrame(0, M.CONNECTION_CLOSE_OK);
export const UPDATE_SECRET_OK = methodFrame(0, M.CONNECTION_UPDATE_SECRET_OK);

/** basic.qos for new consumers of a channel; `prefetch` 0 takes the bound away. */
export const qos = (channel: number, prefetch: number): Buffer =>
  methodFrame(channel, M.BASIC_QOS, new Writer(8).long(0).short(prefetch).octet(0).take());

/** confirm.select; with `nowait` the broker sends no select-ok. */
export const confirmSelect = (channel: number, nowait: boolean): Buffer =>
  methodFrame(channel, M.CONFIRM_SELECT, Buffer.from([nowait ? 1 : 0]));

function closeArgs(why: CloseReason): Buffer {
  return new Writer(64).short(why.code).shortstr(why.text).short(why.classId).short(why.methodId).take();
}

export const channelClose = (channel: number, why: CloseReason): Buffer =>
  methodFrame(channel, M.CHANNEL_CLOSE, closeArgs(why));
export const connectionClose = (why: CloseReason): Buffer =>
  methodFrame(0, M.CONNECTION_CLOSE, closeArgs(why));

/** Reads the arguments of a close method whose payload begins (after the method key) at `at`; they must be well-formed. */
export function readClose(buf: Buffer, at: number): CloseReason {
  const code = buf.readUInt16BE(at);
  const length = buf[at + 2];
  const text = buf.toString('utf8', at + 3, at + 3 + length);
  const rest = at + 3 + length;
  return { code, text, classId: buf.readUInt16BE(rest), methodId: buf.readUInt16BE(rest + 2) };
}

export const readShortstr = (buf: Buffer, at: number): string =>
  buf.toString('utf8', at + 1, at + 1 + buf[at]);
