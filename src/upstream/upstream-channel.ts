/**
 * One channel on an upstream, from channel.open to channel.close-ok, through any number of leases.
 *
 *   leased ──release, clean──▶ settling ──barrier answered──▶ parked ──lease──▶ leased
 *      └─────release, dirty──▶ closing ───close-ok──▶ gone
 */
import { Confirms } from '../amqp/confirms.ts';
import type { CloseReason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import type { Outbox } from '../io/outbox.ts';
import type { Upstream } from './upstream.ts';

/** The client behind a lessee, as an upstream sees it. */
export interface Peer {
  readonly out: Outbox;
  /** Largest payload the client takes in one frame; frame_max - 8. */
  readonly framePayload: number;
  /** Wants basic.cancel when a queue goes away under a consumer. */
  readonly cancelNotify: boolean;
  /** Called after something was written to `out`. */
  written(from: Upstream): void;
}

/** Who leases an upstream channel: a client channel. */
export interface Lessee {
  /** The client's number for the channel. */
  readonly id: number;
  readonly peer: Peer;
  /** The broker closed the channel; it is gone. */
  channelClosed(why: CloseReason): void;
  /** queue.declare-ok came; `queue` is its short string, with the length octet (borrowed bytes). */
  queueDeclared(queue: Buffer): void;
  /** The broker has cancelled a consumer. */
  consumerCancelled(tag: string): void;
  /** The upstream is lost; null when the connection just ended. */
  upstreamLost(why: CloseReason | null): void;
}

export type ChannelState = 'leased' | 'settling' | 'parked' | 'closing' | 'gone';

export class UpstreamChannel {
  readonly upstream: Upstream;
  readonly id: number;
  state: ChannelState = 'leased';
  lessee: Lessee | null = null;
  /** Set once confirm.select was sent: stays with the channel. */
  confirms: Confirms | null = null;
  /** Delivery tags the broker has used on this channel. */
  delivered = 0;
  /** What to subtract from the broker's delivery tags, and confirm tags, to get the client's. */
  deliveryBase = 0;
  confirmBase = 0;
  /** Broker replies to requests that the proxy made itself, to be kept from the client. */
  swallowQosOk = 0;
  /** channel.flow requests of the client that wait for flow-ok. */
  clientFlows = 0;
  /** Whether the content that follows on this channel is dropped, its addressee being gone. */
  dropping = false;
  /** A prefetch bound is set that the next lease must not inherit. */
  qosSet = false;
  /** This channel has a last declared queue, of whichever lease. */
  hasDeclared = false;
  /** Called once nothing published here is unconfirmed, or nothing will be confirmed any more. */
  onConfirmed: (() => void) | null = null;
  private onSettled: ((why: CloseReason | null) => void)[] = [];
  private barrierAt = 0;

  constructor(upstream: Upstream, id: number) {
    this.upstream = upstream;
    this.id = id;
  }

  /** True when the confirm-mode lease has nothing outstanding of its own. */
  get confirmed(): boolean {
    return this.confirms === null || this.confirms.outstanding === 0;
  }

  /** The number of the last delivery, as the client counts. */
  get deliveredHere(): number {
    return this.delivered - this.deliveryBase;
  }

  /**
   * Ends the lease of a clean channel: undoes what can be undone and parks it once the broker has handled all before
   * it. `settled` is called then; not if the broker closes the channel first (the lessee is told), or the upstream is lost.
   */
  park(settled: ((why: CloseReason | null) => void) | null): void {
    this.state = 'settling';
    if (settled) this.onSettled.push(settled);
    this.barrierAt = performance.now();
    const { out } = this.upstream;
    if (this.qosSet) {
      this.qosSet = false;
      this.swallowQosOk++;
      out.write(frames.qos(this.id, 0));
    }
    out.write(frames.barrier(this.id));
  }

  /** Ends the lease of a dirty channel; `settled` is called with close-ok. */
  close(settled: ((why: CloseReason | null) => void) | null): void {
    this.state = 'closing';
    if (settled) this.onSettled.push(settled);
    this.upstream.out.write(frames.channelClose(this.id, { code: 200, text: 'OK', classId: 0, methodId: 0 }));
  }

  /** Has one more told when the park or close under way is settled. */
  alsoWhenSettled(settled: (why: CloseReason | null) => void): void {
    this.onSettled.push(settled);
  }

  /** The barrier or close was answered, or the broker closed the channel (`why`). */
  settle(why: CloseReason | null): void {
    const listeners = this.onSettled;
    this.onSettled = [];
    for (const listener of listeners) listener(why);
    const { onConfirmed } = this;
    this.onConfirmed = null;
    onConfirmed?.();
  }

  /** Seconds since the barrier was sent. */
  get barrierAge(): number {
    return (performance.now() - this.barrierAt) / 1000;
  }

  /** Prepares the channel for a lessee that has counted `published` confirms and `delivered` tags elsewhere. */
  lend(lessee: Lessee, published: number, delivered: number): void {
    this.state = 'leased';
    this.lessee = lessee;
    this.dropping = false;
    this.onConfirmed = null;
    this.deliveryBase = this.delivered - delivered;
    this.confirmBase = (this.confirms?.published ?? 0) - published;
  }

  /** Puts the channel in confirm mode by the proxy's own request. */
  selectConfirms(published: number): void {
    this.upstream.out.write(frames.confirmSelect(this.id, true));
    this.confirms = new Confirms();
    this.confirmBase = -published;
  }
}
