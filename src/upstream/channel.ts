/**
 * One channel on an upstream, from channel.open to channel.close-ok, through any number of leases.
 *
 *   leased ──end, clean──▶ resetting ──barrier answered──▶ parked ──lease──▶ leased
 *      │                       └─barrier answered, cannot be parked─▶ closing
 *      └──end, dirty──▶ closing ──close-ok──▶ gone
 */
import { Confirms } from '../amqp/confirms.ts';
import type { CloseReason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { clock } from '../clock.ts';
import type { Carrier } from './carrier.ts';
import { CLEAN, type Lease, type LeasedChannel } from './lease.ts';

export type ChannelState = 'leased' | 'resetting' | 'parked' | 'closing' | 'gone';

/** What a channel tells those that it is one of. */
export interface ChannelOwner {
  /** Whether this channel, which is clean, may wait for another lease. */
  mayPark(channel: UpstreamChannel): boolean;
  channelParked(channel: UpstreamChannel): void;
  /** `lingers`: the broker may still send what was meant for it. */
  channelGone(channel: UpstreamChannel, lingers: boolean): void;
  /** A channel was parked, or is gone, and its lease has ended: another lease may be possible. */
  channelFreed(): void;
  /** A barrier was answered after that many seconds. */
  barrierAnswered(seconds: number): void;
  /** What `ask` asked is answered. */
  askAnswered(): void;
}

export class UpstreamChannel implements LeasedChannel {
  readonly upstream: Carrier;
  private readonly owner: ChannelOwner;
  readonly id: number;
  readonly openedAt = clock.now;
  state: ChannelState = 'leased';
  lease: Lease | null = null;
  confirms: Confirms | null = null;
  published = 0;
  delivered = 0;
  /** The broker has refused a publish: where it has lost sight of a queue's leader, it may do so here as long as it is away. */
  refuses = false;
  qosSet = false;
  swallowQosOk = 0;
  clientFlows = 0;
  /** Whether the content that follows on this channel is dropped, its addressee being gone. */
  dropping = true;
  /** The broker has answered channel.open: what it has sent before was for an earlier channel of this number. */
  opened = false;
  /** The broker has closed it, and waits for close-ok: in the middle of a message, or until it has answered our close. */
  private owesCloseOk = false;
  private barrierAt = 0;
  /** The proxy has asked something for the time that the answer takes. */
  asked = false;
  /** The proxy has asked something to see whether the broker answers. */
  private probed = false;

  constructor(upstream: Carrier, owner: ChannelOwner, id: number) {
    this.upstream = upstream;
    this.owner = owner;
    this.id = id;
  }

  open(): void {
    this.upstream.answers.asked();
    this.upstream.out.write(frames.channelOpen(this.id));
  }

  begin(lease: Lease): void {
    this.state = 'leased';
    this.lease = lease;
    this.dropping = !this.opened;
  }

  openAnswered(): void {
    this.upstream.answers.came();
    this.opened = true;
    this.dropping = false;
  }

  detach(): void {
    this.lease = null;
  }

  /** Puts the channel in confirm mode by the proxy's own request. */
  selectConfirms(): void {
    this.upstream.out.write(frames.confirmSelect(this.id, true));
    this.confirms = new Confirms();
  }

  reset(dirty: boolean): void {
    if (dirty || !this.upstream.answersFlow) {
      this.close();
      return;
    }
    this.state = 'resetting';
    this.barrierAt = performance.now();
    const { out } = this.upstream;
    if (this.qosSet) {
      this.qosSet = false;
      this.swallowQosOk++;
      out.write(frames.qos(this.id, 0));
    }
    this.upstream.answers.asked();
    out.write(frames.barrier(this.id));
  }

  /** Nothing is due that an answer could be taken for, and no message is half-way. */
  get mayAsk(): boolean {
    if (this.asked || this.probed || this.clientFlows > 0) return false;
    return this.state === 'parked' || (this.state === 'leased' && this.lease?.streaming === false);
  }

  /** Has the broker answer once it has handled what came before, whoever the channel is lent to meanwhile. */
  ask(): void {
    this.asked = true;
    this.upstream.out.write(frames.barrier(this.id));
  }

  /** Has the broker show that it answers; the channel may be lent meanwhile. */
  probe(): void {
    this.probed = true;
    this.upstream.answers.asked();
    this.upstream.out.write(frames.barrier(this.id));
  }

  private probeEnds(): void {
    if (!this.probed) return;
    this.probed = false;
    this.upstream.answers.came();
  }

  close(): void {
    this.state = 'closing';
    this.upstream.answers.asked();
    this.upstream.out.write(frames.channelClose(this.id, { code: 200, text: 'OK', classId: 0, methodId: 0 }));
  }

  /** The broker has answered a channel.flow: true when the client asked for it. */
  flowAnswered(): boolean {
    if (this.asked) {
      this.asked = false;
      this.owner.askAnswered();
      return false;
    }
    if (this.probed) {
      this.probeEnds();
      return false;
    }
    if (this.clientFlows > 0) {
      this.clientFlows--;
      return true;
    }
    if (this.state !== 'resetting') return false;
    const { upstream, owner, lease } = this;
    upstream.answers.came();
    owner.barrierAnswered((performance.now() - this.barrierAt) / 1000);
    this.lease = null;
    this.dropping = true;
    // publishes of an ended lease that are not confirmed yet would hold up the next one
    const confirmed = this.confirms === null || this.confirms.outstanding === 0;
    const parks = confirmed && owner.mayPark(this);
    if (parks) {
      this.state = 'parked';
      owner.channelParked(this);
    } else this.close();
    lease?.ended(CLEAN);
    if (parks) owner.channelFreed();
    return false;
  }

  /** The broker closes the channel, for what was done on it. */
  closedByBroker(why: CloseReason): void {
    const { lease, upstream } = this;
    // after a close-ok that follows too quickly, RabbitMQ may not answer the close of ours that crosses its own
    const crossing = this.state === 'closing';
    this.probeEnds();
    // a method in the middle of a message would end the connection (505)
    if (crossing || lease?.streaming) {
      this.state = 'closing';
      this.owesCloseOk = true;
    } else {
      if (this.state === 'resetting') upstream.answers.came();
      upstream.out.write(frames.channelCloseOk(this.id));
      this.owner.channelGone(this, lease?.dirty === true);
    }
    this.lease = null;
    lease?.ended({ how: 'closed', why });
    this.owner.channelFreed();
  }

  answerClose(): void {
    if (!this.owesCloseOk || this.state === 'gone') return;
    this.owesCloseOk = false;
    this.upstream.out.write(frames.channelCloseOk(this.id));
    this.owner.channelGone(this, true);
    this.owner.channelFreed();
  }

  /** The broker has answered our close. */
  closeAnswered(): void {
    const { lease, upstream } = this;
    this.probeEnds();
    upstream.answers.came();
    this.lease = null;
    if (this.owesCloseOk) upstream.out.write(frames.channelCloseOk(this.id));
    this.owner.channelGone(this, this.owesCloseOk);
    lease?.ended(CLEAN);
    this.owner.channelFreed();
  }
}
