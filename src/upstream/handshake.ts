/**
 * An upstream's handshake with the broker (AMQP 0-9-1 section 2.2.4), in three steps that its user takes one by one.
 *
 *   dialed ──start──▶ greeted ──start-ok, tune──▶ tuned ──tune-ok, open──▶ live
 */
import { hostname } from 'node:os';
import type { CloseReason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { type Credentials, loginResponse } from '../amqp/sasl.ts';
import { encodeTable } from '../amqp/table.ts';
import type { Outbox } from '../io/outbox.ts';
import { VERSION } from '../version.ts';
import type { BrokerProfile } from './profile.ts';

/** A login the broker refused. `why` is null when it closed the socket without a word. */
export class Refused extends Error {
  readonly why: CloseReason | null;

  constructor(why: CloseReason | null) {
    super(why === null ? 'the broker closed the connection during login' : why.text);
    this.why = why;
  }
}

export type HandshakeState = 'dialed' | 'greeted' | 'tuned' | 'live';

/** What the broker has agreed to. */
export interface Tuned {
  channelMax: number;
  frameMax: number;
  /** Seconds. */
  heartbeat: number;
}

export class UpstreamHandshake {
  state: HandshakeState = 'dialed';
  readonly tuned: Tuned = { channelMax: 2047, frameMax: 131072, heartbeat: 0 };
  private readonly out: Outbox;
  private readonly profile: BrokerProfile;
  private readonly heartbeat: number;
  private step: { resolve(): void; reject(why: Error): void } | null = null;
  private failure: Error | null = null;

  /** `heartbeat` in seconds, unless the broker offers a shorter one; 0 for the one that it offers. */
  constructor(out: Outbox, profile: BrokerProfile, heartbeat: number) {
    this.out = out;
    this.profile = profile;
    this.heartbeat = heartbeat;
  }

  /** Sends the protocol header; resolves when the broker has greeted us. */
  greet(): Promise<void> {
    this.out.write(frames.PROTOCOL_HEADER);
    return this.answer();
  }

  /** Logs in, as far as connection.tune. Rejects with Refused when the broker will not have it. */
  authenticate(credentials: Credentials, name: string): Promise<void> {
    const properties = encodeTable({
      product: 'amqproxy',
      version: VERSION,
      platform: `Node.js ${process.version}`,
      connection_name: name,
      information: `AMQP connection pool on ${hostname()}`,
      capabilities: {
        publisher_confirms: true,
        exchange_exchange_bindings: true,
        'basic.nack': true,
        consumer_cancel_notify: true,
        'connection.blocked': true,
        authentication_failure_close: true,
      },
    });
    const [mechanism, response] = loginResponse(credentials);
    const args = new frames.Writer(512).bytes(properties).shortstr(mechanism).longstr(response);
    this.out.write(frames.methodFrame(0, M.CONNECTION_START_OK, args.shortstr('en_US').take()));
    return this.answer();
  }

  /** Opens the vhost. Rejects with Refused when the broker will not have it. */
  open(vhost: string): Promise<void> {
    const { channelMax, frameMax, heartbeat } = this.tuned;
    const agreed = new frames.Writer(8).short(channelMax).long(frameMax).short(heartbeat);
    this.out.write(frames.methodFrame(0, M.CONNECTION_TUNE_OK, agreed.take()));
    const args = new frames.Writer(64).shortstr(vhost).octet(0).octet(0);
    this.out.write(frames.methodFrame(0, M.CONNECTION_OPEN, args.take()));
    return this.answer();
  }

  private answer(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.failure !== null) reject(this.failure);
      else this.step = { resolve, reject };
    });
  }

  private advance(to: HandshakeState): void {
    const { step } = this;
    this.step = null;
    this.state = to;
    step?.resolve();
  }

  /** The connection has ended: so has the step under way, or the next one. */
  fail(error: Error): void {
    this.failure ??= error;
    this.step?.reject(error);
    this.step = null;
  }

  /** What the broker says on channel 0 before connection.open-ok. */
  method(buf: Buffer, at: number): void {
    switch (buf.readUInt32BE(at + 7)) {
      case M.CONNECTION_START: {
        const length = buf.readUInt32BE(at + 13);
        const { profile } = this;
        const mechanisms = at + 17 + length;
        const locales = mechanisms + 4 + buf.readUInt32BE(mechanisms);
        profile.starts(
          buf.subarray(at + 13, mechanisms),
          buf.toString('utf8', mechanisms + 4, locales),
          buf.toString('utf8', locales + 4, locales + 4 + buf.readUInt32BE(locales)),
        );
        profile.met = true;
        this.advance('greeted');
        return;
      }
      case M.CONNECTION_TUNE: {
        const { tuned } = this;
        tuned.channelMax = buf.readUInt16BE(at + 11);
        tuned.frameMax = buf.readUInt32BE(at + 13) || 131072;
        const offered = buf.readUInt16BE(at + 17);
        tuned.heartbeat =
          offered > 0 && this.heartbeat > 0 ? Math.min(offered, this.heartbeat) : this.heartbeat || offered;
        this.profile.tunes(tuned.channelMax, tuned.frameMax, offered);
        this.advance('tuned');
        return;
      }
      case M.CONNECTION_OPEN_OK:
        this.advance('live');
    }
  }
}
