/**
 * What the messages of a publisher have in common: the same exchange, routing key and properties, one after the other, and
 * only the bodies differ. The next one that has the shape needs no second check, and is taken with one comparison.
 */
import { FRAME_END, FRAME_HEAD, FRAME_HEADER, FRAME_METHOD, frameAfter, setChannel } from '../amqp/frame.ts';

/** Of a header frame, its head and what comes before the size of the body, and that. */
const BEFORE_SIZE = FRAME_HEAD + 4;
const SIZE = 8;
/** Of a body frame, its type and channel, and the size of its payload. */
const BEFORE_PAYLOAD = 3;
/** Longer than this, checking it is a small part of the work. */
const LONGEST = 1024;

export class MessageShape {
  /** Payload of the header frame, in bytes. */
  readonly headerSize: number;
  /** A message as the client sends it, up to the size of the body frame and without that of the body, four bytes at a time. */
  private readonly words: Int32Array;
  /** Where they are; the last of each part may overlap the one before it. */
  private readonly places: Int32Array;
  /** Where the header frame begins, and the body frame. */
  private readonly header: number;
  private readonly body: number;

  private constructor(bytes: Buffer, header: number, body: number) {
    const size = header + BEFORE_SIZE + SIZE / 2;
    const places = [...wordsIn(0, size), ...wordsIn(size + SIZE / 2, bytes.length)];
    this.places = Int32Array.from(places);
    this.words = Int32Array.from(places, at => bytes.readInt32LE(at));
    this.header = header;
    this.body = body;
    this.headerSize = body - header - FRAME_HEAD - 1;
  }

  /** That of the whole, well-formed message at buf[at..end), in the client's numbering; null when it has not just one body frame. */
  static of(buf: Buffer, at: number, end: number, channel: number): MessageShape | null {
    if (buf[at] !== FRAME_METHOD) return null;
    const header = frameAfter(buf, at);
    if (header >= end || buf[header] !== FRAME_HEADER) return null;
    const body = frameAfter(buf, header);
    if (body >= end || body - at > LONGEST || frameAfter(buf, body) !== end) return null;
    const bytes = Buffer.from(buf.subarray(at, body + BEFORE_PAYLOAD));
    for (const frame of [at, header, body]) setChannel(bytes, frame - at, channel);
    return new MessageShape(bytes, header - at, body - at);
  }

  /** Where the message at `at` ends, if it has this shape and lies whole before `end`; else 0. */
  endOf(buf: Buffer, at: number, end: number, maxBody: number): number {
    const { words, places, header, body } = this;
    const payload = at + body + FRAME_HEAD;
    if (payload >= end) return 0;
    const view = viewOf(buf);
    const from = buf.byteOffset + at;
    for (let i = 0; i < words.length; i++) if (view.getInt32(from + places[i], true) !== words[i]) return 0;
    const length = view.getUint32(from + header + BEFORE_SIZE + SIZE / 2);
    if (length === 0 || length > maxBody || length !== view.getUint32(from + body + BEFORE_PAYLOAD)) return 0;
    const last = payload + length;
    return last < end && buf[last] === FRAME_END ? last + 1 : 0;
  }

  /** Gives the frames of the message at `at` another channel. */
  renumber(buf: Buffer, at: number, channel: number): void {
    setChannel(buf, at, channel);
    setChannel(buf, at + this.header, channel);
    setChannel(buf, at + this.body, channel);
  }
}

let viewed: Buffer = Buffer.alloc(0);
let view = new DataView(viewed.buffer);

/** What is read next is often where the last was. */
function viewOf(buf: Buffer): DataView {
  if (buf === viewed) return view;
  viewed = buf;
  const { buffer } = buf;
  if (view.buffer !== buffer) view = new DataView(buffer);
  return view;
}

/** Where to begin to read [start, end), which is 4 bytes at least, in words. */
function* wordsIn(start: number, end: number): Iterable<number> {
  for (let at = start; at < end; at += 4) yield Math.min(at, end - 4);
}
