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
  private readonly report: (text: string) => void;

  constructor(report: (text: string) => void) {
    this.report = report;
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
  private readonly done: () => void;
  private readonly timer: NodeJS.Timeout;
  private closing = false;

  /** `done` when the channel is gone, or the connection. */
  constructor(out: Outbox, barriers: Barriers, done: () => void) {
    this.out = out;
    this.barriers = barriers;
    this.done = done;
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
