/**
 * Which publishes of a confirm-mode channel the broker has not confirmed yet. Acks and nacks may come out of order and
 * may be cumulative ("multiple"), so it keeps a low-water mark and the few tags above it.
 */
export class Confirms {
  /** Publishes sent since confirm.select: the broker's last delivery tag on the channel. */
  published = 0;
  private confirmedTo = 0;
  private above = new Set<number>();

  get outstanding(): number {
    return this.published - this.confirmedTo - this.above.size;
  }

  confirm(tag: number, multiple: boolean): void {
    if (multiple) {
      const upTo = tag === 0 ? this.published : tag;
      if (upTo <= this.confirmedTo) return;
      this.confirmedTo = upTo;
      if (this.above.size > 0) for (const one of this.above) if (one <= upTo) this.above.delete(one);
    } else if (tag === this.confirmedTo + 1) this.confirmedTo = tag;
    else if (tag > this.confirmedTo) this.above.add(tag);
    while (this.above.size > 0 && this.above.delete(this.confirmedTo + 1)) this.confirmedTo++;
  }
}
