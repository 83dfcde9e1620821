/** How durations are spread: counts in classes, four to each doubling, from which any quantile of any span of time can be had. */

/** The upper end of the first class, in seconds. */
const LEAST = 1e-6;
/** So many classes to each doubling. */
const STEPS = 4;
/** The last class holds all that is longer than about an hour. */
const CLASSES = 128;

export class Spread {
  readonly counts: Float64Array;

  constructor(counts: Float64Array = new Float64Array(CLASSES)) {
    this.counts = counts;
  }

  add(seconds: number): void {
    const at = seconds <= LEAST ? 0 : Math.ceil(Math.log2(seconds / LEAST) * STEPS);
    this.counts[at < CLASSES ? at : CLASSES - 1]++;
  }

  copy(): Spread {
    return new Spread(this.counts.slice());
  }

  /** What has come since an earlier copy. */
  since(earlier: Spread): Spread {
    return new Spread(this.counts.map((n, i) => n - earlier.counts[i]));
  }

  /** The q-quantile (0..1), up to a fifth too large; 0 when there is nothing. */
  quantile(q: number): number {
    const total = this.counts.reduce((sum, n) => sum + n, 0);
    if (total === 0) return 0;
    let left = q * total;
    for (let i = 0; i < CLASSES; i++) {
      left -= this.counts[i];
      if (left <= 0) return i === 0 ? 0 : LEAST * 2 ** (i / STEPS);
    }
    return LEAST * 2 ** ((CLASSES - 1) / STEPS);
  }
}
