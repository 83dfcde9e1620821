/** What the log tells of a client's way: at debug for all, at info for the client that the operator looks at. */
import type { Logger } from 'pino';
import { clock } from '../clock.ts';
import type { Transport } from '../io/transport.ts';
import type { Lease } from '../upstream/lease.ts';

interface TrailContext {
  readonly log: Logger;
  /** Who it is. */
  readonly facts: object;
  readonly config: { readonly logConnections: boolean };
  readonly stay: { readonly acceptedAt: number };
  readonly ending: { readonly by: string };
  readonly publisher: { readonly published: number };
  readonly delivered: number;
  readonly transport: Transport;
}

const milliseconds = (ms: number): number => Math.round(ms * 10) / 10;

export class Trail {
  /** The operator wants to know what this one does. */
  watched = false;
  private readonly client: TrailContext;
  private hasOpened = false;

  constructor(client: TrailContext) {
    this.client = client;
  }

  /** Whether anybody listens: facts need not be gathered otherwise. */
  get isTold(): boolean {
    return this.watched || this.client.log.isLevelEnabled('debug');
  }

  /** `always`: at info, whoever listens. Lines of one client's way are never counted together with another's. */
  private tell(message: string, facts: object, always = false): void {
    const { log } = this.client;
    const all = { ...this.client.facts, ...facts, each: true };
    if (always || this.watched) log.info(all, message);
    else log.debug(all, message);
  }

  /** It is logged in, over an upstream that was there (`reused`) or a new one. */
  opened(reused: boolean, seconds: number, application: { title: string; product: string }): void {
    this.hasOpened = true;
    const { logConnections } = this.client.config;
    if (!logConnections && !this.isTold) return;
    const { title, product } = application;
    const facts = {
      login: reused ? 'reused' : 'new',
      ms: milliseconds(seconds * 1000),
      name: title || undefined,
      product: product || undefined,
    };
    this.tell('Client connected', facts, logConnections);
  }

  /** A channel of it has a lease, for which it has waited that long. */
  leased(lease: Lease, ms: number): void {
    if (!this.isTold) return;
    const { upstream, id, purpose } = lease;
    this.tell('Lease', {
      upstream: upstream.address,
      on: upstream.name,
      channel: id,
      purpose,
      waited_ms: milliseconds(ms),
    });
  }

  /** It is to have an upstream for itself. */
  promoted(why: string): void {
    if (this.isTold) this.tell('Promotion to an upstream of its own', { why });
  }

  ended(): void {
    const { config, ending, stay, publisher, delivered, transport } = this.client;
    const always = config.logConnections && this.hasOpened;
    if (!always && !this.isTold) return;
    const facts = {
      by: ending.by,
      seconds: Math.round(clock.now - stay.acceptedAt) / 1000,
      published: publisher.published,
      delivered,
      bytes_in: transport.bytesIn,
      bytes_out: transport.out.total,
    };
    this.tell(this.hasOpened ? 'Client gone' : 'Client gone before it logged in', facts, always);
  }
}
