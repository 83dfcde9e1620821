/**
 * The channels of one upstream: by number, those that are parked, and their leases. Numbers are given out densely and used
 * again.
 */
import { clock } from '../clock.ts';
import type { Stats } from '../stats.ts';
import type { Carrier } from './carrier.ts';
import { type ChannelOwner, UpstreamChannel } from './channel.ts';
import type { Delivery } from './delivery.ts';
import { Lease, type LeaseHolder, type Purpose } from './lease.ts';
import { Load } from './load.ts';

/** What the channels tell their upstream. */
export interface ChannelsOwner extends Carrier {
  /** A channel that was opened at that time of the coarse clock may wait for another lease. */
  mayKeep(openedAt: number, now: number): boolean;
  /** It takes no new leases. */
  readonly retired: boolean;
  readonly delivery: Delivery;
  readonly barriers: { best: number };
  /** A channel was parked, or is gone. */
  channelFreed(): void;
  /** The broker does not answer on this channel: it ends with the upstream. */
  channelStuck(number: number): void;
  /** A channel was opened (+1), or has ended (-1). */
  channelsChanged(by: number): void;
}

/**
 * Milliseconds for which a number is not used again whose channel the broker has closed, if there are others: RabbitMQ goes on
 * delivering to consumers until it has handled close-ok, of which nothing tells.
 */
const LINGER_MS = 10_000;

/** Milliseconds between two looks after answers that do not come. */
const LOOK_MS = 1000;

export class UpstreamChannels implements ChannelOwner, Iterable<UpstreamChannel> {
  /** The broker's channel_max. */
  max = 2047;
  /** Channels that may be lent, as of the last lease. */
  private lendable = 0;
  /** Channels that are open, or about to be opened or closed. */
  count = 0;
  /** Messages that went over channels that are gone. */
  private publishedBefore = 0;
  /** Those that end with the upstream only: the broker does not answer there. */
  stuck = 0;
  /** Seconds that the last barrier took. */
  barrier = 0;
  readonly load: Load;
  private lookedAt = 0;
  private readonly upstream: ChannelsOwner;
  private readonly stats: Stats;
  private readonly byNumber: (UpstreamChannel | undefined)[] = [];
  private readonly freeNumbers: number[] = [];
  /** Numbers on which the broker may still send, oldest first, and until when. */
  private readonly lingering: { number: number; until: number }[] = [];
  private readonly parkedPlain: UpstreamChannel[] = [];
  private readonly parkedConfirm: UpstreamChannel[] = [];

  constructor(upstream: ChannelsOwner, stats: Stats) {
    this.upstream = upstream;
    this.stats = stats;
    this.load = new Load(upstream, stats, () => this.ask());
  }

  get(number: number): UpstreamChannel | undefined {
    return this.byNumber[number];
  }

  *[Symbol.iterator](): Iterator<UpstreamChannel> {
    for (const channel of this.byNumber) if (channel !== undefined) yield channel;
  }

  get parked(): number {
    return this.parkedPlain.length + this.parkedConfirm.length;
  }

  get busy(): number {
    return this.count - this.parked - this.stuck;
  }

  /** Those whose lease has ended, and that are on their way to be parked or closed. */
  get ending(): number {
    let n = 0;
    for (const { state } of this) if (state === 'resetting' || state === 'closing') n++;
    return n;
  }

  /** Messages that went to the broker. */
  get published(): number {
    let n = this.publishedBefore;
    for (const channel of this) n += channel.published;
    return n;
  }

  /** How many are in each state, for the operator. */
  get census(): Record<'leased' | 'settling' | 'parked', number> {
    const { busy, ending, parked, stuck } = this;
    return { leased: busy - ending, settling: ending + stuck, parked };
  }

  // ---- leases

  /**
   * A lease of a channel, parked before or newly opened; null when there is none to be had. Then a parked channel that cannot
   * be used makes room, if there is one.
   */
  lease(holder: LeaseHolder, purpose: Purpose, confirm: boolean, maxChannels: number): Lease | null {
    const { stats } = this;
    if (maxChannels > 0) this.lendable = Math.min(maxChannels, this.max);
    // a plain one can still be put in confirm mode; one that is serves all but those whose first method is a publish (or
    // tx.select): the confirms that nobody asked for are kept from the client
    let channel = this.unpark(confirm) ?? (confirm || purpose !== 'publish' ? this.unpark(!confirm) : null);
    if (channel !== null) stats.leasesReused++;
    else if (this.count < Math.min(maxChannels, this.max)) channel = this.open();
    else {
      this.unpark(true)?.close();
      return null;
    }
    stats.leases++;
    const lease = new Lease(channel, holder, purpose);
    channel.begin(lease);
    if (confirm && holder.confirm && channel.confirms === null) {
      channel.selectConfirms();
      lease.confirmBase = -holder.published;
    }
    return lease;
  }

  private open(): UpstreamChannel {
    const number = this.nextNumber();
    const channel = new UpstreamChannel(this.upstream, this, number);
    this.byNumber[number] = channel;
    this.count++;
    this.stats.channelsLeased++;
    this.stats.channelsOpened++;
    this.upstream.channelsChanged(1);
    channel.open();
    return channel;
  }

