/** The coarse clock. */
import { expect } from 'chai';
import { clock, TICK_MS } from '../../src/clock.ts';

/** What one tick counts that comes so many milliseconds after the one before. */
function counted(ms: number): number {
  const { now } = clock;
  clock.real = performance.now() - ms;
  clock.tick();
  return clock.now - now;
}

describe('The coarse clock', () => {
  it('does not count the time for which the process stood still', () => {
    for (const ms of [10_000, 60_000]) expect(counted(ms)).to.be.below(3 * TICK_MS);
  });

  it('never counts a late tick for less than one that was less late, so that a busy machine puts off as little as can be', () => {
    for (let ms = TICK_MS; ms < 8 * TICK_MS; ms += TICK_MS / 5)
      expect(counted(ms + TICK_MS / 5), `${ms} ms`).to.be.at.least(counted(ms) - 50);
  });
});
