/**
 * When what was written goes out. With many sockets busy, at the end of the turn of the event loop: what several reads brought for one
 * socket goes out together. With one at a time, as soon as its read has been handled: the end of the turn costs another look
 * at the event loop.
 */
import { READ_SIZE } from '../memory.ts';

export interface Sender {
  /** Sends what it has. */
  flushMarked(): void;
}

/** Turns with one read only, one after the other, after which the next ones are taken to be so, too. */
const ENOUGH = 4;
/** Reads that are taken to be alone before it is looked again whether they are. */
const LOOK = 32;
/** It takes a while to handle so many bytes: what others have brought goes out before. */
const LONG = READ_SIZE / 4;
/** In the place of who has been told, who is not to be kept by that. */
const NOBODY: Sender = { flushMarked: () => {} };

export class Turn {
  private readonly senders: Sender[] = [];
  /** So many of them are to be told; the array is never shortened, which costs more than all else here. */
  private count = 0;
  private scheduled = false;
  /** A read is being handled. */
  private handling = false;
  /** Reads with something to send, since the flush was scheduled. */
  private reads = 0;
  /** Turns with one such read only, one after the other. */
  private alone = 0;
  /** Reads that were taken to be alone. */
  private taken = 0;
  private readonly end = (): void => {
    this.scheduled = false;
    this.alone = this.reads > 1 ? 0 : this.alone + 1;
    this.taken = 0;
    this.flush();
  };

  add(sender: Sender): void {
    this.senders[this.count++] = sender;
    if (!this.handling) this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.reads = 0;
    setImmediate(this.end);
  }

  /** So many bytes were read. */
  readBegins(bytes: number): void {
    if (bytes >= LONG && this.count > 0) this.flush();
    this.handling = true;
  }

  readEnds(): void {
    this.handling = false;
    if (this.count === 0) return;
    if (this.alone >= ENOUGH && this.taken < LOOK) {
      this.taken++;
      this.flush();
    } else {
      this.schedule();
      this.reads++;
    }
  }

  private flush(): void {
    const { senders } = this;
    // a flush may have others write (who waited for it to drain): they are appended, and flushed in the same pass
    for (let i = 0; i < this.count; i++) {
      const sender = senders[i];
      senders[i] = NOBODY;
      sender.flushMarked();
    }
    this.count = 0;
  }
}

export const turn = new Turn();
