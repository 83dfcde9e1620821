/** All that is periodic: heartbeats, time-outs, idle leases and upstreams, lifetimes. */
import { clock, TICK_MS } from '../clock.ts';

interface Periodic {
  /** `now` as of the coarse clock. */
  maintain(now: number): void;
}

export class Janitor {
  private readonly work: Periodic;
  private timer: NodeJS.Timeout | null = null;

  constructor(work: Periodic) {
    this.work = work;
  }

  start(): void {
    // after a poll: what has come meanwhile is read before anybody is judged by it
    this.timer = setInterval(() => setImmediate(() => this.tick()), TICK_MS);
  }

  private tick(): void {
    clock.tick();
    this.work.maintain(clock.now);
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
  }
}
