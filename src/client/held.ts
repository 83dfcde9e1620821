/**
 * The beginning of a message, kept until the rest has come. However it was cut on its way, it costs about its own size:
 * small pieces are copied together, for each would keep the whole chunk it was read in.
 */
import { keep, release } from '../memory.ts';

const SMALL = 8192;
const NOTHING = Buffer.alloc(0);

export class Held {
  bytes = 0;
  private pieces: Buffer[] = [];
  private tail: Buffer = NOTHING;
  private tailLength = 0;

  /** Adds borrowed bytes. */
  add(piece: Buffer): void {
    this.bytes += piece.length;
    if (piece.length >= SMALL) {
      this.endTail();
      this.pieces.push(keep(piece));
      return;
    }
    if (this.tailLength + piece.length > this.tail.length) this.makeRoom(piece.length);
    piece.copy(this.tail, this.tailLength);
    this.tailLength += piece.length;
  }

  /** What was added, in order, to be released by the caller; nothing is kept. */
  take(): Buffer[] {
    this.endTail();
    const { pieces } = this;
    this.pieces = [];
    this.bytes = 0;
    return pieces;
  }

  /** What was added, in one piece; nothing is kept. */
  takeWhole(): Buffer {
    const pieces = this.take();
    const whole = Buffer.concat(pieces);
    pieces.forEach(release);
    return whole;
  }

  drop(): void {
    this.take().forEach(release);
  }

  private makeRoom(size: number): void {
    if (this.tailLength >= SMALL) this.endTail();
    const grown = Buffer.allocUnsafeSlow(Math.max(512, this.tailLength + size, this.tail.length * 2));
    this.tail.copy(grown, 0, 0, this.tailLength);
    this.tail = grown;
  }

  private endTail(): void {
    if (this.tailLength > 0) this.pieces.push(this.tail.subarray(0, this.tailLength));
    this.tail = NOTHING;
    this.tailLength = 0;
  }
}
