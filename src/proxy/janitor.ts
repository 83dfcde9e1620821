/** All that is periodic: heartbeats, time-outs, idle leases and upstreams, lifetimes. */
import { clock, TICK_MS } from '../clock.ts';

/** A tick that comes so much later than it should shows that the process has been standing still. */
const LATE_MS = 2 * TICK_MS;

interface Tickable {
  /** `judge` unless the process has been standing still: then the silence of others may be its own. */
  maintain(now: number, judge: boolean): void;
}

export class Janitor {
  private readonly work: Tickable;
  private timer: NodeJS.Timeout | null = null;
  private last = performance.now();

  constructor(work: Tickable) {
    this.work = work;
  }

  start(): void {
    this.last = performance.now();
    // after a poll: what has come meanwhile is read before anybody is judged by it
    this.timer = setInterval(() => setImmediate(() => this.tick()), TICK_MS);
  }

  private tick(): void {
    const now = performance.now();
    const judge = now - this.last <= LATE_MS;
    this.last = now;
    clock.now = now;
    this.work.maintain(now, judge);
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
  }
}
