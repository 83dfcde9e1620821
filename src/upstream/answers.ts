/** The answers that the broker owes on one upstream: to channel.open, to barriers and to closes. */
import { clock } from '../clock.ts';

export class Answers {
  private due = 0;
  /** Coarse time since which the oldest one is due, or the last one came. */
  private since = 0;

  asked(): void {
    if (this.due++ === 0) this.since = clock.now;
  }

  came(): void {
    this.due--;
    this.since = clock.now;
  }

  /** The broker has begun to read again: what is due is due from now on. */
  restart(): void {
    this.since = clock.now;
  }

  /** Milliseconds of silence in spite of an answer that is due; 0 when none is. `lastRead` is when the broker sent anything. */
  silence(lastRead: number): number {
    return this.due === 0 ? 0 : clock.now - Math.max(this.since, lastRead);
  }
}
