/**
 * Whether an upstream is dead though nobody has said so, as when a firewall has forgotten the connection: an answer is due,
 * and nothing comes. An answer may take long because of what was done on its channel before; so the broker is asked
 * something else as well, on a channel of its own, before the upstream is given up.
 */
import { clock } from '../clock.ts';
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
  readonly channels: {
    /** Asks something that the broker answers at once. */
    probe(): void;
    look(now: number): void;
  };
}

export class Silence {
  private readonly upstream: Watched;
  /** Coarse time at which something was asked that nothing has come after; 0 for never. */
  private askedAt = 0;
  /** The broker has been given up elsewhere: it need only be late here. */
  private together = false;
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

  /** It is to be given up, if the broker's machine takes no bytes. */
  get over(): boolean {
    return this.ms > GIVE_UP_MS - LOOK_MS;
  }

  /** The broker is given up, on all its upstreams together, if it is late here, too. */
  giveUpTogether(): void {
    this.together = true;
  }

  /** Another upstream is the better choice. */
  get suspect(): boolean {
    return this.ms > SUSPECT_MS;
  }

  /** To be called periodically: why the upstream is to be given up, or null. */
  check(now: number): string | null {
    const { ms } = this;
    if (this.upstream.blocked === null) this.upstream.channels.look(now);
    if (ms <= SUSPECT_MS) {
      this.together = false;
      return null;
    }
    this.ask();
    if (now - this.lookedAt >= LOOK_MS) this.look(now);
    const late = this.together ? 0 : GIVE_UP_MS - SUSPECT_MS;
    if (ms <= SUSPECT_MS + late || now - this.takenAt <= late) return null;
    return `the broker owes an answer and has been silent for ${Math.round(ms / 1000)} s`;
  }

  /** Asks something that the broker answers at once, unless that was done and is still to be answered. */
  ask(): void {
    const { lastRead } = this.upstream.transport.heartbeat;
    if (this.askedAt > lastRead) return;
    this.askedAt = clock.now;
    this.waiting = Number.POSITIVE_INFINITY;
    this.upstream.channels.probe();
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
