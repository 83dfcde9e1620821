/**
 * Whether what a client sends is well-formed, so that a broker reading it on a shared connection finds nothing to close
 * that connection for. Pure: bytes in, verdict out. What is checked is what RabbitMQ checks (rabbit_framing,
 * rabbit_binary_parser), no more.
 */
import { uint32 } from './frame.ts';

/** True when buf[at..end) is UTF-8 as RabbitMQ sees it: RFC 3629, and surrogates and code points up to U+13FFFF as well. */
export function isUtf8(buf: Buffer, at: number, end: number): boolean {
  while (at < end) {
    const byte = buf[at++];
    if (byte < 0x80) continue;
    let more: number;
    let low = 0x80;
    if (byte >= 0xc2 && byte <= 0xdf) more = 1;
    else if (byte >= 0xe0 && byte <= 0xef) {
      more = 2;
      if (byte === 0xe0) low = 0xa0;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      more = 3;
      if (byte === 0xf0) low = 0x90;
    } else return false;
    if (at + more > end || buf[at] < low || buf[at] > 0xbf) return false;
    for (let i = 1; i < more; i++) if ((buf[at + i] & 0xc0) !== 0x80) return false;
    at += more;
  }
  return true;
}

/** Bytes of a field value of fixed size, by type letter; -1 for types of variable size and unknown ones. */
const FIXED = new Int8Array(256).fill(-1);
for (const [letters, size] of [
  ['tbB', 1],
  ['su', 2],
  ['Iif', 4],
  ['lLTd', 8],
  ['D', 5],
  ['V', 0],
] as const)
  for (const letter of letters) FIXED[letter.charCodeAt(0)] = size;

/**
 * Ends of the tables and arrays around the value at hand; arrays as negative numbers. It is never shortened: that costs more
 * than the walk.
 */
const nest: number[] = [];

/** True when buf[at..end) is exactly the fields of a table, however deep they are nested. */
function isFields(buf: Buffer, at: number, end: number): boolean {
  let depth = 0;
  nest[0] = end;
  for (;;) {
    const top = nest[depth];
    const stop = Math.abs(top);
    if (at > stop) return false;
    if (at === stop) {
      if (depth === 0) return true;
      depth--;
      continue;
    }
    if (top > 0) at += 1 + buf[at]; // the name
    if (at >= stop) return false;
    const type = buf[at++];
    const fixed = FIXED[type];
    if (fixed >= 0) {
      at += fixed;
      if (at > stop) return false;
      if (type === 0x66 && !Number.isFinite(buf.readFloatBE(at - 4))) return false; // f: Erlang has no NaN
      if (type === 0x64 && !Number.isFinite(buf.readDoubleBE(at - 8))) return false; // d
      continue;
    }
    if (at + 4 > stop) return false;
    const size = uint32(buf, at);
    at += 4;
    if (at + size > stop) return false;
    if (type === 0x53 || type === 0x78)
      at += size; // S, x
    else if (type === 0x46)
      nest[++depth] = at + size; // F
    else if (type === 0x41)
      nest[++depth] = -at - size; // A
    else return false;
  }
}

/** Where the field table at `at` ends, -1 if it is malformed. */
export function tableEnd(buf: Buffer, at: number, end: number): number {
  if (at + 4 > end) return -1;
  const stop = at + 4 + uint32(buf, at);
  return stop <= end && isFields(buf, at + 4, stop) ? stop : -1;
}

/** What is wrong with the arguments of a method. */
export type Fault =
  /** They are not what the method takes. */
  | 'length'
  /** A field table is malformed or has an unknown type. */
  | 'table'
  /** A short string is not UTF-8. */
  | 'utf8';

/** What keeps buf[at..end) from being exactly the arguments that `spec` (see the method table) prescribes; null if nothing. */
export function argumentFault(spec: string, buf: Buffer, at: number, end: number): Fault | null {
  let fault: Fault | null = null;
  for (let i = 0; i < spec.length; i++) {
    switch (spec.charCodeAt(i)) {
      case 0x6f: // o
      case 0x62: // b
        at += 1;
        break;
      case 0x73: // s
        at += 2;
        break;
      case 0x6c: // l
        at += 4;
        break;
      case 0x4c: // L
        at += 8;
        break;
      case 0x52: // R
        if (at >= end) return 'length';
        at += 1 + buf[at];
        break;
      case 0x53: {
        // S
        if (at >= end) return 'length';
        const stop = at + 1 + buf[at];
        if (stop <= end && !isUtf8(buf, at + 1, stop)) fault ??= 'utf8';
        at = stop;
        break;
      }
      case 0x58: // X
        if (at + 4 > end) return 'length';
        at += 4 + uint32(buf, at);
        break;
      case 0x54: {
        // T
        if (at + 4 > end) return 'length';
        const stop = at + 4 + uint32(buf, at);
        if (stop > end) return 'length';
        if (!isFields(buf, at + 4, stop)) fault ??= 'table';
        at = stop;
        break;
      }
      default:
        throw new Error(`method table: unknown argument type ${spec[i]}`);
    }
    if (at > end) return 'length';
  }
  return at === end ? fault : 'length';
}

/** The basic properties in the order of their flag bits, from bit 15 down (AMQP 0-9-1 section 4.2.6.1). */
const PROPERTIES = 'SSTooSSSSLSSSS';

/** True when buf[at..end) is a property flags field and exactly the properties it announces. */
export function isProperties(buf: Buffer, at: number, end: number): boolean {
  if (at + 2 > end) return false;
  const flags = (buf[at] << 8) | buf[at + 1];
  at += 2;
  for (let i = 0; i < 14; i++) {
    if (!(flags & (0x8000 >> i))) continue;
    switch (PROPERTIES.charCodeAt(i)) {
      case 0x53: // not checked for UTF-8, as at the broker
        if (at >= end) return false;
        at += 1 + buf[at];
        if (at > end) return false;
        break;
      case 0x54:
        at = tableEnd(buf, at, end);
        if (at < 0) return false;
        break;
      case 0x6f:
        at += 1;
        break;
      default:
        at += 8;
    }
  }
  return at === end;
}
