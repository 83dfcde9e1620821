/**
 * A client's handshake (AMQP 0-9-1 section 2.2.4), from the protocol header to connection.open-ok or a refusal. Dropped once
 * the client is running.
 *
 *   header ▶ start ▶ proving ▶ tune ▶ open ▶ opening ▶ (running)
 */
import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { loginResponse, type RawLogin } from '../amqp/sasl.ts';
import { NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import type { Config } from '../config/options.ts';
import type { Outbox } from '../io/outbox.ts';
import { own } from '../memory.ts';
import type { Account } from '../pool/account.ts';
import type { Pool } from '../pool/pool.ts';
import { Denied, type Registry } from '../pool/registry.ts';
import type { Denial } from '../pool/waiters.ts';
import type { Stats } from '../stats.ts';
import { Refused } from '../upstream/handshake.ts';
import type { BrokerProfile } from '../upstream/profile.ts';
import type { Ending } from './ending.ts';
import * as negotiation from './negotiation.ts';
import { SILENCE, wrongState } from './offences.ts';

export type HandshakeState = 'header' | 'start' | 'proving' | 'tune' | 'open' | 'opening' | 'over';

/** What a handshake needs of the proxy. */
export interface HandshakeContext {
  readonly config: Config;
  readonly stats: Stats;
  readonly profile: BrokerProfile;
  readonly registry: Pick<Registry, 'account' | 'prove' | 'judge' | 'pool'>;
  /** Resolves, never rejects, when the broker has been met or cannot be. */
  meetBroker(): Promise<void>;
}

/** The client whose handshake it is. */
export interface Newcomer {
  readonly out: Outbox;
  readonly negotiated: negotiation.Negotiated;
  /** Why this login may not come in now, null if it may. */
  admission(): Denial | null;
  /** Has what follows the protocol header scanned, `later` only after `goOn`. */
  scan(rest: Buffer, later: boolean): void;
  goOn(): void;
  /** Gets an upstream for itself (pool_mode = session), then calls `ready`. */
  requestUpstream(ready: () => void): void;
  /** The handshake is over; connection.open-ok is to be sent. */
  opened(pool: Pool, reused: boolean, seconds: number): void;
  readonly ending: Pick<Ending, 'offend' | 'refuse' | 'refuseHeader'>;
}

const NOTHING = Buffer.alloc(0);

export class ClientHandshake {
  state: HandshakeState = 'header';
  private readonly client: Newcomer;
  private readonly context: HandshakeContext;
  private login: negotiation.Login | null = null;
  private account: Account<Pool> | null = null;
  private headerBytes: Buffer = Buffer.alloc(0);
  /** When the protocol header was complete. */
  private began = 0;

  constructor(client: Newcomer, context: HandshakeContext) {
    this.client = client;
    this.context = context;
  }

  /** It waits for somebody else than the client, who has a time of his own. */
  get waits(): boolean {
    return this.state === 'proving' || this.state === 'opening';
  }

  /** The client has gone, or is being refused. */
  abandon(): void {
    this.state = 'over';
  }

  readHeader(chunk: Buffer): void {
    const bytes = this.headerBytes.length > 0 ? Buffer.concat([this.headerBytes, chunk]) : chunk;
    if (bytes.length < 8 && frames.PROTOCOL_HEADER.subarray(0, bytes.length).equals(bytes)) {
      this.headerBytes = own(bytes);
      return;
    }
    if (!negotiation.isProtocolHeader(bytes)) {
      this.client.ending.refuseHeader();
      return;
    }
    this.headerBytes = Buffer.alloc(0);
    this.began = performance.now();
    this.state = 'start';
    const rest = bytes.subarray(8);
    if (this.context.profile.met) {
      this.start();
      this.client.scan(rest, false);
      return;
    }
    this.client.scan(rest, true);
    void this.context.meetBroker().then(() => {
      if (this.state !== 'start') return;
      this.start();
      this.client.goOn();
    });
  }

  private start(): void {
    this.client.out.write(this.context.profile.start);
  }

  /** A method on channel 0 before connection.open-ok. */
  method(methodKey: number, buf: Buffer, at: number, size: number): Verdict {
    const args = buf.subarray(at + 11, at + 7 + size);
    if (this.state === 'start' && methodKey === M.CONNECTION_START_OK) return this.startOk(args);
    if (this.state === 'tune' && methodKey === M.CONNECTION_TUNE_OK) {
      const fault = negotiation.readTuneOk(args, this.context.profile, this.client.negotiated);
      if (fault !== null && this.context.profile.isRabbit) return this.client.ending.offend(fault);
      if (fault !== null) return this.judged(loginResponse(this.account!), Buffer.from(args));
      this.state = 'open';
      return NEXT;
    }
    if (this.state === 'open' && methodKey === M.CONNECTION_OPEN) {
      this.client.negotiated.vhost = frames.readShortstr(args, 0);
      this.state = 'opening';
      this.openVhost();
      return this.waits ? STOP : NEXT;
    }
    return this.client.ending.offend(this.state === 'open' ? wrongState('opening', methodKey) : SILENCE);
  }

  private startOk(args: Buffer): Verdict {
    const { context, client } = this;
    const login = negotiation.readStartOk(args, context.profile);
    if (typeof login === 'string')
      return client.ending.offend(reason('SYNTAX_ERROR', login, M.CONNECTION_START_OK));
    const { credentials } = login;
    this.login = login;
    client.negotiated.login(login);
    if (credentials === null) {
      // so ends RabbitMQ what it cannot read
      if (context.profile.isRabbit) return client.ending.offend(SILENCE);
      return this.judged([login.mechanism, login.response], null);
    }
    this.account = context.registry.account(credentials);
    login.credentials = null; // the pools have them
    login.response = NOTHING;
    const proof = context.registry.prove(this.account, this.ownTitle);
    if (proof === null) {
      this.tune();
      return NEXT;
    }
    this.state = 'proving';
    proof.then(
      () => {
        if (this.state !== 'proving') return;
        this.tune();
        client.goOn();
      },
      (error: Error) => this.failed(error),
    );
    return STOP;
  }

  /** What cannot be: another broker than RabbitMQ is asked for its words. */
  private judged(login: RawLogin, tuneOk: Buffer | null): Verdict {
    this.state = 'proving';
    this.context.registry.judge(login, tuneOk).then(
      () => this.failed(new Refused(null)),
      (error: Error) => this.failed(error),
    );
    return STOP;
  }

  /** What the first upstream is called that is opened for this client and stays with it. */
  private get ownTitle(): string {
    return this.context.config.poolMode === 'session' ? this.client.negotiated.title : '';
  }

  private tune(): void {
    this.state = 'tune';
    this.client.out.write(this.context.profile.tune);
  }

  /** The broker has refused the login, or cannot be reached, or there is no room for an upstream. */
  private failed(error: Error): void {
    if (!this.waits) return;
    if (error instanceof Denied) this.refuse(error.denial);
    else if (!(error instanceof Refused))
      this.refuse({ cause: 'unreachable', why: reason('CONNECTION_FORCED', error.message) });
    else {
      // the proxy logs in by PLAIN, whatever the client used
      const why = error.why && {
        ...error.why,
        text: error.why.text.replace('mechanism PLAIN', `mechanism ${this.login!.mechanism}`),
      };
      const told = why !== null && (why.code !== 403 || this.login!.failureClose);
      this.client.ending.refuse('refused', told ? why : null, error.message);
    }
  }

  private refuse({ cause, why }: Denial): void {
    this.client.ending.refuse(cause, why, why.text);
  }

  private openVhost(): void {
    const { client, context } = this;
    const denied = client.admission();
    if (denied !== null) {
      this.refuse(denied);
      return;
    }
    const pool = context.registry.pool(this.account!, client.negotiated.vhost);
    client.negotiated.pool = pool;
    const reused = pool.live;
    const opened = (): void => {
      if (this.state !== 'opening') return;
      this.state = 'over';
      const { stats } = context;
      stats.logins++;
      if (reused) stats.loginsReused++;
      const seconds = (performance.now() - this.began) / 1000;
      stats.loginSeconds.add(seconds);
      client.opened(pool, reused, seconds);
    };
    const admitted = (): void => {
      if (this.state !== 'opening') return;
      if (context.config.poolMode === 'session') client.requestUpstream(opened);
      else opened();
    };
    if (reused) admitted();
    else pool.admit(this.ownTitle).then(admitted, (error: Error) => this.failed(error));
  }
}
