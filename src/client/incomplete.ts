/** What has come of a client's messages that are not complete: held back, and counted, with what their headers announce. */
import { release } from '../memory.ts';
import type { Buffered, Stats } from '../stats.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { Held } from './held.ts';
import { BODY, type IncomingMessage } from './message.ts';

interface Holder {
  readonly stats: Stats;
  /** The frame_max that client and proxy have agreed on. */
  readonly frameMax: number;
}

export class IncompleteMessages implements Buffered {
  /** Bytes in all channels. */
  pending = 0;
  private readonly client: Holder;

  constructor(client: Holder) {
    this.client = client;
  }

  /** Keeps buf[start..end) for later. */
  hold(message: IncomingMessage, buf: Buffer, start: number, end: number): void {
    if (end === start) return;
    message.held ??= new Held();
    message.held.add(buf.subarray(start, end));
    this.reserve(message, message.held.bytes + (message.expect === BODY ? message.bodyLeft : 0));
  }

  /** Sends what is held: the rest may follow. */
  send(message: IncomingMessage, upstream: Pick<Upstream, 'forward'>): void {
    if (message.held !== null)
      for (const piece of message.held.take()) {
        upstream.forward(piece, this.client.frameMax);
        release(piece);
      }
    message.held = null;
    this.reserve(message, 0);
  }

  /** What is held, in one piece; nothing is kept. */
  take(message: IncomingMessage): Buffer {
    const bytes = message.held === null ? Buffer.alloc(0) : message.held.takeWhole();
    message.held = null;
    this.reserve(message, 0);
    return bytes;
  }

  drop(message: IncomingMessage): void {
    message.held?.drop();
    message.held = null;
    if (message.reserved > 0) this.reserve(message, 0);
  }

  private reserve(message: IncomingMessage, bytes: number): void {
    const { client } = this;
    if (bytes > 0 && this.pending === 0) client.stats.messages.add(this);
    this.pending += bytes - message.reserved;
    message.reserved = bytes;
    if (this.pending === 0) client.stats.messages.delete(this);
  }
}
