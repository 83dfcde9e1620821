/** What clients have tried, how long it took, and how it ended. */

export interface Attempt {
  kind: string;
  /** On the clock of performance.now(). */
  began: number;
  ended: number;
  /** Null while it is under way, or when it worked. */
  error: string | null;
}

export class Ledger {
  private readonly attempts: Attempt[] = [];
  private readonly underWay = new Set<Attempt>();

  /** Does it, and remembers how it went; false when it failed. */
  async attempt(kind: string, what: () => Promise<void>): Promise<boolean> {
    const attempt: Attempt = { kind, began: performance.now(), ended: Number.POSITIVE_INFINITY, error: null };
    this.underWay.add(attempt);
    try {
      await what();
    } catch (error) {
      attempt.error = (error as Error).message;
    }
    attempt.ended = performance.now();
    this.underWay.delete(attempt);
    this.attempts.push(attempt);
    return attempt.error === null;
  }

  /** Those of a kind that were under way between two moments. */
  between(kind: string, from: number, to: number): Attempt[] {
    return [...this.attempts, ...this.underWay].filter(
      attempt => attempt.kind === kind && attempt.ended >= from && attempt.began < to,
    );
  }
}

export const failed = (attempts: readonly Attempt[]): Attempt[] =>
  attempts.filter(({ error }) => error !== null);

/** Seconds of the longest one, up to `now` if it has not ended. */
export const longest = (attempts: readonly Attempt[], now: number): number =>
  attempts.reduce((max, { began, ended }) => Math.max(max, Math.min(ended, now) - began), 0) / 1000;
