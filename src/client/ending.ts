/**
 * The state of a client's connection, and every way it ends.
 *
 *   handshake ─▶ running ─┬─ the client closes ──▶ leaving ──▶ closed
 *                         └─ we close ──▶ closing ──▶ closed
 */
import type { Logger } from 'pino';
import { type CloseReason, reason } from '../amqp/errors.ts';
import { foreignWords } from '../amqp/foreign.ts';
import * as frames from '../amqp/frame.ts';
import { type BadFrame, NEXT, STOP, type Verdict } from '../amqp/scanner.ts';
import { looksIntroduced } from '../io/proxy-header.ts';
import type { Transport } from '../io/transport.ts';
import type { Denial } from '../pool/denial.ts';
import type { Stats } from '../stats.ts';
import { inWords } from '../words.ts';
import { badFrame, type Offence, SILENCE } from './offences.ts';
import type { ClientState } from './session.ts';

/** Milliseconds in which a client that did not read may still hear why it was closed. */
const SLEEP_MS = 60_000;

/** What concerns more than one client: somebody should look. */
const GRAVE = new Set(['max_clients', 'max_clients_per_user', 'lease_timeout']);

const LOST: CloseReason = reason('CONNECTION_FORCED', 'the connection to the broker was lost');

interface EndingContext {
  readonly transport: Transport;
  readonly stats: Stats;
  readonly log: Logger;
  /** Who it is, for the log. */
  readonly facts: object;
  readonly negotiated: { readonly user: string; readonly vhost: string };
  /** In the handshake: it has come so far that it is told with connection.close. */
  readonly toldInHandshake: boolean;
  /** Ends what it has upstream, and the handshake; it hears no more of it. */
  endParts(): void;
  /** Takes nothing more from it. */
  stopScanning(): void;
  goOn(): void;
}

export class Ending {
  private current: ClientState = 'handshake';
  private readonly client: EndingContext;
  /** The client broke the framing: what it sends from here on is not looked at. */
  private rawDiscard = false;
  /** Who has ended the connection, and why. */
  private ender = '';
  /** It counts among those that were refused. */
  private counted = false;

  constructor(client: EndingContext) {
    this.client = client;
  }

  get state(): ClientState {
    return this.current;
  }

  /** The handshake is over. */
  opened(): void {
    this.current = 'running';
  }

  get by(): string {
    return this.ender || 'the client, without a close';
  }

  /** The client has sent connection.close. */
  leaves(): void {
    this.ender = 'the client';
    this.current = 'leaving';
  }

  private counts(cause: string, text: string): void {
    const { stats, negotiated } = this.client;
    stats.refuse(cause);
    stats.totals.known(negotiated.user, negotiated.vhost).refused++;
    this.ender ||= `amqproxy: ${text}`;
  }

  private count(cause: string, text: string): void {
    const { client } = this;
    this.counted = true;
    this.counts(cause, text);
    // that no broker can be reached is said once, where it is seen
    const level = cause === 'unreachable' ? 'debug' : GRAVE.has(cause) ? 'warn' : 'info';
    client.log[level](client.facts, text);
  }

  // ---- for what it did

  /** Closes the client's connection; the reason is the broker's own. */
  offend(why: Offence): Verdict {
    const told = why !== SILENCE && (this.state === 'running' || this.client.toldInHandshake);
    const text = why === SILENCE ? 'a malformed frame' : told ? `${why.code} ${why.text}` : why.text;
    this.count(told ? String(why.code) : 'protocol', `Client closed: ${text}`);
    if (!told) {
      this.gone();
      this.client.transport.reset();
      return STOP;
    }
    this.close(why);
    return NEXT;
  }

  badFrame(bad: BadFrame): void {
    if (this.state === 'closing') {
      this.finish();
      return;
    }
    this.offend(badFrame(bad));
    this.rawDiscard = true;
  }

  /** True for bytes that are not to be scanned. */
  discards(chunk: Buffer): boolean {
    if (this.rawDiscard && chunk.includes(frames.CONNECTION_CLOSE_OK)) this.finish();
    return this.rawDiscard || this.state === 'closed';
  }

