/**
 * Where a client publishes for load's sake: it may have an upstream for what it publishes, or be asked to leave one that
 * others fill. Its channels move one by one, each at its next use, between two messages and with no confirm due: a barrier
 * proves all that was published before, so that nothing can overtake it.
 */
import { clock } from '../clock.ts';
import type { Stats } from '../stats.ts';
import type { Carrier, Tenant } from '../upstream/carrier.ts';
import type { Lease } from '../upstream/lease.ts';

/** What a message costs a broker besides its bytes, in bytes. */
const MESSAGE = 2048;
/** Milliseconds after which a client that fills no upstream any more has none for that. */
const KEEP_MS = 10_000;
/** Milliseconds that a client is not read without a confirm of those that are due before it can move; then it stays, for so long. */
const PATIENCE_MS = 1000;
const STAY_MS = 60_000;

interface Housed {
  readonly stats: Stats;
  readonly transport: { readonly bytesIn: number };
  readonly publisher: { readonly published: number };
  goOn(): void;
}

/** The client's channels. */
interface Leasing {
  leases(): Iterable<Lease>;
}

/** The client's way to an upstream that nobody else uses, for other reasons. */
interface Private {
  readonly lease: object | null;
  readonly underWay: boolean;
}

export class Tenancy implements Tenant {
  pace = 0;
  home: Carrier | null = null;
  /** Some of its channels may have to leave their upstreams. */
  restless = false;
  private readonly client: Housed;
  private readonly promotion: Private;
  private readonly channels: Leasing;
  /** The upstream that is to be left to others. */
  private from: Carrier | null = null;
  private bytes = 0;
  private messages = 0;
  /** Over this lease confirms are due, for which it is not read; null when it is. */
  private awaited: Lease | null = null;
  /** How many, and since when so many; coarse. */
  private due = 0;
  private dueAt = 0;
  /** Coarse time up to which it stays where it is. */
  private staysUntil = 0;

  constructor(client: Housed, promotion: Private, channels: Leasing) {
    this.client = client;
    this.promotion = promotion;
    this.channels = channels;
  }

  // ---- told by the pool

  fixedOn(upstream: Carrier): boolean {
    if (clock.now < this.staysUntil || this.promotion.underWay) return true;
    for (const lease of this.channels.leases()) if (lease.upstream === upstream && keeps(lease)) return true;
    return false;
  }

  provesAll(upstream: Carrier): boolean {
    for (const lease of this.channels.leases())
      if (lease.upstream === upstream && lease.channel.confirms === null) return false;
    return true;
  }

  departs(from: Carrier): boolean {
    return this.restless && this.home !== from && (this.home !== null || this.from === from);
  }

  settle(home: Carrier): void {
    const { load } = home.channels;
    if (this.home === home) {
      load.keep();
      return;
    }
    this.release();
    this.home = home;
    load.moveIn();
    this.client.stats.clientsApart++;
    this.restless = true;
  }

  leave(from: Carrier): void {
    if (clock.now < this.staysUntil) return;
    this.from = from;
    this.restless = true;
  }

  // ---- asked at each use of a channel, while it is restless

  /** The channel of this lease is to go elsewhere. */
  leaves(lease: Lease): boolean {
    const { upstream } = lease;
    if (upstream === this.home || keeps(lease)) return false;
    return this.home !== null || upstream === this.from;
  }

  /** Confirms are due before it can: they are waited for. */
  await(lease: Lease): void {
    lease.tellConfirmed();
    if (this.awaited === lease) return;
    this.awaited = lease;
    this.due = lease.unconfirmed;
    this.dueAt = clock.now;
  }

  /** They have come. */
  confirmed(): void {
    this.awaited = null;
  }

  // ---- periodic

  /** `now` as of the coarse clock. */
  tick(now: number): void {
    const { transport, publisher } = this.client;
    const { bytesIn } = transport;
    const { published } = publisher;
    this.pace = bytesIn - this.bytes + MESSAGE * (published - this.messages);
    this.bytes = bytesIn;
    this.messages = published;
    const { home } = this;
    if (home !== null) {
      const idle = now - home.channels.load.busyAt > KEEP_MS;
      if (idle || home.retired || home.state !== 'live' || this.promotion.lease !== null) this.release();
    }
    if (this.restless) this.look(now);
  }

  private look(now: number): void {
    const { awaited } = this;
    if (awaited !== null && awaited.unconfirmed !== this.due) {
      this.due = awaited.unconfirmed;
      this.dueAt = now;
    }
    if (awaited !== null && now - this.dueAt > PATIENCE_MS) {
      this.awaited = null;
      this.staysUntil = now + STAY_MS;
      this.from = null;
      this.release();
      this.restless = false;
      this.client.goOn();
      return;
    }
    this.restless = false;
    for (const lease of this.channels.leases()) if (this.leaves(lease)) this.restless = true;
    if (!this.restless) this.from = null;
  }

  /** It has no upstream of its own any more; what it has there stays, and others may come. */
  release(): void {
    const { home } = this;
    if (home === null) return;
    this.home = null;
    home.channels.load.moveOut();
    this.client.stats.clientsApart--;
  }
}

/** Something that only the end of the channel undoes, or an answer is due: the channel stays where it is. */
const keeps = (lease: Lease): boolean =>
  lease.dirty || lease.streaming || lease.purpose === 'consume' || lease.channel.clientFlows > 0;
