/**
 * Which publishes of a confirm-mode channel the broker has not confirmed yet. Acks and nacks may come out of order and
 * may be cumulative ("multiple"), so it keeps a low-water mark and, above it, the ranges that were confirmed early: one tag
 * that is never confirmed costs one range, however many follow it.
 */
export class Confirms {
  /** Publishes sent since confirm.select: the broker's last delivery tag on the channel. */
  published = 0;
  private confirmedTo = 0;
  /** Confirmed ranges above the mark, in order and apart: first, last, first, last … */
  private ranges: number[] = [];
  private above = 0;

  get outstanding(): number {
    return this.published - this.confirmedTo - this.above;
  }

  confirm(tag: number, multiple: boolean): void {
    if (multiple) this.confirmTo(tag === 0 ? this.published : tag);
    else if (tag === this.confirmedTo + 1) {
      this.confirmedTo = tag;
      if (this.above > 0) this.join();
    } else if (tag > this.confirmedTo) this.confirmEarly(tag);
  }

  private confirmTo(upTo: number): void {
    if (upTo <= this.confirmedTo) return;
    this.confirmedTo = upTo;
    if (this.above > 0) this.join();
  }

  /** Takes the ranges that the mark has reached into what is below it. */
  private join(): void {
    const { ranges } = this;
    let reached = 0;
    while (reached < ranges.length && ranges[reached] <= this.confirmedTo + 1) {
      this.above -= ranges[reached + 1] - ranges[reached] + 1;
      this.confirmedTo = Math.max(this.confirmedTo, ranges[reached + 1]);
      reached += 2;
    }
    if (reached > 0) ranges.splice(0, reached);
  }

  private confirmEarly(tag: number): void {
    const { ranges } = this;
    const at = this.rangeAt(tag);
    if (at < ranges.length && ranges[at] <= tag) return; // once more
    this.above++;
    const follows = at > 0 && ranges[at - 1] === tag - 1;
    const precedes = at < ranges.length && ranges[at] === tag + 1;
    if (follows && precedes) ranges.splice(at - 1, 2);
    else if (follows) ranges[at - 1] = tag;
    else if (precedes) ranges[at] = tag;
    else ranges.splice(at, 0, tag, tag);
  }

  /** Where the first range is that ends at `tag` or after it. */
  private rangeAt(tag: number): number {
    const { ranges } = this;
    let low = 0;
    let high = ranges.length / 2;
    if (high > 0 && ranges[ranges.length - 1] < tag) return ranges.length; // the usual case: the newest
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ranges[middle * 2 + 1] < tag) low = middle + 1;
      else high = middle;
    }
    return low * 2;
  }
}
