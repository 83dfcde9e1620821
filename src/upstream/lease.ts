/**
 * A lease: a client channel's use of an upstream channel, and the only link between the two. Holds what is true during one
 * lease, and ends exactly once.
 */
import type { Confirms } from '../amqp/confirms.ts';
import type { CloseReason } from '../amqp/errors.ts';
import type { Carrier, Peer } from './carrier.ts';

/** What a lease is wanted for. */
export type Purpose = 'publish' | 'consume' | 'other';

/** How a lease has ended. */
export type LeaseEnd =
  /** The broker has handled all that went over it. */
  | { how: 'clean' }
  /** The broker has closed the channel. */
  | { how: 'closed'; why: CloseReason }
  /** The upstream is gone; null when the connection just ended. */
  | { how: 'lost'; why: CloseReason | null };

export const CLEAN: LeaseEnd = { how: 'clean' };

/** Who holds a lease: a client channel. */
export interface LeaseHolder {
  /** The client's number for the channel. */
  readonly id: number;
  readonly peer: Peer;
  /** Its publishes are to be confirmed. */
  readonly confirm: boolean;
  /** Publishes since confirm.select, and deliveries, over earlier leases. */
  readonly published: number;
  readonly delivered: number;
  /** Called once for each lease, unless it was abandoned. */
  leaseEnded(lease: Lease, end: LeaseEnd): void;
  /** All that was published is confirmed; called once after `Lease.tellConfirmed`. */
  leaseConfirmed(): void;
  /** queue.declare-ok came; `queue` is its short string, with the length octet (borrowed bytes). */
  queueDeclared(lease: Lease, queue: Buffer): void;
  consumerStarted(tag: string): void;
  /** The broker has cancelled a consumer. */
  consumerCancelled(tag: string): void;
}

/** The upstream channel that is leased, as the lease needs it. */
export interface LeasedChannel {
  readonly id: number;
  readonly upstream: Carrier;
  readonly state: string;
  /** Set once confirm.select was sent. */
  confirms: Confirms | null;
  /** Messages that went to the broker. */
  published: number;
  /** Delivery tags the broker has used. */
  readonly delivered: number;
  /** A prefetch bound is set that the next lease must not inherit. */
  qosSet: boolean;
  /** Answers to requests that the proxy made itself, to be kept from the client. */
  swallowQosOk: number;
  /** channel.flow requests of the client that wait for flow-ok. */
  clientFlows: number;
  /** Nobody hears of it any more. */
  detach(): void;
  /** Undoes what the lease has done and has it parked, or closed. */
  reset(dirty: boolean): void;
  /** Answers the broker's close, which waited for the end of a message. */
  answerClose(): void;
}

export class Lease {
  readonly channel: LeasedChannel;
  readonly upstream: Carrier;
  readonly holder: LeaseHolder;
  /** The client's number for the channel. */
  readonly id: number;
  readonly peer: Peer;
  readonly purpose: Purpose;
  /** What to subtract from the broker's delivery tags, and confirm tags, to get the client's. */
  readonly deliveryBase: number;
  confirmBase: number;
  /** Something that only channel.close undoes: consumers, unacked deliveries, tx, global qos. */
  dirty = false;
  /** Part of a message has gone to the upstream, and the rest has not. */
  streaming = false;
  /** Something else than a publish was the last that went over it: an answer may be due. */
  asked = false;
  /** Answers that the client waits for. */
  private due = 0;
  /** It has ended, or its holder hears of it no more. */
  over = false;
  /** Published without confirms: only the barrier at the end proves it. */
  private publishedPlain = false;
  private wantsConfirmed = false;

  constructor(channel: LeasedChannel, holder: LeaseHolder, purpose: Purpose) {
    this.channel = channel;
    this.upstream = channel.upstream;
    this.holder = holder;
    this.id = holder.id;
    this.peer = holder.peer;
    this.purpose = purpose;
    this.deliveryBase = channel.delivered - holder.delivered;
    this.confirmBase = (channel.confirms?.published ?? 0) - holder.published;
  }

  // ---- what goes over it

  /** So many whole messages have gone over it. */
  countPublished(messages: number): void {
    const { confirms } = this.channel;
    this.channel.published += messages;
    if (confirms === null) this.publishedPlain = true;
    else {
      confirms.published += messages;
      this.asked = false;
    }
  }

  /** A method other than a publish has gone over it, which the broker will answer or will not. */
  ask(answered: boolean): void {
    this.asked = true;
    if (answered) this.due++;
  }

  /** An answer has come. */
  answered(): void {
    if (this.due > 0) this.due--;
  }

  /** The client has publishes here that neither a barrier nor a confirm has proven. */
  get unproven(): boolean {
    return this.publishedPlain || !this.confirmed;
  }

  /** Nothing that was published waits for its confirm. */
  get confirmed(): boolean {
    const { confirms } = this.channel;
    return confirms === null || confirms.outstanding === 0;
  }

  /** What the client would lose with the upstream, and not know: publishes, and answers that it waits for. */
  get atStake(): boolean {
    return this.unproven || this.due > 0;
  }

  /** All that went over it is confirmed, and with it what came before: nothing is to be heard of it any more. */
  get settled(): boolean {
    return this.channel.confirms !== null && !this.asked && !this.unproven && !this.dirty;
  }

  /** How many publishes wait for their confirms. */
  get unconfirmed(): number {
    return this.channel.confirms?.outstanding ?? 0;
  }

  /** Publishes since confirm.select, and deliveries, as the client counts them. */
  get published(): number {
    const { confirms } = this.channel;
    return confirms === null ? 0 : confirms.published - this.confirmBase;
  }

  get delivered(): number {
    return this.channel.delivered - this.deliveryBase;
  }

  /** Has the holder told, once, when all is confirmed. */
  tellConfirmed(): void {
    this.wantsConfirmed = true;
  }

  /** Some publishes were confirmed. */
  confirmsCame(): void {
    if (!this.wantsConfirmed || !this.confirmed) return;
    this.wantsConfirmed = false;
    // after this confirm has gone to the client
    setImmediate(() => {
      if (!this.over) this.holder.leaseConfirmed();
    });
  }

  // ---- its end

  /** Ends it: the holder is told how it ended when the broker has handled all that went over it. */
  end(): void {
    if (this.channel.state === 'leased') this.channel.reset(this.dirty);
  }

  /** Ends it for a holder that will not hear of it again. */
  abandon(): void {
    if (this.over) return;
    this.leave();
    this.end();
  }

  /** Leaves the channel as it is: its upstream is about to be closed. */
  leave(): void {
    this.over = true;
    this.channel.detach();
  }

  /** Told by the channel. */
  ended(end: LeaseEnd): void {
    if (this.over) return;
    this.over = true;
    this.holder.leaseEnded(this, end);
  }

  /** The rest of a message has gone upstream on a channel that the broker has closed meanwhile. */
  messageEnded(): void {
    this.streaming = false;
    this.channel.answerClose();
  }
}
