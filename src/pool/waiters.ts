/**
 * Who waits for a lease, in their order. Within a kind, who cannot be served holds up only those behind it, who cannot be
 * served either.
 */
import { clock } from '../clock.ts';
import { type Denial, isDenial } from './denial.ts';

/** What a waiter gets. */
export type Outcome<T> = { ok: true; value: T } | ({ ok: false } & Denial);

/** What is waited for; null when there is none now. */
export type Take<T> = () => T | Denial | null;

/** Told what came of it. */
export type Done<T> = (outcome: Outcome<T>) => void;

/** A wait under way. */
export interface Wait {
  /** Monotonic milliseconds. */
  readonly since: number;
  /** Gives up; `done` is not called. */
  cancel(): void;
}

interface Waiter<T = unknown> {
  kind: string;
  /** The name that it wants an upstream to have. */
  title: string;
  /** What it waits for; null when there is none now. */
  take(): T | Denial | null;
  done: Done<T>;
  /** Monotonic milliseconds. */
  since: number;
  /** Coarse time. */
  deadline: number;
}

/** Of one who was served at once. */
export const NO_WAIT: Wait = { since: 0, cancel: () => {} };

export class Waiters {
  private readonly queues = new Map<string, Waiter[]>();
  private readonly served: (seconds: number) => void;
  length = 0;
  /** By the operator's wish nobody is served for now, and nobody's time runs out. */
  private isHeld = false;

  /** `served` is told how long each one has waited. */
  constructor(served: (seconds: number) => void) {
    this.served = served;
  }

  /** Waits up to `seconds` for what `take` gives; `done` may be called at once. */
  wait<T extends object>(kind: string, seconds: number, take: Take<T>, done: Done<T>, title = ''): Wait {
    const since = performance.now();
    const deadline = clock.now + seconds * 1000;
    const waiter = { kind, title, take, done, since, deadline } as unknown as Waiter;
    const queue = this.queues.get(kind) ?? [];
    this.queues.set(kind, queue);
    queue.push(waiter);
    this.length++;
    return {
      since,
      cancel: () => {
        const at = queue.indexOf(waiter);
        if (at >= 0) this.remove(queue, at);
      },
    };
  }

  /** The same for what may be there already: who need not wait for others is served at once (NO_WAIT). */
  ask<T extends object>(kind: string, seconds: number, take: Take<T>, done: Done<T>, title: string): Wait {
    const value = this.length === 0 ? take() : null;
    if (value === null || isDenial(value)) return this.wait(kind, seconds, take, done, title);
    this.served(0);
    done({ ok: true, value });
    return NO_WAIT;
  }

  /** How many wait, by kind. */
  *counts(): Iterable<[kind: string, count: number]> {
    for (const [kind, queue] of this.queues) yield [kind, queue.length];
  }

  /** The names that those of a kind want, in their order. */
  titles(kind: string): string[] {
    return (this.queues.get(kind) ?? []).map(({ title }) => title);
  }

  /** Since when the one that has waited longest waits; Infinity when nobody does. */
  get oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const queue of this.queues.values()) oldest = Math.min(oldest, queue[0].since);
    return oldest;
  }

  /** Serves all that can be. A waiter has left before it is told: what it then does may serve others. */
  serve(): void {
    if (this.isHeld) return;
    const stuck = new Set<Waiter[]>();
    for (let queue = this.longestWaiting(stuck); queue !== null; queue = this.longestWaiting(stuck)) {
      const value = queue[0].take() as object | null;
      if (value === null) {
        stuck.add(queue);
        continue;
      }
      const { since, done } = this.remove(queue, 0);
      if (isDenial(value)) done({ ok: false, ...value });
      else {
        this.served((performance.now() - since) / 1000);
        done({ ok: true, value });
      }
    }
  }

  private longestWaiting(stuck: Set<Waiter[]>): Waiter[] | null {
    let found: Waiter[] | null = null;
    for (const queue of this.queues.values())
      if (!stuck.has(queue) && (found === null || queue[0].since < found[0].since)) found = queue;
    return found;
  }

  private remove(queue: Waiter[], at: number): Waiter {
    const [waiter] = queue.splice(at, 1);
    this.length--;
    if (queue.length === 0) this.queues.delete(waiter.kind);
    return waiter;
  }

  /** Turns away all whose time is up. */
  expire(now: number, denial: Denial): void {
    if (this.isHeld) return;
    for (const queue of [...this.queues.values()])
      while (queue.length > 0 && queue[0].deadline <= now)
        this.remove(queue, 0).done({ ok: false, ...denial });
  }

  get held(): boolean {
    return this.isHeld;
  }

  hold(): void {
    this.isHeld = true;
  }

  /** Those who wait have that many seconds from now on; they are not served yet. */
  goOn(seconds: number): void {
    this.isHeld = false;
    const deadline = clock.now + seconds * 1000;
    for (const queue of this.queues.values()) for (const waiter of queue) waiter.deadline = deadline;
  }

  /** Turns everybody away. */
  deny(denial: Denial): void {
    for (const queue of [...this.queues.values()])
      while (queue.length > 0) this.remove(queue, 0).done({ ok: false, ...denial });
  }
}
