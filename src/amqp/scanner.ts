/**
 * Cuts a stream of bytes into frames without joining or copying what it can leave alone.
 *
 * A chunk from the socket is scanned in place. A frame that lies whole in it is handed over as (buffer, offset). Of a
 * frame that does not, only a head of less than 7 bytes, or an incomplete method or header frame (small), is carried
 * over; the pieces of a large body frame are handed over as they come.
 */
import { own } from '../memory.ts';
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEAD,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  uint16,
  uint32,
} from './frame.ts';

/** What a frame handler says: go on; stop after this frame; or stop and offer this frame again when fed again. */
export const NEXT = 0;
export const STOP = 1;
export const AGAIN = 2;
export type Verdict = typeof NEXT | typeof STOP | typeof AGAIN;

export type BadFrame =
  | { kind: 'type'; type: number; channel: number; size: number; payload: Buffer }
  | { kind: 'size'; type: number; channel: number; size: number; max: number }
  | { kind: 'end'; type: number; channel: number; size: number; end: number; payload: Buffer };

const NOTHING = Buffer.alloc(0);

/** What the frames of a stream are handed to. */
export interface FrameSink {
  /** A whole frame lies at buf[at]. */
  frame(type: number, channel: number, buf: Buffer, at: number, size: number): Verdict;
  /** A body frame begins at buf[at] and goes on past `end`; `bodyPart` brings the rest. */
  bodyBegins(channel: number, buf: Buffer, at: number, end: number, size: number): Verdict;
  /** More of the open body frame; `last` when it ends here (end byte included and checked). */
  bodyPart(buf: Buffer, at: number, end: number, last: boolean): void;
  /** All of `buf` has been scanned: what refers to it must be sent or kept now. */
  chunkEnds(buf: Buffer, end: number): void;
  /** A frame that breaks the framing rules; nothing after it can be trusted. */
  badFrame(bad: BadFrame): void;
}

/** Takes whole messages at once, rather than frame by frame, where it can. */
export interface MessageSink {
  /** Where the messages that it has taken from buf[at..end) end; `at` when it has taken none. No body is longer than `maxBody`. */
  messages(buf: Buffer, at: number, end: number, maxBody: number): number;
}

export class FrameScanner {
  private readonly sink: FrameSink;
  private readonly messages: MessageSink | null;
  /** Largest payload taken: frame_max (RabbitMQ takes 8 bytes more than the specification allows). */
  maxPayload: number;
  private partial: Buffer = NOTHING;
  private partialLength = 0;
  /** Payload bytes and the end byte still to come of the body frame that is passing, 0 if none is. */
  private openBody = 0;
  private stash: Buffer[] = [];
  private stopped = false;
  private stashBytes = 0;
  /** A handler is at work on a frame. */
  private scanning = false;
  /** `resume` was called while a handler was at work: what it waits for has come already. */
  private resumed = false;
  private rewound: Buffer | null = null;
  private closed = false;

  constructor(sink: FrameSink, maxPayload: number, messages: MessageSink | null = null) {
    this.sink = sink;
    this.messages = messages;
    this.maxPayload = maxPayload;
  }

  get isStopped(): boolean {
    return this.stopped;
  }

  /** Bytes kept while stopped. */
  get stashed(): number {
    return this.stashBytes;
  }

  /** Scans a chunk (borrowed bytes), or keeps it while the scanner is stopped. */
  feed(chunk: Buffer): void {
    if (this.closed) return;
    if (this.stopped) {
      this.keepLast(chunk);
      return;
    }
    this.scanning = true;
    this.scan(chunk);
    this.scanning = false;
    if (this.resumed) this.resume();
  }

  /** Goes on after a STOP or AGAIN; called while a handler is at work, once that has said what it waits for. */
  resume(): void {
    this.resumed = this.scanning;
    if (this.scanning) return;
    while (this.stopped && !this.closed) {
      const chunks = this.stash;
      this.stopped = false;
      this.stash = [];
      this.stashBytes = 0;
      this.scanning = true;
      for (const chunk of chunks)
        if (this.stopped) this.keepLast(chunk);
        else this.scan(chunk);
      this.scanning = false;
      if (!this.resumed) return;
      this.resumed = false;
    }
  }

  /** Stops now: what is fed from here on is kept. */
  halt(): void {
    this.stopped = true;
  }

  /** Has bytes of earlier frames scanned again, before the one that the handler at work stops at. */
  rewind(bytes: Buffer): void {
    this.rewound = bytes;
  }

  /** Forgets everything and takes nothing more. */
  close(): void {
    this.closed = true;
    this.stopped = true;
    this.stash = [];
    this.stashBytes = 0;
    this.partial = NOTHING;
    this.partialLength = 0;
  }

  private keepFirst(bytes: Buffer): void {
    if (bytes.length === 0 || this.closed) return;
    this.stash.unshift(own(bytes));
    this.stashBytes += bytes.length;
  }

  private keepLast(bytes: Buffer): void {
    if (bytes.length === 0 || this.closed) return;
    this.stash.push(own(bytes));
    this.stashBytes += bytes.length;
  }

