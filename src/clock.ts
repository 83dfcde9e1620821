/** One coarse clock for everything that only needs to know roughly when: heartbeats, idle times, time-outs. */

/** Milliseconds between ticks. */
export const TICK_MS = 250;

export const clock = {
  /** Monotonic milliseconds as of the last tick. */
  now: performance.now(),
};

const timer = setInterval(() => {
  clock.now = performance.now();
}, TICK_MS);
timer.unref();
