/**
 * Who waits for a lease, in their order. Within a kind, who cannot be served holds up only those behind it, who cannot be
 * served either.
 */
import type { CloseReason } from '../amqp/errors.ts';
import { clock } from '../clock.ts';

/** Why a client may not have what it asks for: for the client, and the name under which it counts. */
export interface Denial {
  cause: string;
  why: CloseReason;
}

/** What a waiter gets. */
export type Outcome<T> = { ok: true; value: T } | ({ ok: false } & Denial);

/** A wait under way. */
export interface Wait {
  /** Monotonic milliseconds. */
  readonly since: number;
  /** Gives up; `done` is not called. */
  cancel(): void;
}

interface Waiter<T = unknown> {
  kind: string;
  /** What it waits for; null when there is none now. */
  take(): T | Denial | null;
  done(outcome: Outcome<T>): void;
  /** Monotonic milliseconds. */
  since: number;
  /** Coarse time. */
  deadline: number;
}

/** Of one who was served at once. */
export const NO_WAIT: Wait = { since: 0, cancel: () => {} };

export const isDenial = (value: object): value is Denial => 'cause' in value;

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
  wait<T extends object>(
    kind: string,
    seconds: number,
    take: () => T | Denial | null,
    done: (outcome: Outcome<T>) => void,
  ): Wait {
    const since = performance.now();
    const waiter = { kind, take, done, since, deadline: clock.now + seconds * 1000 } as unknown as Waiter;
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

  /** Upstreams that would serve all who wait, where each one has so many channels; 0 where more channels are not to be had. */
  upstreams(channels: number): number {
    let n = 0;
    for (const [kind, { length }] of this.queues)
      if (kind === 'upstream') n += length;
      else if (!kind.startsWith('on ') && channels > 0) n += Math.ceil(length / channels);
    return n;
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
