/** The answers that the broker owes on one upstream: to channel.open, to barriers and to closes. */
import { clock } from '../clock.ts';

export class Answers {
  private due = 0;
  /** Coarse time since which the oldest one is due, or the last one came. */
  private since = 0;
  /** What was asked is numbered, from 1: the last of all, and the last that is answered. */
  private last = 0;
  private lastAnswered = 0;

  /** Gives the number of the question. */
  asked(): number {
    if (this.due++ === 0) this.since = clock.now;
    return ++this.last;
  }

  came(question: number): void {
    this.lastAnswered = Math.max(this.lastAnswered, question);
    this.due--;
    this.since = clock.now;
  }

  /** The answer is waited for no more. */
  forgo(): void {
    this.due--;
  }

  /** What was asked later is answered: the broker has read this, too. */
  overtook(question: number): boolean {
    return this.lastAnswered > question;
  }

  /** Nothing was asked after this. */
  isLast(question: number): boolean {
    return this.last === question;
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
