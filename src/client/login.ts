/** A client's handshake (AMQP 0-9-1 section 2.2.4), from the protocol header to connection.open-ok or a refusal. */
import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import { own } from '../memory.ts';
import type { Logins } from '../pool/logins.ts';
import type { Denial } from '../pool/pool.ts';
import { Refused } from '../upstream/login.ts';
import type { Client, ClientState } from './client.ts';
import { ClientFrames } from './frames.ts';
import * as handshake from './handshake.ts';
import { SILENCE, wrongState } from './offences.ts';

export abstract class ClientLogin extends ClientFrames {
  user = '';
  vhost = '';
  /** The client announced that it understands connection.blocked. */
  protected blockedNotify = false;
  /** Counts among the clients of its pool. */
  protected counts = false;
  private login: handshake.Login | null = null;
  private logins: Logins | null = null;
  private headerBytes: Buffer = Buffer.alloc(0);
  /** When the protocol header was complete. */
  private loginBegan = 0;

  abstract override state: ClientState;
  protected abstract finish(): void;

  protected readHeader(chunk: Buffer): void {
    const bytes = this.headerBytes.length > 0 ? Buffer.concat([this.headerBytes, chunk]) : chunk;
    if (bytes.length < 8 && frames.PROTOCOL_HEADER.subarray(0, bytes.length).equals(bytes)) {
      this.headerBytes = own(bytes);
      return;
    }
    if (!handshake.isProtocolHeader(bytes)) {
      this.stats.refuse('protocol_header');
      this.context.log.info(this.facts, 'Client refused: its protocol header is not AMQP 0-9-1');
      this.out.write(frames.PROTOCOL_HEADER);
      this.finish();
      return;
    }
    this.headerBytes = Buffer.alloc(0);
    this.loginBegan = performance.now();
    this.state = 'start';
    if (this.context.broker.met) this.start(bytes.subarray(8));
    else {
      const rest = own(bytes.subarray(8));
      this.halt();
      void this.context.meetBroker().then(() => {
        if (this.state !== 'start') return;
        this.start(rest);
        this.goOn();
      });
    }
  }

  private start(rest: Buffer): void {
    this.out.write(this.context.broker.start);
    if (rest.length > 0) this.feed(rest);
  }

  /** A method on channel 0 before connection.open-ok. */
  protected override handshakeMethod(methodKey: number, buf: Buffer, at: number, size: number): Verdict {
    const { context } = this;
    const args = buf.subarray(at + 11, at + 7 + size);
    if (this.state === 'start' && methodKey === M.CONNECTION_START_OK) {
      const login = handshake.readStartOk(args, context.broker);
      if (typeof login === 'string') return this.offend(reason('SYNTAX_ERROR', login, methodKey));
      if (login.credentials === null) return this.offend(SILENCE); // so ends RabbitMQ what it cannot read
      this.login = login;
      this.user = login.credentials.user;
      this.cancelNotify = login.cancelNotify;
      this.blockedNotify = login.blockedNotify;
      this.logins = context.logins(login.credentials);
      login.credentials = null; // the pools have them
      const proof = context.prove(this.logins);
      if (proof === null) {
        this.tune();
        return NEXT;
      }
      this.state = 'login';
      proof.then(
        () => {
          if (this.state !== 'login') return;
          this.tune();
          this.goOn();
        },
        (error: Error) => this.loginFailed(error),
      );
      return STOP;
    }
    if (this.state === 'tune' && methodKey === M.CONNECTION_TUNE_OK) {
      const agreed = handshake.readTuneOk(args, context.broker);
      if ('code' in agreed) return this.offend(agreed);
      this.channelMax = agreed.channelMax;
      this.maxPayload = agreed.frameMax;
      this.framePayload = agreed.frameMax - frames.FRAME_OVERHEAD;
      this.heartbeat.interval = agreed.heartbeat;
      this.state = 'open';
      return NEXT;
    }
    if (this.state === 'open' && methodKey === M.CONNECTION_OPEN) {
      this.vhost = frames.readShortstr(args, 0);
      this.state = 'login';
      this.openVhost();
      return (this.state as ClientState) === 'login' ? STOP : NEXT;
    }
    return this.offend(this.state === 'open' ? wrongState('opening', methodKey) : SILENCE);
  }

  private tune(): void {
    this.state = 'tune';
    this.out.write(this.context.broker.tune);
  }

  /** The broker has refused the login, or cannot be reached. */
  private loginFailed(error: Error): void {
    if (this.state !== 'login') return;
    if (!(error instanceof Refused)) {
      this.refuse({ cause: 'unreachable', why: reason('CONNECTION_FORCED', error.message) });
      return;
    }
    // the proxy logs in by PLAIN, whatever the client used
    const why = error.why && {
      ...error.why,
      text: error.why.text.replace('mechanism PLAIN', `mechanism ${this.login!.mechanism}`),
    };
    if (why !== null && (why.code !== 403 || this.login!.failureClose)) {
      this.refuse({ cause: 'refused', why });
      return;
    }
    this.stats.loginsRefused++;
    this.stats.refuse('refused');
    this.context.log.info(this.facts, `Login refused: ${error.message}`);
    this.finish();
  }

  private openVhost(): void {
    const denied = this.context.admission(this as unknown as Client, this.user);
    if (denied !== null) {
      this.refuse(denied);
      return;
    }
    const pool = this.context.pool(this.logins!, this.vhost);
    this.pool = pool;
    const reused = pool.live;
    const admitted = (): void => {
      if (this.state !== 'login') return;
      if (this.config.poolMode === 'session') {
        this.stopWaiting = pool.acquire(this as unknown as Client, outcome => {
          this.stopWaiting = null;
          if (!outcome.ok) this.refuse(outcome);
          else if (this.state !== 'login') pool.giveBack(outcome.value, false);
          else {
            this.private = outcome.value;
            opened();
          }
        });
      } else opened();
    };
    const opened = (): void => {
      this.stats.logins++;
      if (reused) this.stats.loginsReused++;
      this.stats.loginSeconds.add((performance.now() - this.loginBegan) / 1000);
      this.state = 'running';
      pool.clients++;
      this.counts = true;
      this.out.write(frames.CONNECTION_OPEN_OK);
      this.goOn();
    };
    if (reused) admitted();
    else pool.admit().then(admitted, (error: Error) => this.loginFailed(error));
  }

  /** Turns a login down with the broker's words. */
  private refuse({ cause, why }: Denial): void {
    this.stats.loginsRefused++;
    this.stats.refuse(cause);
    this.context.log.info(this.facts, `Login refused: ${why.text}`);
    this.sendClose(why);
  }
}
