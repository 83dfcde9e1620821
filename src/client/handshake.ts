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
import type { Route } from '../pool/context.ts';
import { type Denial, Denied } from '../pool/denial.ts';
import type { Pool } from '../pool/pool.ts';
import type { Registry } from '../pool/registry.ts';
import { routeIsFull } from '../pool/route-limits.ts';
import { share } from '../share.ts';
import type { Stats } from '../stats.ts';
import { Refused } from '../upstream/handshake.ts';
import type { BrokerProfile, Offer } from '../upstream/profile.ts';
import type { Ending } from './ending.ts';
import * as negotiation from './negotiation.ts';
import { SILENCE, wrongState } from './offences.ts';

export type HandshakeState = 'header' | 'start' | 'proving' | 'tune' | 'open' | 'opening' | 'over';

/** The routes, as a login sees them. */
interface ClientRoutes {
  /** The one that this user takes to whatever vhost; null when it hangs on the vhost. */
  certain(user: string): (Route<Account> & { readonly profile: Offer }) | null;
  /** What can be had whichever it will be. */
  offer(user: string): Offer;
  /** The one that a user takes to a vhost; one that does not lead anywhere where there is none. */
  to(user: string, vhost: string): { readonly leads: boolean };
}

/** What a handshake needs of the proxy. */
export interface HandshakeContext {
  readonly config: Config;
  readonly stats: Stats;
  readonly profile: BrokerProfile;
  readonly registry: Pick<Registry, 'account' | 'prove' | 'judge' | 'pool' | 'pools'>;
  readonly routes: ClientRoutes;
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
/** Milliseconds in which the workers can have divided max_clients anew, several times over. */
const ROOM_MS = 1000;

export class ClientHandshake {
  state: HandshakeState = 'header';
  private readonly client: Newcomer;
  private readonly context: HandshakeContext;
  private login: negotiation.Login | null = null;
  private account: Account<Pool> | null = null;
  /** What it was offered. */
  private offer: Offer;
  /** Who it is will be asked when the vhost is known, by which it takes a route. */
  private unproven = false;
  private headerBytes: Buffer = NOTHING;
  /** Until when it waits for room, once there was none. */
  private roomBy: number | null = null;
  /** When the protocol header was complete. */
  private began = 0;

  constructor(client: Newcomer, context: HandshakeContext) {
    this.client = client;
    this.context = context;
    this.offer = context.profile;
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
      this.client.ending.refuseHeader(bytes);
      return;
    }
    this.headerBytes = NOTHING;
    this.began = performance.now();
    this.state = 'start';
    const rest = bytes.length > 8 ? bytes.subarray(8) : NOTHING;
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
    const args = at + 11;
    const end = at + 7 + size;
    if (this.state === 'start' && methodKey === M.CONNECTION_START_OK)
      return this.startOk(buf.subarray(args, end));
    if (this.state === 'tune' && methodKey === M.CONNECTION_TUNE_OK) {
      const fault = negotiation.readTuneOk(buf, args, this.offer, this.client.negotiated);
      if (fault !== null && this.offer.isRabbit) return this.client.ending.offend(fault);
      if (fault !== null)
        return this.judged(loginResponse(this.account!), Buffer.from(buf.subarray(args, end)));
      this.state = 'open';
      return NEXT;
    }
    if (this.state === 'open' && methodKey === M.CONNECTION_OPEN) {
      this.client.negotiated.vhost = frames.readShortstr(buf, args);
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
      return this.judged([login.mechanism, Buffer.from(login.response)], null);
    }
    this.account = context.registry.account(credentials);
    login.credentials = null; // the pools have them
    login.response = NOTHING;
    const { user } = this.account;
    const route = context.routes.certain(user);
    this.unproven = route === null;
    const proof = route === null ? null : context.registry.prove(this.account, route, this.ownTitle);
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
    // what a broker offers is known when it has answered a login
    const { user } = this.account!;
    this.offer = this.context.routes.certain(user)?.profile ?? this.context.routes.offer(user);
    this.client.out.write(this.offer.tune);
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
      const told = why !== null && (why.code !== 403 || this.login!.properties.failureClose);
      this.client.ending.refuse('refused', told ? why : null, error.message);
    }
  }

  private refuse({ cause, why }: Denial): void {
    this.client.ending.refuse(cause, why, why.text);
  }

  /** One worker may have room where another has none, and gives it up when it is told. */
  private denied(denial: Denial): void {
    const now = performance.now();
    this.roomBy ??= now + ROOM_MS;
    const newPart = denial.cause === 'max_clients' ? share.newPart(this.roomBy - now) : null;
    if (newPart === null) {
      this.refuse(denial);
      return;
    }
    void newPart.then(() => {
      if (this.state === 'opening') this.openVhost();
    });
  }

  private openVhost(): void {
    const { client, context } = this;
    const denied = client.admission();
    if (denied !== null) {
      this.denied(denied);
      return;
    }
    const account = this.account!;
    const { vhost } = client.negotiated;
    if (!context.routes.to(account.user, vhost).leads) {
      const text = `no route takes user '${account.user}' to vhost '${vhost}'`;
      this.refuse({ cause: 'no_route', why: reason('NOT_ALLOWED', text, M.CONNECTION_OPEN) });
      return;
    }
    const pool = context.registry.pool(account, vhost);
    client.negotiated.pool = pool;
    const proof = this.unproven
      ? context.registry.prove(account, pool.way.route, this.ownTitle, vhost)
      : null;
    const reused = pool.live;
    const opened = (): void => {
      if (this.state !== 'opening') return;
      const full = routeIsFull(context.registry.pools, pool);
      if (full !== null) {
        this.refuse(full);
        return;
      }
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
    if (reused && proof === null) admitted();
    else
      (proof === null ? pool.admit(this.ownTitle) : proof.then(() => pool.admit(this.ownTitle))).then(
        admitted,
        (error: Error) => this.failed(error),
      );
  }
}
