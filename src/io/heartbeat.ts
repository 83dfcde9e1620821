/** One side's heartbeat (AMQP 0-9-1 section 4.2.7): any traffic counts as life. */
import { HEARTBEAT } from '../amqp/frame.ts';
import type { Outbox } from './outbox.ts';

export class Heartbeat {
  /** Seconds agreed in tune, 0 for none. */
  interval = 0;
  /** Coarse time of the last bytes from the peer. */
  lastRead: number;
  private readonly out: Outbox;
  private sentTotal = 0;
  private sentAt: number;

  constructor(out: Outbox, now: number) {
    this.out = out;
    this.lastRead = now;
    this.sentAt = now;
  }

  /** Sends a heartbeat if nothing went out for half an interval; false when the peer was silent for two. */
  check(now: number, listening: boolean): boolean {
    if (this.interval === 0) return true;
    const { out } = this;
    if (out.total !== this.sentTotal) {
      this.sentTotal = out.total;
      this.sentAt = now;
    } else if (now - this.sentAt >= this.interval * 500) {
      this.sentAt = now;
      if (out.pending === 0) out.write(HEARTBEAT);
    }
    if (!listening) this.lastRead = now;
    return now - this.lastRead <= this.interval * 2000;
  }
}
