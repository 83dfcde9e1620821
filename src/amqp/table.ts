/** Field tables (AMQP 0-9-1 section 4.2.5.5, with RabbitMQ's type letters): only what the proxy reads or writes itself. */
import { Writer } from './frame.ts';

export type Value = string | number | bigint | boolean | null | Table | Value[] | Buffer;
export interface Table {
  [name: string]: Value;
}

/** Encodes strings, booleans, 32-bit integers and nested tables; includes the leading length. */
export function encodeTable(table: Table): Buffer {
  const body = new Writer(256);
  for (const [name, value] of Object.entries(table)) {
    body.shortstr(name);
    if (typeof value === 'string') body.octet(0x53).longstr(value);
    else if (typeof value === 'boolean') body.octet(0x74).octet(value ? 1 : 0);
    else if (typeof value === 'number') body.octet(0x49).long(value);
    else if (value !== null && typeof value === 'object' && !Array.isArray(value) && !Buffer.isBuffer(value))
      body.octet(0x46).bytes(encodeTable(value));
    else throw new TypeError(`field ${name}: this type is never written by the proxy`);
  }
  const bytes = body.take();
  return new Writer(bytes.length + 4).longstr(bytes).take();
}

class Reader {
  private buf: Buffer;
  private at: number;
  private end: number;

  constructor(buf: Buffer, at: number, end: number) {
    this.buf = buf;
    this.at = at;
    this.end = end;
  }

  private skip(bytes: number): number {
    const at = this.at;
    if (at + bytes > this.end) throw new RangeError('field table is cut off');
    this.at += bytes;
    return at;
  }

  table(): Table {
    const size = this.buf.readUInt32BE(this.skip(4));
    const start = this.skip(size);
    const inner = new Reader(this.buf, start, start + size);
    const table: Table = {};
    while (inner.at < inner.end) {
      const nameLength = inner.buf[inner.skip(1)];
      const nameAt = inner.skip(nameLength);
      table[inner.buf.toString('utf8', nameAt, nameAt + nameLength)] = inner.value();
    }
    return table;
  }

  private bytes(): Buffer {
    const size = this.buf.readUInt32BE(this.skip(4));
    const at = this.skip(size);
    return this.buf.subarray(at, at + size);
  }

  private value(): Value {
    const { buf } = this;
    const type = String.fromCharCode(buf[this.skip(1)]);
    switch (type) {
      case 'S':
        return this.bytes().toString('utf8');
      case 'x':
        return this.bytes();
      case 't':
        return buf[this.skip(1)] !== 0;
      case 'b':
        return buf.readInt8(this.skip(1));
      case 'B':
        return buf[this.skip(1)];
      case 's':
        return buf.readInt16BE(this.skip(2));
      case 'u':
        return buf.readUInt16BE(this.skip(2));
      case 'I':
        return buf.readInt32BE(this.skip(4));
      case 'i':
        return buf.readUInt32BE(this.skip(4));
      case 'l':
        return buf.readBigInt64BE(this.skip(8));
      case 'T':
        return buf.readBigUInt64BE(this.skip(8));
      case 'f':
        return buf.readFloatBE(this.skip(4));
      case 'd':
        return buf.readDoubleBE(this.skip(8));
      case 'D': {
        const scale = buf[this.skip(1)];
        return buf.readInt32BE(this.skip(4)) / 10 ** scale;
      }
      case 'V':
        return null;
      case 'F':
        return this.table();
      case 'A': {
        const size = buf.readUInt32BE(this.skip(4));
        const start = this.skip(size);
        const inner = new Reader(buf, start, start + size);
        const values: Value[] = [];
        while (inner.at < inner.end) values.push(inner.value());
        return values;
      }
      default:
        throw new RangeError(`field table has the unknown type '${type}'`);
    }
  }
}

/** Decodes the table whose length field is at `at`; RangeError when it is cut off or has an unknown type. */
export function decodeTable(buf: Buffer, at: number, end: number): Table {
  return new Reader(buf, at, end).table();
}
