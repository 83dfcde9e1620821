/**
 * Content for a channel that was closed on the client: discarded, but it must still be well-formed. The exception is the
 * rest of a message that the broker has the beginning of: a close-ok in the middle of it would end the connection (505).
 */
import { setChannel } from '../amqp/frame.ts';
import { NEXT, type Verdict } from '../amqp/scanner.ts';
import { readTag } from '../amqp/tag.ts';
import type { ClientChannel } from './channel.ts';
import { BODY, HEADER, METHOD } from './message.ts';
import * as offences from './offences.ts';
import type { Runs } from './runs.ts';
import type { Session } from './session.ts';

export class DiscardedContent {
  private readonly session: Session;
  private readonly runs: Runs;

  constructor(session: Session, runs: Runs) {
    this.session = session;
    this.runs = runs;
  }

  /** The content of a method is to follow. */
  begins({ message }: ClientChannel): void {
    message.expect = HEADER;
  }

  header({ message }: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    if (message.expect !== HEADER) return this.session.offend(offences.unexpectedFrame(message.expect));
    const fault = offences.badHeader(buf, at, size);
    if (fault !== null) return this.session.offend(fault);
    message.bodyLeft = readTag(buf, at + 11);
    message.expect = message.bodyLeft === 0 ? METHOD : BODY;
    return NEXT;
  }

  body(channel: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    const verdict = this.take(channel, buf, at, size);
    this.bodyPart(channel, buf, at, at + 8 + size, true);
    return verdict;
  }

  bodyBegins(channel: ClientChannel, buf: Buffer, at: number, end: number, size: number): Verdict {
    const verdict = this.take(channel, buf, at, size);
    this.bodyPart(channel, buf, at, end, false);
    return verdict;
  }

  private take({ message, state }: ClientChannel, buf: Buffer, at: number, size: number): Verdict {
    if (message.expect !== BODY) return this.session.offend(offences.unexpectedFrame(message.expect));
    message.bodyLeft -= size;
    if (message.bodyLeft === 0) message.expect = METHOD;
    if (state.is === 'closing' && state.rest !== null) setChannel(buf, at, state.rest.channel.id);
    return NEXT;
  }

  /** Sends on what the broker must have of a message before it can hear that its channel is closed. */
  bodyPart(channel: ClientChannel, buf: Buffer, at: number, end: number, last: boolean): void {
    const { state, message } = channel;
    if (state.is !== 'closing' || state.rest === null) return;
    this.runs.forward(state.rest.upstream, buf, at, end);
    this.runs.send();
    if (last && message.expect === METHOD) channel.restSent();
  }
}
