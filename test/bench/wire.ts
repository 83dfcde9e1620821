/**
 * The bytes that the bench's own peers say and count. Independent of src/, so that one bench measures any version of the
 * proxy. Frames: AMQP 0-9-1 section 4.2.
 */

const FRAME_END = 0xce;
/** frame_max of RabbitMQ: bodies are split to fit. */
const FRAME_MAX = 131072;

/** class-id << 16 | method-id */
export const method = (classId: number, methodId: number): number => (classId << 16) | methodId;

export const PUBLISH = method(60, 40);
export const DELIVER = method(60, 60);
export const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');
export const HEARTBEAT = Buffer.from([8, 0, 0, 0, 0, 0, 0, FRAME_END]);

function frame(type: number, channel: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(payload.length + 8);
  bytes[0] = type;
  bytes.writeUInt16BE(channel, 1);
  bytes.writeUInt32BE(payload.length, 3);
  bytes.set(payload, 7);
  bytes[payload.length + 7] = FRAME_END;
  return bytes;
}

/** A method frame; `fields` are its arguments, already encoded. */
export function methodFrame(channel: number, id: number, ...fields: Uint8Array[]): Buffer {
  const head = Buffer.allocUnsafe(4);
  head.writeUInt32BE(id, 0);
  return frame(1, channel, Buffer.concat([head, ...fields]));
}

export const short = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
export const long = (value: number): Buffer => Buffer.from([value >>> 24, value >> 16, value >> 8, value]);
export const longlong = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
export const shortstr = (text: string): Buffer =>
  Buffer.from(`${String.fromCharCode(text.length)}${text}`, 'latin1');
export const longstr = (bytes: Uint8Array | string): Buffer => {
  const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  return Buffer.concat([long(data.length), data]);
};

/** A field table of long strings, booleans, 32-bit numbers and tables: all that is needed here. */
export interface Fields {
  [name: string]: string | boolean | number | Fields;
}
export function table(fields: Fields): Buffer {
  const parts: Uint8Array[] = [];
  for (const [name, value] of Object.entries(fields)) {
    parts.push(shortstr(name));
    if (typeof value === 'boolean') parts.push(Buffer.from(`t${value ? '\x01' : '\x00'}`, 'latin1'));
    else if (typeof value === 'number') parts.push(Buffer.from('I'), long(value));
    else if (typeof value === 'string') parts.push(Buffer.from('S'), longstr(value));
    else parts.push(Buffer.from('F'), table(value));
  }
  return longstr(Buffer.concat(parts));
}

/** A message as a peer sends it: method, content header without properties, body frames of at most frame_max. */
function message(channel: number, methodBytes: Buffer, bodySize: number): Buffer {
  const parts = [
    methodBytes,
    frame(2, channel, Buffer.concat([short(60), short(0), longlong(bodySize), short(0)])),
  ];
  for (let left = bodySize; left > 0; left -= FRAME_MAX - 8)
    parts.push(frame(3, channel, Buffer.alloc(Math.min(left, FRAME_MAX - 8), 'x')));
  return Buffer.concat(parts);
}

/** basic.publish to the default exchange. */
export const publish = (channel: number, routingKey: string, bodySize: number): Buffer =>
  message(
    channel,
    methodFrame(channel, PUBLISH, short(0), shortstr(''), shortstr(routingKey), Buffer.from([0])),
    bodySize,
  );

/** basic.deliver; the tags are all the same, which a consumer without acks may not look at. */
export const deliver = (channel: number, consumerTag: string, bodySize: number): Buffer =>
  message(
    channel,
    methodFrame(
      channel,
      DELIVER,
      shortstr(consumerTag),
      longlong(1),
      Buffer.from([0]),
      shortstr(''),
      shortstr('q'),
    ),
    bodySize,
  );

/** As many whole messages as fit in `size` bytes, one at least; the messages take turns. */
export function chunkOf(messages: Buffer[], size: number): Buffer {
  const round = Buffer.concat(messages);
  return Buffer.concat(Array(Math.max(1, Math.floor(size / round.length))).fill(round));
}

/**
 * Reads frames, as cheaply as it can: it looks at methods only, and once messages of one size follow each other
 * it looks at the last of those in a chunk and takes the ones before it to be alike. (Ours are: all are prepared from one.)
 */
export class FrameReader {
  /** Messages seen: methods with the id `counted`. */
  count = 0;
  /** Looks at every message and calls `onCounted`, as confirms must. */
  exact = false;
  private rest: Buffer | null = null;
  private skip = 0;
  /** Bytes from one counted method to the next; 0 while unknown. */
  private stride = 0;
  private previous = -1;
  private base = 0;
  private readonly counted: number;
  private readonly onMethod: (channel: number, id: number, bytes: Buffer, at: number, size: number) => void;
  private readonly onCounted: ((channel: number) => void) | undefined;

  /** `onMethod` gets the position and size of the arguments. */
  constructor(
    counted: number,
    onMethod: (channel: number, id: number, bytes: Buffer, at: number, size: number) => void,
    onCounted?: (channel: number) => void,
  ) {
    this.counted = counted;
    this.onMethod = onMethod;
    this.onCounted = onCounted;
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.rest !== null) {
      // a few bytes of a method frame; copied together with the chunk's first bytes would be cheaper, but this is rare
      bytes = Buffer.concat([this.rest, chunk]);
      this.rest = null;
    }
    const end = bytes.length;
    let at = Math.min(this.skip, end);
    this.skip -= at;
    while (at < end) {
      if (end - at < 7) break;
      const size = bytes.readUInt32BE(at + 3);
      const type = bytes[at];
      if (type === 1) {
        if (end - at < 11) break;
        const id = bytes.readUInt32BE(at + 7);
        if (id === this.counted) {
          at = this.exact ? this.one(bytes, at, size) : this.run(bytes, at, end, size);
        } else {
          if (end - at < size + 8) break;
          this.previous = -1;
          this.onMethod(bytes.readUInt16BE(at + 1), id, bytes, at + 11, size - 4);
          at += size + 8;
        }
      } else {
        at += size + 8;
      }
    }
    if (at > end) this.skip = at - end;
    else if (at < end) this.rest = Buffer.from(bytes.subarray(at));
    this.base += Math.min(at, end);
  }

  private one(bytes: Buffer, at: number, size: number): number {
    this.count++;
    this.onCounted?.(bytes.readUInt16BE(at + 1));
    return at + size + 8;
  }

  /** Passes over the messages that are alike from here on; returns where the next frame starts. */
  private run(bytes: Buffer, at: number, end: number, size: number): number {
    const position = this.base + at;
    const stride = this.previous < 0 ? 0 : position - this.previous;
    this.previous = position;
    this.count++;
    if (stride === 0 || stride !== this.stride) {
      this.stride = stride;
      return at + size + 8;
    }
    for (let ahead = Math.floor((end - 11 - at) / stride); ahead > 0; ahead >>= 1) {
      const last = at + ahead * stride;
      if (
        bytes[last] === 1 &&
        bytes.readUInt32BE(last + 3) === size &&
        bytes.readUInt32BE(last + 7) === this.counted
      ) {
        this.count += ahead;
        this.previous = position + ahead * stride;
        // the last one may end in the next chunk, or be longer than the others
        return last + size + 8;
      }
    }
    return at + size + 8;
  }
}
