/**
 * One coarse clock for everything that only needs to know roughly when: heartbeats, idle times, time-outs. It counts the time
 * in which the process has been at work: while it stands still (stopped, swapped out, a busy machine) nobody's time runs out,
 * for what others have sent meanwhile is only read afterwards.
 */

/** Milliseconds between ticks. */
export const TICK_MS = 250;
/** What a tick counts at most: one that comes later than that shows that the process has been standing still. */
const LATE_MS = 2 * TICK_MS;

interface Timer {
  due: number;
  act: () => void;
}

const timers = new Set<Timer>();
export const clock = {
  /** Milliseconds as of the last tick. */
  now: performance.now(),
  /** The same as for everybody else: standing still counts. For what others wait for. */
  real: performance.now(),

  /** Time goes on; to be called every TICK_MS. */
  tick(): void {
    const time = performance.now();
    const passed = time - clock.real;
    clock.real = time;
    clock.now += Math.min(passed, LATE_MS);
    for (const timer of timers)
      if (timer.due <= clock.now) {
        timers.delete(timer);
        timer.act();
      }
  },

  /** Calls `act` after that many seconds, and not before the next tick; gives what calls it off. */
  after(seconds: number, act: () => void): () => void {
    const timer = { due: clock.now + seconds * 1000, act };
    timers.add(timer);
    return () => void timers.delete(timer);
  },
};
