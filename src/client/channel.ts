/**
 * One channel of a client: its state, and what must go with it from one upstream channel to another.
 *
 *   unbound ──lease──▶ bound ──end──▶ resetting ──ended, what comes after──▶ unbound | closing | closed
 *      └──waiting──▶────┘ └──the broker closes it──▶ closing ──close-ok──▶ closed
 */
import { Confirms } from '../amqp/confirms.ts';
import type { CloseReason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import type { Wait } from '../pool/waiters.ts';
import type { Peer } from '../upstream/carrier.ts';
import type { Lease, LeaseEnd, LeaseHolder } from '../upstream/lease.ts';
import { type After, type ChannelState, CLOSED, UNBOUND } from './channel-state.ts';
import type { Consumers } from './consumers.ts';
import type { LaneOwner, PublishLane } from './lane.ts';
import { IncomingMessage, METHOD } from './message.ts';
import { sequel } from './sequel.ts';

/** The client, as its channels need it. */
export interface ChannelOwner extends Peer {
  readonly channels: Peer['channels'] & { mayLeave(lease: Lease): boolean };
  /** Sends the frames that have been scanned but not forwarded yet. */
  sendRun(): void;
  /** A channel's state has changed: frames may be taken that had to wait. */
  goOn(): void;
  /** What a channel waited for is confirmed. */
  confirmed(): void;
  /** The channel's message will not be sent. */
  dropMessage(channel: ClientChannel): void;
  /** The number may be opened anew. */
  channelClosed(channel: ClientChannel): void;
  /** What the client has done over an upstream is lost with it. */
  lose(why: CloseReason | null): void;
  /** A channel has ended as its client leaves. */
  channelLeft(): void;
}

export class ClientChannel implements LeaseHolder, LaneOwner {
  readonly id: number;
  readonly peer: ChannelOwner;
  /** While bound, for the hot path; else null. */
  lease: Lease | null = null;
  readonly message = new IncomingMessage();
  /** For what it publishes, while it consumes from a shared upstream; null when it has not. */
  lane: PublishLane | null = null;
  confirm = false;
  published = 0;
  delivered = 0;
  consumers: Consumers | null = null;
  /** Which deliveries of consumers on a shared upstream the client has acked. */
  acks: Confirms | null = null;
  /** basic.qos frames to repeat on another upstream channel: per consumer, and global. */
  qos: Buffer | null = null;
  globalQos: Buffer | null = null;
  /** The last declared queue, as a short string with its length octet, and where it was declared. */
  lastQueue: Buffer | null = null;
  lastQueueOn: object | null = null;
  /** It was declared for the broker to name it, and declare-ok has not come. */
  awaitsQueue = false;
  private current: ChannelState = UNBOUND;
  /** Further channel.close that came while the first was under way: each is answered. */
  private moreCloses = 0;

  constructor(peer: ChannelOwner, id: number) {
    this.peer = peer;
    this.id = id;
  }

  get state(): ChannelState {
    return this.current;
  }

  private become(state: ChannelState): void {
    this.current = state;
    this.lease = state.is === 'bound' ? state.lease : null;
  }

  /** Consumers or unacked deliveries keep the channel where it is: neither could follow it to another upstream. */
  get rooted(): boolean {
    return this.consumers?.any === true || this.unacked > 0;
  }

  private get unacked(): number {
    const { acks, lease } = this;
    if (acks === null || lease === null) return 0;
    acks.published = lease.delivered;
    return acks.outstanding;
  }

  /** Begins to count the acks of deliveries over a shared upstream. */
  countAcks(): void {
    if (this.acks !== null) return;
    this.acks = new Confirms();
    this.acked(0, true);
  }

  /** The client acks, nacks or rejects a delivery over a shared upstream, or all up to it. */
  acked(tag: number, multiple: boolean): void {
    const { acks, lease } = this;
    if (acks === null || lease === null) return;
    acks.published = lease.delivered;
    acks.confirm(tag, multiple);
  }

  /** Nothing is under way that could not go on elsewhere. */
  get movable(): boolean {
    const { lease, message } = this;
    return (
      lease !== null && message.expect === METHOD && message.held === null && !this.rooted && lease.confirmed
    );
  }

  /** Part of a message has gone upstream, and the rest has not. */
  get streaming(): boolean {
    const { current: state } = this;
    return (state.is === 'bound' && state.lease.streaming) || (state.is === 'closing' && state.rest !== null);
  }

  // ---- a lease begins

  waits(wait: Wait): void {
    this.become({ is: 'waiting', wait });
  }

  /** False when it has not waited. */
  waitsNoMore(): boolean {
    if (this.current.is !== 'waiting') return false;
    this.current.wait.cancel();
    this.become(UNBOUND);
    return true;
  }

  /** Goes on over this lease: what the client has set up is repeated there. */
  bind(lease: Lease): void {
    this.become({ is: 'bound', lease });
    const { channel, upstream } = lease;
    for (const qos of [this.qos, this.globalQos]) {
      if (qos === null) continue;
      const frame = Buffer.from(qos);
      frame.writeUInt16BE(channel.id, 1);
      channel.swallowQosOk++;
      channel.qosSet = true;
      upstream.out.write(frame);
    }
    if (this.globalQos !== null) lease.dirty = true;
  }

  // ---- a lease is to end

  /** The client closes the channel. False when it has to wait for its close-ok. */
  close(instant: boolean): void {
    if (instant && this.lease !== null && this.peer.channels.mayLeave(this.lease)) this.abandonLease();
    this.end({ next: 'close' });
  }

  closeAgain(): void {
    this.moreCloses++;
  }

  /** Leaves its upstream while the client keeps the channel; frames that come meanwhile wait, for a barrier if it proves anything. */
  move(): void {
    if (this.lease?.settled) this.abandonLease();
    else if (this.lease !== null) this.end({ next: 'rebind' });
  }

  /** The broker reads nothing from its upstream for now, because of others' publishes: this client need not wait there. */
  get leavesBlocked(): boolean {
    const { lease, peer } = this;
    if (lease === null || lease.upstream.blocked === null || lease.atStake || lease.dirty) return false;
    return peer.channels.mayLeave(lease);
  }

  /** Closes the channel as the broker would, after what came before on it. */
  fail(why: CloseReason): void {
    this.end({ next: 'error', why });
  }

  /** The client closes its connection. True when the end of a lease is to be waited for. */
  leave(): boolean {
    if (this.current.is === 'resetting') {
      this.become({ ...this.current, after: { next: 'leave' } });
      return true;
    }
    if (this.lease === null) {
      this.abandon();
      return false;
    }
    this.end({ next: 'leave' });
    return true;
  }

  private end(after: After): void {
    this.peer.sendRun(); // what came before must reach the broker before the barrier does
    if (this.leavesBlocked) this.abandonLease();
    const { lease } = this;
    if (lease === null) {
      this.ended(null, { how: 'clean' }, after);
      return;
    }
    this.become({ is: 'resetting', lease, after });
    lease.end();
  }

  private abandonLease(): void {
    this.peer.sendRun();
    const { lease } = this;
    if (lease === null) return;
    this.remember(lease);
    this.become(UNBOUND);
    lease.abandon();
  }

  /** Ends without a word to the client; `leave` what it has upstream as it is, because that is about to be closed. */
  abandon(leave = false): void {
    this.lane?.abandon();
    const { current: state } = this;
    this.become(CLOSED);
    if (state.is === 'waiting') state.wait.cancel();
    else if (state.is === 'bound' || state.is === 'resetting')
      if (leave) state.lease.leave();
      else state.lease.abandon();
  }

  // ---- a lease has ended

  leaseEnded(lease: Lease, end: LeaseEnd): void {
    const { current: state } = this;
    if (state.is === 'bound') this.ended(lease, end, { next: 'use' });
    else if (state.is === 'resetting') this.ended(lease, end, state.after);
  }

  private remember(lease: Lease): void {
    this.delivered = lease.delivered;
    if (this.confirm) this.published = Math.max(this.published, lease.published);
    this.acks = null;
    this.awaitsQueue = false;
    // the next lease may be of the same channel, where others have declared meanwhile
    if (this.lastQueue === null) this.lastQueueOn = null;
  }

  private ended(lease: Lease | null, end: LeaseEnd, after: After | { next: 'use' }): void {
    if (lease !== null) this.remember(lease);
    this.become(UNBOUND);
    const why = end.how === 'clean' ? null : end.why;
    switch (sequel(end.how, after.next, lease?.atStake === true)) {
      case 'unbound':
        this.peer.goOn();
        break;
      case 'closed':
        this.closed();
        break;
      case 'closing': {
        const crossing = after.next === 'close' ? this.moreCloses + 1 : 0;
        this.closing(why ?? (after as { why: CloseReason }).why, lease, crossing);
        break;
      }
      case 'left with an error':
        this.peer.out.write(frames.channelClose(this.id, why!));
        this.left();
        break;
      case 'left':
        this.left();
        break;
      case 'lost':
        this.peer.lose(why);
    }
  }

  private left(): void {
    this.become(CLOSED);
    this.peer.channelLeft();
  }

  /** The client has its close-ok, or several. */
  private closed(): void {
    this.become(CLOSED);
    this.peer.channelClosed(this);
    for (; this.moreCloses >= 0; this.moreCloses--) this.peer.out.write(frames.channelCloseOk(this.id));
    this.peer.goOn();
  }

  /** The channel is closed on the client, whose own close (so many of them) crosses this one. */
  private closing(why: CloseReason, lease: Lease | null, crossing: number): void {
    this.lastQueue = null;
    this.lane?.abandon();
    this.awaitsQueue = false;
    this.become({ is: 'closing', rest: lease?.streaming ? lease : null });
    this.peer.dropMessage(this);
    this.peer.out.write(frames.channelClose(this.id, why));
    for (let i = 0; i < crossing; i++) this.peer.out.write(frames.channelCloseOk(this.id));
    this.peer.goOn();
  }

  /** The client has answered our close. */
  closeAnswered(): void {
    this.become(CLOSED);
    this.peer.channelClosed(this);
  }

  /** The rest of a message on a channel that the broker has closed has gone. */
  restSent(): void {
    if (this.current.is !== 'closing') return;
    const { rest } = this.current;
    this.become({ is: 'closing', rest: null });
    rest?.messageEnded();
  }

  // ---- told by the lane

  laneClosed(why: CloseReason): void {
    this.lease?.abandon();
    this.closing(why, null, 0);
  }

  laneLost(why: CloseReason | null): void {
    this.peer.lose(why);
  }

  laneLeft(why: CloseReason | null): void {
    if (why !== null) this.peer.out.write(frames.channelClose(this.id, why));
    this.peer.channelLeft();
  }

  // ---- told by the lease

  leaseConfirmed(): void {
    this.peer.confirmed();
  }

  queueDeclared(lease: Lease, queue: Buffer): void {
    this.lastQueue = Buffer.from(queue);
    this.lastQueueOn = lease.channel;
    if (!this.awaitsQueue) return;
    this.awaitsQueue = false;
    // after declare-ok has gone to the client
    setImmediate(() => this.peer.goOn());
  }

  consumerStarted(tag: string): void {
    this.consumers?.started(tag);
  }

  consumerCancelled(tag: string): void {
    this.consumers?.cancelled(tag);
  }
}
