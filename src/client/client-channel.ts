/**
 * One channel of a client: what it is doing, the upstream channel it has leased, and what must go with it to another.
 *
 *   open ──channel.close──▶ releasing ──settled──▶ (closed)
 *    │ └──idle or promotion──▶ moving ──settled──▶ open, unbound
 *    └──error──▶ closing ──close-ok──▶ (closed)
 */
import { Confirms } from '../amqp/confirms.ts';
import type { CloseReason } from '../amqp/errors.ts';
import type { Use } from '../pool/pool.ts';
import type { Lessee, UpstreamChannel } from '../upstream/upstream-channel.ts';
import type { Client } from './client.ts';
import { Held } from './held.ts';

export type ClientChannelState = 'open' | 'moving' | 'releasing' | 'closing' | 'closed';

/** What the channel expects next (AMQP 0-9-1 section 4.2.6). */
export const METHOD = 0;
export const HEADER = 1;
export const BODY = 2;

const NOTHING = Buffer.alloc(0);

export class ClientChannel implements Lessee {
  readonly id: number;
  readonly peer: Client;
  state: ClientChannelState = 'open';
  up: UpstreamChannel | null = null;
  /** Further channel.close that came while the first was under way: each is answered. */
  moreCloses = 0;

  // content on its way in
  expect: typeof METHOD | typeof HEADER | typeof BODY = METHOD;
  bodyLeft = 0;
  readonly held = new Held();
  /** What the client's reservedBytes counts for the incomplete message of this channel. */
  reserved = 0;
  /** Part of a message has gone to the upstream already. */
  streamed = false;

  // what a lease has done, and what another upstream channel needs to know
  /** Something that only channel.close undoes: consumers, unacked deliveries, tx, global qos. */
  dirty = false;
  /** Something was published over the present lease. */
  publishedHere = false;
  confirm = false;
  /** Publishes since confirm.select. */
  published = 0;
  /** Deliveries the client has been sent over earlier leases. */
  delivered = 0;
  /** Consumers that began and were not cancelled. */
  consumers = 0;
  /** Which deliveries of consumers on a shared upstream the client has acked. */
  acks: Confirms | null = null;
  /** What the present lease was wanted for. */
  use: Use = 'other';
  /** basic.qos frames to repeat on another upstream channel: per consumer, and global. */
  qos: Buffer | null = null;
  globalQos: Buffer | null = null;
  /** Tags of the consumers on a shared upstream, where to use one twice would close the connection. */
  consumerTags: Set<string> | null = null;
  /** The last declared queue, as a short string with its length octet, and where the broker knows it. */
  lastQueue: Buffer | null = null;
  lastQueueOn: UpstreamChannel | null = null;

  // the last publish and properties that were found well-formed: the same bytes need no second check
  checkedPublish: Buffer = NOTHING;
  checkedProperties: Buffer = NOTHING;

  constructor(peer: Client, id: number) {
    this.peer = peer;
    this.id = id;
  }

  queueDeclared(queue: Buffer): void {
    this.lastQueue = Buffer.from(queue);
    this.lastQueueOn = this.up;
  }

  consumerCancelled(tag: string): void {
    this.consumerTags?.delete(tag);
    if (this.consumers > 0) this.consumers--;
  }

  /** Consumers or unacked deliveries keep the channel where it is: neither could follow it to another upstream. */
  get rooted(): boolean {
    return this.consumers > 0 || this.unacked > 0;
  }

  private get unacked(): number {
    const { acks, up } = this;
    if (acks === null || up === null) return 0;
    acks.published = up.deliveredHere;
    return acks.outstanding;
  }

  /** Begins to count the acks of deliveries over a shared upstream. */
  countAcks(): void {
    if (this.acks !== null) return;
    this.acks = new Confirms();
    this.acks.published = this.up!.deliveredHere;
    this.acks.confirm(0, true);
  }

  /** The client acks, nacks or rejects a delivery over a shared upstream, or all up to it. */
  acked(tag: number, multiple: boolean): void {
    this.acks!.published = this.up!.deliveredHere;
    this.acks!.confirm(tag, multiple);
  }

  channelClosed(why: CloseReason): void {
    this.peer.channelClosedByBroker(this, why);
  }

  upstreamLost(why: CloseReason | null): void {
    this.peer.upstreamLost(this, why);
  }
}
