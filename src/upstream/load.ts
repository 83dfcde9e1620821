/**
 * How much goes over an upstream, and whether what comes next waits behind it. Judged once in a tick of the coarse clock.
 *
 * Megabytes wait in the kernels of both sides before any wait in ours, and what a broker can take is not known beforehand;
 * so the broker is asked: as long as much goes out, a barrier every tick shows how long one waits. When the kernel takes no
 * more, that says enough by itself.
 */
import { clock } from '../clock.ts';
import type { Outbox } from '../io/outbox.ts';
import type { Stats } from '../stats.ts';

/** Bytes in a tick below which nobody need be asked: half a megabyte a second is what any broker takes. */
const MUCH = 128 * 1024;
/** Milliseconds that a barrier may take longer than the best one, and the times as long. */
const SLACK_MS = 5;
const SLACK_TIMES = 3;
/** Ticks in a row without a sign of load, after which an upstream is busy no more. */
const CALM_TICKS = 4;
/** Ticks in a row with one, after which it is not for what those have left behind who have moved elsewhere. */
const LASTING_TICKS = 4;

interface Loaded {
  readonly out: Outbox;
  /** The broker does not read it, because of an alarm. */
  readonly blocked: string | null;
  readonly answersFlow: boolean;
  /** Milliseconds that the quickest barrier took with its broker. */
  readonly barriers: { best: number };
}

export class Load {
  /** Who comes waits noticeably behind the bytes of others. */
  busy = false;
  /** Clients that have the upstream for what they publish: others are better off elsewhere. */
  tenants = 0;
  /** When it was busy last, or one was given it; coarse. */
  busyAt = 0;
  /** Bytes that went out in the last tick. */
  pace = 0;
  /** Milliseconds that a barrier takes now; Infinity when that is not known. */
  wait = Number.POSITIVE_INFINITY;
  private readonly upstream: Loaded;
  private readonly stats: Stats;
  /** Asks the broker something on a channel that allows it; false when none does. */
  private readonly ask: () => boolean;
  private askedAt = 0;
  private total = 0;
  /** The least in this tick. */
  private least = Number.POSITIVE_INFINITY;
  private wasStuck = false;
  private calm = 0;
  /** Ticks in a row with a sign of load, and nobody has left meanwhile. */
  private loaded = 0;

  constructor(upstream: Loaded, stats: Stats, ask: () => boolean) {
    this.upstream = upstream;
    this.stats = stats;
    this.ask = ask;
  }

  /** A client has it from now on, until it moves out. */
  moveIn(): void {
    this.tenants++;
    this.keep();
  }

  moveOut(): void {
    this.tenants--;
  }

  /** It is somebody's for as long as if it were busy now. */
  keep(): void {
    this.busyAt = clock.now;
  }

  /** More goes out than a broker takes without noticing. */
  get much(): boolean {
    return this.pace >= MUCH || this.wasStuck;
  }

  /** A barrier was answered after so many seconds. */
  took(seconds: number): void {
    const ms = seconds * 1000;
    const { barriers } = this.upstream;
    if (ms < this.least) this.least = ms;
    if (ms < barriers.best) barriers.best = ms;
  }

  /** What was asked is answered. */
  answered(): void {
    if (this.askedAt === 0) return;
    this.took((performance.now() - this.askedAt) / 1000);
    this.askedAt = 0;
  }

  /** No answer will come: the channel is gone. */
  unanswered(): void {
    this.askedAt = 0;
  }

  /** Asks how long a barrier takes, unless an answer is due. */
  probe(): void {
    if (this.askedAt === 0 && this.upstream.blocked === null && this.upstream.answersFlow && this.ask())
      this.askedAt = performance.now();
  }

  /** A tick is over: counts what went out in it, and how long answers took. */
  measure(): void {
    const { out, blocked } = this.upstream;
    this.pace = out.total - this.total;
    this.total = out.total;
    if (blocked !== null && this.askedAt > 0) this.askedAt = performance.now();
    const due = this.askedAt > 0 ? performance.now() - this.askedAt : 0;
    if (this.least < Number.POSITIVE_INFINITY) this.wait = Math.max(this.least, due);
    else if (due > 0) this.wait = Math.max(this.wait === Number.POSITIVE_INFINITY ? 0 : this.wait, due);
    else if (this.pace === 0) this.wait = Number.POSITIVE_INFINITY;
    this.least = Number.POSITIVE_INFINITY;
  }

  /** Whether it is busy, where a barrier takes `usual` milliseconds if nothing is in its way. */
  judge(usual: number, now: number): void {
    const { out, blocked } = this.upstream;
    const { refused } = out;
    const stuck = refused > 0 && this.wasStuck; // once is what a burst leaves behind
    this.wasStuck = refused > 0;
    const slow = this.pace >= MUCH && isSlow(this.wait, usual);
    if (blocked === null && (stuck || slow)) {
      this.calm = 0;
      this.loaded++;
      this.busyAt = now;
      this.become(true);
      return;
    }
    this.loaded = 0;
    if (++this.calm >= CALM_TICKS || blocked !== null) this.become(false);
  }

  /** Those who are there are too many for it. */
  get lasts(): boolean {
    return this.loaded >= LASTING_TICKS;
  }

  /** Somebody is to leave it: what waits there is not only of those who stay. */
  relieved(): void {
    this.loaded = 0;
  }

  private become(busy: boolean): void {
    if (busy !== this.busy) this.stats.upstreamsBusy += busy ? 1 : -1;
    this.busy = busy;
  }

  /** The upstream is gone. */
  end(): void {
    this.become(false);
  }
}

/** Whether a barrier takes noticeably longer than usual; not known is not slow. */
export function isSlow(wait: number, usual: number): boolean {
  if (wait === Number.POSITIVE_INFINITY || usual === Number.POSITIVE_INFINITY) return false;
  return wait > usual + SLACK_MS && wait > usual * SLACK_TIMES;
}
