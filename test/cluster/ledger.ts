/** What clients have tried, how long it took, and how it ended. */
import type { RawClient } from '../support/raw-client.ts';

export class Attempt {
  readonly kind: string;
  /** On the clock of performance.now(). */
  readonly began = performance.now();
  ended = Number.POSITIVE_INFINITY;
  /** Null while it is under way, or when it worked. */
  error: string | null = null;
  /** The client's own address; '' before it is logged in. */
  by = '';
  /** The queue that it is about; '' before that. */
  queue = '';
  /** Seconds for which RabbitMQ itself was seen to stand still, and in what. */
  stood = 0;
  where = '';
  /** When it was last seen to do so; null if it did not the last time. */
  private stoodAt: number | null = null;

  constructor(kind: string) {
    this.kind = kind;
  }

  is(client: RawClient, queue: string): void {
    this.by = `127.0.0.1:${client.socket.localPort}`;
    this.queue = queue;
  }

  /** It is seen to take long; `where` RabbitMQ stands still meanwhile, or null. */
  seen(where: string | null): void {
    const now = performance.now();
    if (where !== null && this.stoodAt !== null) this.stood += (now - this.stoodAt) / 1000;
    this.stoodAt = where === null ? null : now;
    this.where = where ?? this.where;
  }

  /** Seconds that it has taken, up to `now` if it has not ended. */
  took(now: number): number {
    return (Math.min(this.ended, now) - this.began) / 1000;
  }
}

export class Ledger {
  private readonly attempts: Attempt[] = [];
  private readonly underWay = new Set<Attempt>();

  /** Does it, and remembers how it went; false when it failed. */
  async attempt(kind: string, what: (attempt: Attempt) => Promise<void>): Promise<boolean> {
    const attempt = new Attempt(kind);
    this.underWay.add(attempt);
    try {
      await what(attempt);
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

  /** Those that have been under way for so many seconds. */
  waiting(seconds: number): Attempt[] {
    const now = performance.now();
    return [...this.underWay].filter(attempt => attempt.took(now) >= seconds);
  }
}

export const failed = (attempts: readonly Attempt[]): Attempt[] =>
  attempts.filter(({ error }) => error !== null);

/** The one that took longest, up to `now` if it has not ended; null when there is none. */
export const longest = (attempts: readonly Attempt[], now: number): Attempt | null =>
  attempts.reduce<Attempt | null>(
    (found, attempt) => (found === null || attempt.took(now) > found.took(now) ? attempt : found),
    null,
  );
