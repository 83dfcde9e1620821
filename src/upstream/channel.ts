/**
 * One channel on an upstream, from channel.open to channel.close-ok, through any number of leases.
 *
 *   leased ──end, clean──▶ resetting ──barrier answered──▶ parked ──lease──▶ leased
 *      │                       └─barrier answered, cannot be parked─▶ closing
 *      └──end, dirty──▶ closing ──close-ok──▶ gone
 *
 * A barrier that is not answered, though what was asked later on other channels is, is followed by a close; if that is not
 * answered either, the channel is stuck, and ends with its upstream.
 */
import { Confirms } from '../amqp/confirms.ts';
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { clock } from '../clock.ts';
import type { Carrier } from './carrier.ts';
import { CLEAN, type Lease, type LeasedChannel } from './lease.ts';

export type ChannelState = 'leased' | 'resetting' | 'parked' | 'closing' | 'stuck' | 'gone';

/** Milliseconds in which a channel answers once the broker has read what it was asked. */
const ANSWER_MS = 30_000;
/** … and after which it is asked something else, on another channel, to see whether it has read that. */
const PROBE_MS = 5000;

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
  /** Asks the broker something that it answers at once, on another channel. */
  probe(): void;
  /** The broker does not answer here, and nobody waits for it any more. */
  channelStuck(channel: UpstreamChannel): void;
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
  /** The number of the question that it waits to have answered, 0 for none, and when it was asked, in coarse time … */
  private question = 0;
  private askedAt = 0;
  /** … and since when the broker is known to have read it; 0 while it is not. */
  private readAt = 0;
  private opening = 0;
  /** The client that has left it, and hears of it no more. */
  leftBy = '';
  /** The proxy has asked something for the time that the answer takes. */
  asked = false;
  /** The number of what the proxy has asked to see whether the broker answers; 0 for none. */
  private probed = 0;

  constructor(upstream: Carrier, owner: ChannelOwner, id: number) {
    this.upstream = upstream;
    this.owner = owner;
    this.id = id;
  }

  open(): void {
    this.opening = this.upstream.answers.asked();
    this.upstream.out.write(frames.channelOpen(this.id));
  }

  begin(lease: Lease): void {
    this.state = 'leased';
    this.leftBy = '';
    this.lease = lease;
    this.dropping = !this.opened;
  }

  openAnswered(): void {
    this.upstream.answers.came(this.opening);
    this.opened = true;
    this.dropping = false;
  }

  detach(): void {
    this.leftBy = this.lease?.peer.name ?? '';
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
    this.await();
    out.write(frames.barrier(this.id));
  }

  /** Nothing is due that an answer could be taken for, and no message is half-way. */
  get mayAsk(): boolean {
    if (this.asked || this.probed > 0 || this.clientFlows > 0) return false;
    return this.state === 'parked' || (this.state === 'leased' && this.lease?.streaming === false);
  }

  /** Has the broker answer once it has handled what came before, whoever the channel is lent to meanwhile. */
  ask(): void {
    this.asked = true;
    this.upstream.out.write(frames.barrier(this.id));
  }

  /** Has the broker show that it answers; the channel may be lent meanwhile. */
  probe(): void {
    this.probed = this.upstream.answers.asked();
    this.upstream.out.write(frames.barrier(this.id));
  }

  private probeEnds(): void {
    if (this.probed > 0) this.upstream.answers.came(this.probed);
    this.probed = 0;
  }

  close(): void {
    this.state = 'closing';
    this.await();
    this.upstream.out.write(frames.channelClose(this.id, { code: 200, text: 'OK', classId: 0, methodId: 0 }));
  }

  // ---- answers to it

  private await(): void {
    this.question = this.upstream.answers.asked();
    this.askedAt = clock.now;
    this.readAt = 0;
  }

  private answerCame(): void {
    if (this.question !== 0) this.upstream.answers.came(this.question);
    this.question = 0;
  }

  /** To be called now and then, with the coarse time: an answer that does not come is not waited for for ever. */
  look(now: number): void {
    const { question, upstream, owner } = this;
    if (question === 0) return;
    if (this.readAt === 0) {
      if (upstream.answers.overtook(question)) this.readAt = now;
      else if (upstream.answers.isLast(question) && now - this.askedAt > PROBE_MS) owner.probe();
    } else if (now - this.readAt > ANSWER_MS) this.giveUp(now);
  }

  private giveUp(now: number): void {
    this.upstream.answers.forgo();
    if (this.state === 'resetting') {
      this.close();
      return;
    }
    const { lease } = this;
    const text = `the broker has not answered the close of a channel for ${Math.round((now - this.askedAt) / 1000)} s`;
    if (this.probed > 0) this.upstream.answers.forgo();
    this.probed = 0;
    this.question = 0;
    this.state = 'stuck';
    this.lease = null;
    this.dropping = true;
    this.owner.channelStuck(this);
    lease?.ended({ how: 'lost', why: reason('CONNECTION_FORCED', text) });
    this.owner.channelFreed();
  }

  /** The broker has answered a channel.flow: true when the client asked for it. */
  flowAnswered(): boolean {
    if (this.asked) {
      this.asked = false;
      this.owner.askAnswered();
      return false;
    }
    if (this.probed > 0) {
      this.probeEnds();
      return false;
    }
    if (this.clientFlows > 0) {
      this.clientFlows--;
      return true;
    }
    if (this.state !== 'resetting') return false;
    const { owner, lease } = this;
    this.answerCame();
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
      this.answerCame();
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
    this.answerCame();
    this.lease = null;
    if (this.owesCloseOk) upstream.out.write(frames.channelCloseOk(this.id));
    this.owner.channelGone(this, this.owesCloseOk);
    lease?.ended(CLEAN);
    this.owner.channelFreed();
  }
}
