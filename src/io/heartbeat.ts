/** One side's heartbeat (AMQP 0-9-1 section 4.2.7): any traffic counts as life. */
import { HEARTBEAT } from '../amqp/frame.ts';
import { clock } from '../clock.ts';
import type { Outbox } from './outbox.ts';

export class Heartbeat {
  /** Seconds agreed in tune, 0 for none. */
  interval = 0;
  /** Coarse time of the last bytes from the peer. */
  lastRead: number;
  private readonly out: Outbox;
  private sentTotal = 0;
  private sentAt: number;

  constructor(out: Outbox) {
    this.out = out;
    this.lastRead = clock.now;
    this.sentAt = clock.real;
  }

  /** Sends a heartbeat if nothing went out for half an interval; by the peer's clock, that goes on while we stand still. */
  send(now: number): void {
    const { out, interval } = this;
    if (interval === 0) return;
    if (out.total !== this.sentTotal) {
      this.sentTotal = out.total;
      this.sentAt = now;
    } else if (now - this.sentAt >= interval * 500) {
      this.sentAt = now;
      if (out.pending === 0) out.write(HEARTBEAT);
    }
  }

  /** The peer has sent nothing for two intervals. */
  silent(now: number): boolean {
    return this.interval > 0 && now - this.lastRead > this.interval * 2000;
  }
}
