/** An upstream's handshake with the broker (AMQP 0-9-1 section 2.2.4), in three steps that its user takes one by one. */
import { hostname } from 'node:os';
import type { CloseReason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { type Credentials, loginResponse } from '../amqp/sasl.ts';
import { FrameScanner, NEXT, type Verdict } from '../amqp/scanner.ts';
import { encodeTable } from '../amqp/table.ts';
import { clock } from '../clock.ts';
import type { Heartbeat } from '../io/heartbeat.ts';
import type { Outbox } from '../io/outbox.ts';
import { VERSION } from '../version.ts';
import type { Broker } from './broker.ts';

/** A login the broker refused. `why` is null when it closed the socket without a word. */
export class Refused extends Error {
  readonly why: CloseReason | null;

  constructor(why: CloseReason | null) {
    super(why === null ? 'the broker closed the connection during login' : why.text);
    this.why = why;
  }
}

export type UpstreamState = 'dialed' | 'greeted' | 'tuned' | 'live' | 'closing' | 'closed';

export abstract class UpstreamLogin extends FrameScanner {
  state: UpstreamState = 'dialed';
  channelMax = 2047;
  frameMax = 131072;
  /** When the last lease ended, for the idle time-out. */
  idleSince = clock.now;
  protected readonly broker: Broker;
  /** Why the connection ended, in the words of the side that ended it. */
  protected closeWhy: CloseReason | null = null;
  private step: { resolve(): void; reject(why: Error): void } | null = null;

  abstract readonly out: Outbox;
  abstract readonly heartbeat: Heartbeat;

  constructor(broker: Broker) {
    super();
    this.broker = broker;
  }

  /** Sends the protocol header; resolves when the broker has greeted us. */
  greet(): Promise<void> {
    this.out.write(frames.PROTOCOL_HEADER);
    return this.await();
  }

  /** Logs in, as far as connection.tune. Rejects with Refused when the broker will not have it. */
  async authenticate(credentials: Credentials, name: string): Promise<void> {
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
    this.out.write(
      frames.methodFrame(
        0,
        M.CONNECTION_START_OK,
        new frames.Writer(512)
          .bytes(properties)
          .shortstr(mechanism)
          .longstr(response)
          .shortstr('en_US')
          .take(),
      ),
    );
    await this.await();
    this.state = 'tuned';
  }

  /** Opens the vhost. Rejects with Refused when the broker will not have it. */
  async open(vhost: string): Promise<void> {
    this.out.write(
      frames.methodFrame(
        0,
        M.CONNECTION_TUNE_OK,
        new frames.Writer(8).short(this.channelMax).long(this.frameMax).short(this.heartbeat.interval).take(),
      ),
    );
    this.out.write(
      frames.methodFrame(
        0,
        M.CONNECTION_OPEN,
        new frames.Writer(64).shortstr(vhost).octet(0).octet(0).take(),
      ),
    );
    await this.await();
    this.state = 'live';
    this.idleSince = clock.now;
  }

  private await(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.state === 'closed') reject(new Refused(this.closeWhy));
      else this.step = { resolve, reject };
    });
  }

  private advance(): void {
    const { step } = this;
    this.step = null;
    step?.resolve();
  }

  /** The step under way has failed. */
  protected failStep(error: Error): void {
    this.step?.reject(error);
    this.step = null;
  }

  /** What the broker says on channel 0 before connection.open-ok. */
  protected handshakeMethod(buf: Buffer, at: number): Verdict {
    switch (buf.readUInt32BE(at + 7)) {
      case M.CONNECTION_START: {
        const length = buf.readUInt32BE(at + 13);
        const { broker } = this;
        const mechanisms = at + 17 + length;
        const locales = mechanisms + 4 + buf.readUInt32BE(mechanisms);
        broker.starts(
          buf.subarray(at + 13, mechanisms),
          buf.toString('utf8', mechanisms + 4, locales),
          buf.toString('utf8', locales + 4, locales + 4 + buf.readUInt32BE(locales)),
        );
        broker.met = true;
        this.state = 'greeted';
        this.advance();
        return NEXT;
      }
      case M.CONNECTION_TUNE: {
        this.channelMax = buf.readUInt16BE(at + 11);
        this.frameMax = buf.readUInt32BE(at + 13) || 131072;
        this.heartbeat.interval = buf.readUInt16BE(at + 17);
        this.broker.tunes(this.channelMax, this.frameMax, this.heartbeat.interval);
        this.maxPayload = Math.max(this.frameMax, frames.FRAME_MIN_SIZE);
        this.advance();
        return NEXT;
      }
      case M.CONNECTION_OPEN_OK:
        this.advance();
        return NEXT;
      default:
        return NEXT;
    }
  }
}
