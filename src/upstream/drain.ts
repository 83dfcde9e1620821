/** Those whose input waits until an upstream has taken what waits for it. */
import type { Outbox } from '../io/outbox.ts';

interface Waiter {
  upstreamDrained(): void;
}

export class Drain {
  private readonly out: Outbox;
  private waiting: Waiter[] = [];

  constructor(out: Outbox) {
    this.out = out;
  }

  /** Tells `who`, once. */
  wait(who: Waiter): void {
    this.waiting.push(who);
    this.out.whenDrained(() => this.over());
  }

  over(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const who of waiting) who.upstreamDrained();
  }
}
