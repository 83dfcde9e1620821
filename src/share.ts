/**
 * This process's part of what all workers have together: limits, and the numbers that clients and upstreams are called by.
 * One that is alone has all of it.
 */

/** Part `index` (from 0) of what is divided evenly among `count`. */
export const evenly = (whole: number, index: number, count: number): number =>
  Math.floor(whole / count) + (index < whole % count ? 1 : 0);

/** The same of a limit: 0 is no limit, for nobody, and each has one at least. */
export const part = (limit: number, index: number, count: number): number =>
  limit === 0 ? 0 : Math.max(1, evenly(limit, index, count));

class Share {
  private index = 0;
  private count = 1;
  /** Clients that the main process has allotted for now. */
  private clients: number | null = null;
  /** Told of the next part that is allotted. */
  private readonly waiting = new Set<() => void>();

  /** It is worker `index` (from 0) of `count`. */
  begin(index: number, count: number): void {
    this.index = index;
    this.count = count;
  }

  allot(clients: number): void {
    this.clients = clients;
    for (const tell of [...this.waiting]) tell();
  }

  /** So many clients wait for a larger part. */
  get wanting(): number {
    return this.waiting.size;
  }

  /** Resolves when max_clients has been divided anew, at most after so many milliseconds; null where nobody else could have room. */
  newPart(ms: number): Promise<void> | null {
    const { waiting } = this;
    if (this.count === 1 || ms <= 0) return null;
    return new Promise(resolve => {
      const tell = (): void => {
        clearTimeout(timer);
        waiting.delete(tell);
        resolve();
      };
      const timer = setTimeout(tell, ms);
      waiting.add(tell);
    });
  }

  /** What there is here of a limit. */
  of(limit: number): number {
    return this.count === 1 ? limit : part(limit, this.index, this.count);
  }

  /** What there is here of max_clients, which is divided by need. */
  ofClients(limit: number): number {
    return this.clients ?? this.of(limit);
  }

  /** The n-th number (from 1) that is given out here: those of the other workers lie between. */
  number(n: number): number {
    return (n - 1) * this.count + this.index + 1;
  }
}

export const share = new Share();

/** Counts what is made here; a worker that takes the place of another goes on behind its numbers. */
class Numbers {
  last = 0;

  next(): number {
    return ++this.last;
  }
}

export const clientNumbers = new Numbers();
export const upstreamNumbers = new Numbers();