  private scan(chunk: Buffer): void {
    let at = 0;
    if (this.openBody > 0) {
      at = this.continueBody(chunk);
      if (at < 0) return;
    } else if (this.partialLength > 0) {
      at = this.completePartial(chunk);
      if (at < 0) return;
    }
    this.scanFrom(chunk, at);
  }

  private continueBody(chunk: Buffer): number {
    const n = Math.min(this.openBody, chunk.length);
    const last = n === this.openBody;
    if (last && chunk[n - 1] !== FRAME_END) {
      this.stopped = true;
      this.sink.badFrame({
        kind: 'end',
        type: FRAME_BODY,
        channel: 0,
        size: 0,
        end: chunk[n - 1],
        payload: NOTHING,
      });
      return -1;
    }
    this.openBody -= n;
    this.sink.bodyPart(chunk, 0, n, last);
    if (this.stopped) {
      this.keepFirst(chunk.subarray(n));
      return -1;
    }
    return n;
  }

  /** Adds from the chunk what the carried frame lacks; returns where scanning goes on, -1 if the chunk is used up. */
  private completePartial(chunk: Buffer): number {
    let used = 0;
    if (this.partialLength < FRAME_HEAD) {
      used = Math.min(FRAME_HEAD - this.partialLength, chunk.length);
      this.carry(chunk, 0, used);
      if (this.partialLength < FRAME_HEAD) return -1;
    }
    const { partial } = this;
    const size = partial.readUInt32BE(3);
    if (partial[0] !== FRAME_BODY && size <= this.maxPayload) {
      const need = Math.min(size + 8 - this.partialLength, chunk.length - used);
      this.carry(chunk, used, used + need);
      used += need;
      if (this.partialLength < size + 8) return -1;
    }
    const whole = this.partial.subarray(0, this.partialLength);
    this.partial = NOTHING;
    this.partialLength = 0;
    this.scanFrom(whole, 0);
    if (this.stopped) {
      this.keepLast(chunk.subarray(used));
      return -1;
    }
    if (this.openBody > 0) {
      if (used === chunk.length) return -1;
      const rest = this.continueBody(used === 0 ? chunk : chunk.subarray(used));
      return rest < 0 ? -1 : used + rest;
    }
    return used;
  }

  private carry(chunk: Buffer, start: number, end: number): void {
    const needed = this.partialLength + end - start;
    if (needed > this.partial.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, 64, this.partial.length * 2));
      this.partial.copy(grown, 0, 0, this.partialLength);
      this.partial = grown;
    }
    chunk.copy(this.partial, this.partialLength, start, end);
    this.partialLength = needed;
  }

  private scanFrom(buf: Buffer, at: number): void {
    const end = buf.length;
    const { messages } = this;
    while (end - at >= FRAME_HEAD) {
      const type = buf[at];
      if (type === FRAME_METHOD && messages !== null) {
        const taken = messages.messages(buf, at, end, this.maxPayload);
        if (taken > at) {
          at = taken;
          continue;
        }
      }
      const channel = uint16(buf, at + 1);
      const size = uint32(buf, at + 3);
      if (size > this.maxPayload) {
        this.sink.chunkEnds(buf, at);
        this.stopped = true;
        this.sink.badFrame({ kind: 'size', type, channel, size, max: this.maxPayload });
        return;
      }
      const next = at + size + 8;
      if (next > end) {
        if (type !== FRAME_BODY) break;
        const verdict = this.sink.bodyBegins(channel, buf, at, end, size);
        if (verdict === NEXT) {
          this.openBody = next - end;
          this.sink.chunkEnds(buf, end);
          return;
        }
        this.sink.chunkEnds(buf, at);
        this.stopped = true;
        this.keepFirst(buf.subarray(at));
        return;
      }
      if (buf[next - 1] !== FRAME_END) {
        this.sink.chunkEnds(buf, at);
        this.stopped = true;
        const payload = buf.subarray(at + FRAME_HEAD, next - 1);
        this.sink.badFrame({ kind: 'end', type, channel, size, end: buf[next - 1], payload });
        return;
      }
      if (type !== FRAME_METHOD && type !== FRAME_BODY && type !== FRAME_HEADER && type !== FRAME_HEARTBEAT) {
        this.sink.chunkEnds(buf, at);
        this.stopped = true;
        const payload = buf.subarray(at + FRAME_HEAD, next - 1);
        this.sink.badFrame({ kind: 'type', type, channel, size, payload });
        return;
      }
      const verdict = this.sink.frame(type, channel, buf, at, size);
      if (verdict !== NEXT) {
        const rest = verdict === AGAIN ? at : next;
        this.sink.chunkEnds(buf, rest);
        this.stopped = true;
        this.keepFirst(buf.subarray(rest));
        if (this.rewound !== null) this.keepFirst(this.rewound);
        this.rewound = null;
        return;
      }
      at = next;
    }
    this.sink.chunkEnds(buf, at);
    if (at < end) this.carry(buf, at, end);
  }
}
