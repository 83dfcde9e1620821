/**
 * Whether an upstream is dead though nobody has said so, as when a firewall has forgotten the connection: an answer is due,
 * and nothing comes. An answer may take long because of what was done on its channel before; so the broker is asked
 * something else as well, on a channel of its own, before the upstream is given up.
 */
import type { Transport } from '../io/transport.ts';
import type { Answers } from './answers.ts';

/** Milliseconds without a byte from the broker, while it owes an answer, after which no new lease comes here … */
const SUSPECT_MS = 2000;
/** … and after which it is given up. */
const GIVE_UP_MS = 8000;
/** Milliseconds between two looks whether the broker's machine still takes bytes. */
const LOOK_MS = 1000;

interface Watched {
  readonly transport: Transport;
  readonly answers: Answers;
  /** The broker has said that it does not read. */
  readonly blocked: string | null;
  /** Asks something that the broker answers at once. */
  readonly channels: { probe(): void };
}

export class Silence {
  private readonly upstream: Watched;
  private probed = false;
  /** When the broker's machine was last seen to take bytes, and how many it had not taken then. */
  private takenAt = 0;
  private waiting = 0;
  private lookedAt = 0;

  constructor(upstream: Watched) {
    this.upstream = upstream;
  }

  private get ms(): number {
    const { blocked, answers, transport } = this.upstream;
    return blocked === null ? answers.silence(transport.heartbeat.lastRead) : 0;
  }

  /** Another upstream is the better choice. */
  get suspect(): boolean {
    return this.ms > SUSPECT_MS;
  }

  /** To be called periodically: seconds of silence when the upstream is to be given up, else 0. */
  check(now: number): number {
    const { ms } = this;
    if (ms <= SUSPECT_MS) {
      this.probed = false;
      return 0;
    }
    if (!this.probed) {
      this.probed = true;
      this.waiting = Number.POSITIVE_INFINITY;
      this.upstream.channels.probe();
    }
    if (now - this.lookedAt >= LOOK_MS) this.look(now);
    return ms > GIVE_UP_MS && now - this.takenAt > GIVE_UP_MS - SUSPECT_MS ? Math.round(ms / 1000) : 0;
  }

  /** On a slow network what was written before may hold the answer up: then it is not dead. */
  private look(now: number): void {
    this.lookedAt = now;
    const { transport } = this.upstream;
    const waiting = transport.out.pending + transport.unacked;
    if (waiting < this.waiting && this.waiting !== Number.POSITIVE_INFINITY) this.takenAt = now;
    this.waiting = waiting;
  }
}