  private nextNumber(): number {
    const { lingering } = this;
    while (lingering.length > 0 && lingering[0].until <= clock.now)
      this.freeNumbers.push(lingering.shift()!.number);
    const free = this.freeNumbers.pop();
    if (free !== undefined) return free;
    const fresh = this.count + lingering.length + 1;
    return fresh <= this.max ? fresh : lingering.shift()!.number;
  }

  /** Asks the broker something that it answers at once, whatever it does on other channels. Takes no channel from a lease. */
  probe(): void {
    const parked = this.parkedPlain.at(-1) ?? this.parkedConfirm.at(-1);
    if (parked?.mayAsk && this.upstream.answersFlow) parked.probe();
    else if (this.count < this.max) this.open().close();
  }

  /** Looks after answers that do not come. `now` as of the coarse clock. */
  look(now: number): void {
    if (now - this.lookedAt < LOOK_MS) return;
    this.lookedAt = now;
    for (const channel of this) channel.look(now);
  }

  /** Asks the broker something for the time that the answer takes, on a channel that somebody may use; false when there is none. */
  private ask(): boolean {
    for (const channel of this)
      if (channel.mayAsk) {
        channel.ask();
        return true;
      }
    return false;
  }

  askAnswered(): void {
    this.load.answered();
  }

  channelFreed(): void {
    this.upstream.channelFreed();
  }

  barrierAnswered(seconds: number): void {
    this.upstream.delivery.sendRun();
    this.barrier = seconds;
    this.load.took(seconds);
    this.stats.barriers++;
    this.stats.barrierSeconds.add(seconds);
  }

  /**
   * Whether this client may leave a channel here that is in use until the broker reads again: one of each, and half of all are
   * for those who stay.
   */
  mayLeave(client: string): boolean {
    let left = 0;
    for (const { state, leftBy } of this) {
      if (leftBy === '' || state === 'parked') continue;
      if (leftBy === client) return false;
      left++;
    }
    return left + 1 <= this.lendable / 2;
  }

  // ---- parked channels

  mayPark(channel: UpstreamChannel): boolean {
    const { upstream } = this;
    return !upstream.retired && !channel.refuses && upstream.mayKeep(channel.openedAt, clock.now);
  }

  channelParked(channel: UpstreamChannel): void {
    (channel.confirms ? this.parkedConfirm : this.parkedPlain).push(channel);
    this.countParked(1);
  }

  private countParked(by: number): void {
    this.stats.channelsParked += by;
    this.stats.channelsLeased -= by;
  }

  /** The channel of a kind that was parked last, taken out; null when there is none. */
  private unpark(confirm: boolean): UpstreamChannel | null {
    const channel = (confirm ? this.parkedConfirm : this.parkedPlain).pop();
    if (channel === undefined) return null;
    this.countParked(-1);
    return channel;
  }

  /** Closes a parked channel; false when there is none. */
  closeParked(): boolean {
    const channel = this.unpark(false) ?? this.unpark(true);
    channel?.close();
    return channel !== null;
  }

  /** Closes those that are parked and have lived too long. */
  closeOld(now: number): void {
    for (const parked of [this.parkedPlain, this.parkedConfirm])
      for (let i = parked.length - 1; i >= 0; i--)
        if (!this.upstream.mayKeep(parked[i].openedAt, now)) {
          const [channel] = parked.splice(i, 1);
          this.countParked(-1);
          channel.close();
        }
  }

  // ---- their end

  channelGone(channel: UpstreamChannel, lingers: boolean): void {
    if (channel.state === 'parked') {
      const parked = channel.confirms ? this.parkedConfirm : this.parkedPlain;
      parked.splice(parked.indexOf(channel), 1);
      this.countParked(-1);
    }
    if (channel.state === 'stuck') this.stuck--;
    else this.stats.channelsLeased--;
    if (channel.asked) this.load.unanswered();
    channel.state = 'gone';
    this.publishedBefore += channel.published;
    this.byNumber[channel.id] = undefined;
    this.count--;
    if (lingers) this.lingering.push({ number: channel.id, until: clock.now + LINGER_MS });
    else this.freeNumbers.push(channel.id);
    this.upstream.channelsChanged(-1);
  }

  channelStuck(channel: UpstreamChannel): void {
    this.stuck++;
    this.stats.channelsLeased--;
    this.upstream.channelStuck(channel.id);
  }

  /** The connection is lost: gives the leases that end with it. */
  close(): Lease[] {
    const leases: Lease[] = [];
    this.load.end();
    for (const channel of this) {
      channel.state = 'gone';
      if (channel.lease !== null) leases.push(channel.lease);
      channel.lease = null;
    }
    this.stats.channelsLeased -= this.busy;
    this.stats.channelsParked -= this.parked;
    this.parkedPlain.length = 0;
    this.parkedConfirm.length = 0;
    const { count } = this;
    this.count = 0;
    this.stuck = 0;
    this.upstream.channelsChanged(-count);
    return leases;
  }
}
