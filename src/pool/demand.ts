/**
 * What those who wait in a pool need: how many upstreams, and of which names. A client that will keep an upstream wants one that
 * bears the name that the application has given to its connection.
 */
import type { Waiters } from './waiters.ts';

const OWN = 'upstream';
/** Apart: who waits for a name does not hold up who takes any. */
const NAMED = 'upstream with a name';

/** The kind of those who wait for an upstream for themselves. */
export const kindFor = (title: string): string => (title === '' ? OWN : NAMED);

export class Demand {
  private readonly waiters: Waiters;
  /** Channels that a new upstream lends; 0 when the user may have no more. */
  private readonly channels: () => number;

  constructor(waiters: Waiters, channels: () => number) {
    this.waiters = waiters;
    this.channels = channels;
  }

  /** Upstreams that would serve all who wait; or all but those who want a name. */
  private count(named: boolean): number {
    const channels = this.channels();
    let n = 0;
    for (const [kind, count] of this.waiters.counts())
      if (kind === OWN) n += count;
      else if (kind === NAMED) n += named ? count : 0;
      else if (!kind.startsWith('on ') && channels > 0) n += Math.ceil(count / channels);
    return n;
  }

  /** Upstreams that would serve all who wait. */
  get upstreams(): number {
    return this.count(true);
  }

  /** What the next upstream is to be called, '' for one of ours, while those of these names are `underWay`. */
  next(underWay: readonly string[]): string {
    if (underWay.filter(title => title === '').length < this.count(false)) return '';
    const coming = [...underWay];
    for (const title of this.waiters.titles(NAMED)) {
      const at = coming.indexOf(title);
      if (at < 0) return title;
      coming.splice(at, 1);
    }
    return '';
  }
}
