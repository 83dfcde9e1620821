/** Losses of upstreams: where and when they are to come, which have come, and whom they concern. */
import type { Frame } from './frame.ts';
import { FrameRelay, type Link } from './frame-relay.ts';

/** An upstream is lost after so many more frames from the proxy or the broker: the oldest, the newest, the next one, any. */
export interface Loss {
  of: 'oldest' | 'newest' | 'next' | 'any';
  from: 'proxy' | 'broker';
  frames: number;
}

/** Milliseconds for which a lost dial is felt: nobody dials anew at once. */
const DIALS_MS = 5000;
/** Milliseconds in which everybody has noticed that a connection is gone. */
const NOTICE_MS = 500;

/** Methods that say which queue they are about. */
const SPEAKING = new Set(['basic.publish', 'basic.consume', 'queue.declare']);

export class Losses {
  readonly relay: FrameRelay;
  /** How many upstreams have been lost. */
  count = 0;
  private armed: { loss: Loss; left: number; link: number }[] = [];
  private newest = 0;
  /** Links that have not seen a channel yet. */
  private readonly dialing = new Set<number>();
  /** Up to when somebody may be told of a loss. */
  private felt = 0;
  /** When a link was lost that carried this queue's frames. */
  private readonly lostAt = new Map<string, number>();
  private readonly carried = new Map<number, Set<string>>();

  private constructor(relay: FrameRelay) {
    this.relay = relay;
    relay.fromProxy = (frame, link) => this.pass('proxy', frame, link);
    relay.fromBroker = (frame, link) => this.pass('broker', frame, link);
  }

  static async before(port: number): Promise<Losses> {
    return new Losses(await FrameRelay.start(port));
  }

  /** Remembers which links carry frames that name this queue. */
  watch(queue: string): void {
    this.lostAt.set(queue, 0);
  }

  arm(loss: Loss): void {
    const { links } = this.relay;
    const link = { oldest: links[0]?.number, newest: links.at(-1)?.number, next: this.newest + 1, any: 0 }[
      loss.of
    ];
    if (link !== undefined) this.armed.push({ loss, left: loss.frames, link });
  }

  /** Those that have not come will not. */
  disarm(): void {
    this.armed = [];
  }

  /** Whether who was there since this time may have been told of a loss. */
  excuse(since: number): boolean {
    return this.felt >= since;
  }

  /** Whether a link was lost since this time that carried frames about this queue. */
  lost(queue: string, since: number): boolean {
    return (this.lostAt.get(queue) ?? 0) >= since;
  }

  private pass(from: Loss['from'], frame: Frame, link: Link): 'pass' | 'drop' {
    const { number } = link;
    if (number > this.newest) {
      this.newest = number;
      this.dialing.add(number);
    }
    if (frame.channel > 0) this.dialing.delete(number);
    if (from === 'proxy' && SPEAKING.has(frame.name)) this.remember(frame, number);
    const due = this.armed.findIndex(
      one => one.loss.from === from && (one.link === 0 || one.link === number) && one.left-- <= 0,
    );
    if (due < 0) return 'pass';
    this.armed.splice(due, 1);
    this.lose(link);
    return 'drop';
  }

  private remember({ payload }: Frame, link: number): void {
    for (const queue of this.lostAt.keys()) {
      if (!payload.includes(queue)) continue;
      const queues = this.carried.get(link) ?? new Set();
      this.carried.set(link, queues.add(queue));
    }
  }

  private lose(link: Link): void {
    const now = performance.now();
    this.count++;
    this.felt = Math.max(this.felt, now + (this.dialing.delete(link.number) ? DIALS_MS : NOTICE_MS));
    // the broker may have restarted where no other link is left: then who has declared something hears of it, too
    const others = this.relay.links.some(other => other !== link && !this.dialing.has(other.number));
    const concerned = others ? (this.carried.get(link.number) ?? []) : [...this.lostAt.keys()];
    for (const queue of concerned) this.lostAt.set(queue, now);
    this.carried.delete(link.number);
    link.cut();
  }

  end(): Promise<void> {
    return this.relay.end();
  }
}
