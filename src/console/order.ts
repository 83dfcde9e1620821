/** The order of rows: those with the most of what matters come first. */
import type { Row } from './history.ts';

export function byMost(order: readonly string[]): (a: Row, b: Row) => number {
  return (a, b) => {
    for (const key of order) {
      const difference = Number(b[key]) - Number(a[key]);
      if (difference !== 0) return difference;
    }
    return 0;
  };
}

/** The rows that matter most, of any number. */
export class Most {
  private readonly limit: number;
  private readonly order: readonly string[];
  private kept: Row[] = [];

  constructor(limit: number, order: readonly string[]) {
    this.limit = limit;
    this.order = order;
  }

  add(row: Row): void {
    this.kept.push(row);
    if (this.kept.length > this.limit * 2 + 100) this.cut();
  }

  private cut(): void {
    this.kept.sort(byMost(this.order));
    this.kept.length = Math.min(this.kept.length, this.limit);
  }

  get rows(): Row[] {
    this.cut();
    return this.kept;
  }
}