  /** It does not read: so many bytes wait for it. */
  overrun(pending: number): void {
    const { client } = this;
    this.counts('client_buffer', 'it does not read');
    client.log.warn(
      client.facts,
      `Client closed: it does not read, ${pending} bytes wait for it (client_buffer)`,
    );
    client.transport.linger(SLEEP_MS); // it is told when it wakes
    this.close(
      reason('RESOURCE_ERROR', `${pending} bytes are waiting to be read, more than client_buffer allows`),
    );
  }

  /** It has ended in its TLS handshake. Health checks do so all the time. */
  noTls(error: Error | null): void {
    if (this.counted) return;
    const { client } = this;
    client.stats.refuse('tls');
    if (client.transport.hasRead)
      client.log.info(
        client.facts,
        `TLS handshake failed: ${error === null ? 'the client has hung up' : inWords(error)}`,
      );
  }

  /** It does not log in. */
  tooSlow(): void {
    this.count('handshake_timeout', 'Client closed: the handshake took longer than handshake_timeout');
    this.client.transport.reset();
  }

  /** Ends it with a reset, so that its next write fails, as RabbitMQ does. */
  cut(cause: string, why: string): void {
    this.count(cause, `Client closed: ${why}`);
    this.client.transport.reset();
  }

  // ---- for what cannot be had

  /** Its login is turned down in these words, or by the end of the connection (null). */
  refuse(cause: string, why: CloseReason | null, text: string): void {
    this.client.stats.loginsRefused++;
    this.count(cause, `Login refused: ${text}`);
    if (why === null) this.finish();
    else this.close(why);
  }

  refuseHeader(bytes: Buffer): void {
    const why = looksIntroduced(bytes)
      ? 'it sends a PROXY header, and proxy_protocol is not set where it has come in. Set it in [listen], and proxy_from, if it is your load balancer'
      : foreignWords(bytes);
    this.count('protocol_header', `Client refused: ${why}`);
    this.client.transport.out.write(frames.PROTOCOL_HEADER);
    this.finish();
  }

  deny({ cause, why }: Denial): void {
    if (this.state === 'handshake') {
      this.refuse(cause, why, why.text);
      return;
    }
    this.count(cause, `Client closed: ${why.text}`);
    this.close(why);
  }

  /** By the operator's wish. */
  kill(text: string): void {
    const { client } = this;
    if (this.state === 'closed') return;
    this.counts('killed', text);
    if (this.state === 'running' || client.toldInHandshake) this.close(reason('CONNECTION_FORCED', text));
    else if (this.state !== 'closing') client.transport.reset();
  }

  // ---- for what is lost

  /** What the client has done over an upstream is lost with it. */
  lose(why: CloseReason | null): void {
    if (this.state === 'running') {
      this.count('upstream_lost', `Client closed: ${why?.text ?? LOST.text}`);
      this.close(why ?? LOST);
    } else if (this.state === 'leaving') {
      // no close-ok: what the broker has said, or the end, as from a broker that dies
      this.count('upstream_lost', `Client closed: ${why?.text ?? LOST.text}, before its close was answered`);
      if (why === null) this.finish();
      else this.close(why);
    }
  }

  // ---- how

  /** The proxy is shutting down. Who is leaving already is told when that is done. */
  shutdown(why: CloseReason): void {
    if (this.state !== 'leaving') this.close(why);
  }

  /** Ends the connection from our side: connection.close, then the socket once it is answered. Frames that follow are ignored. */
  close(why: CloseReason): void {
    if (this.state === 'closing' || this.state === 'closed') return;
    const { client } = this;
    this.ender ||= `amqproxy: ${why.text}`;
    this.current = 'closing';
    client.transport.out.write(frames.connectionClose(why));
    client.endParts();
    client.goOn();
    client.transport.linger();
  }

  /** Answers the client's close. Hanging up is the client's part then: RabbitMQ waits for that, too. */
  farewell(): void {
    if (this.state !== 'leaving') return;
    this.client.transport.out.write(frames.CONNECTION_CLOSE_OK);
    this.finish(false);
  }

  /** Our side is done: sends what is queued, half-closes, and reads on (no reset) until the client hangs up. */
  finish(hangUp = true): void {
    if (this.state === 'closed') return;
    const { transport } = this.client;
    this.gone();
    if (hangUp) transport.end();
    transport.readToEnd();
    transport.linger();
  }

  /** Nothing goes on with this connection. */
  gone(): void {
    if (this.state === 'closed') return;
    this.current = 'closed';
    this.client.stopScanning();
    this.client.endParts();
  }
}
