/**
 * Whether a broker answers channel.flow(active = true), which RabbitMQ and LavinMQ do: the round trip that proves that it
 * has handled all before it on a channel. Found out once, on the first upstream before anybody uses it; with a broker that
 * does not answer it, or refuses it, channels are closed instead: every broker answers that.
 */
import { type CloseReason, REPLY } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import type { Outbox } from '../io/outbox.ts';

/** Milliseconds the broker has to answer. */
const ANSWER_MS = 2000;

const CHANNEL = 1;

/** What is known of one broker. */
export class Barriers {
  kind: 'unknown' | 'flow' | 'close' = 'unknown';
  /** Milliseconds that the quickest one took. */
  best = Number.POSITIVE_INFINITY;
  private readonly report: (text: string) => void;

  constructor(report: (text: string) => void) {
    this.report = report;
  }

  /** Asks the broker, unless it is known. */
  probe(out: Outbox): BarrierProbe | null {
    return this.kind === 'unknown' ? new BarrierProbe(out, this) : null;
  }

  found(answered: boolean, how: string): void {
    if (this.kind !== 'unknown') return;
    this.kind = answered ? 'flow' : 'close';
    if (!answered)
      this.report(`${how}: from now on its channels are closed after each use instead of being used again`);
  }
}

/** The question, on an upstream with no channels. */
export class BarrierProbe {
  private readonly out: Outbox;
  private readonly barriers: Barriers;
  private readonly timer: NodeJS.Timeout;
  private closing = false;
  private readonly askedAt = performance.now();
  /** The channel is gone, or the connection. */
  readonly answered: Promise<void>;
  private done!: () => void;

  constructor(out: Outbox, barriers: Barriers) {
    this.out = out;
    this.barriers = barriers;
    this.answered = new Promise(resolve => {
      this.done = resolve;
    });
    out.write(frames.channelOpen(CHANNEL));
    out.write(frames.barrier(CHANNEL));
    this.timer = setTimeout(() => this.end(), ANSWER_MS);
  }

  private end(): void {
    if (this.closing) return;
    this.closing = true;
    this.out.write(frames.channelClose(CHANNEL, { code: 200, text: 'OK', classId: 0, methodId: 0 }));
  }

  /** A method on the channel. */
  method(buf: Buffer, at: number): void {
    switch (buf.readUInt32BE(at + 7)) {
      case M.CHANNEL_FLOW_OK:
        this.barriers.best = Math.min(this.barriers.best, performance.now() - this.askedAt);
        this.barriers.found(true, '');
        this.end();
        return;
      case M.CHANNEL_CLOSE:
        this.out.write(frames.channelCloseOk(CHANNEL));
        this.refused(frames.readClose(buf, at + 11));
        if (!this.closing) this.over();
        return;
      case M.CHANNEL_CLOSE_OK:
        this.barriers.found(false, 'does not answer channel.flow');
        this.over();
    }
  }

  /** The connection is lost. */
  lost(why: CloseReason | null): void {
    if (why !== null) this.refused(why);
    this.over();
  }

  private refused({ code, classId, methodId, text }: CloseReason): void {
    const flow = ((classId << 16) | methodId) === M.CHANNEL_FLOW;
    if (flow || code === REPLY.NOT_IMPLEMENTED) this.barriers.found(false, `refuses channel.flow (${text})`);
  }

  private over(): void {
    clearTimeout(this.timer);
    this.done();
  }
}
