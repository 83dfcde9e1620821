/** The channels of one upstream: by number, and those that are parked. Numbers are given out densely and used again. */
import { type ChannelOwner, UpstreamChannel } from './channel.ts';
import type { Lease } from './lease.ts';

/** Channels of all upstreams together. */
export interface ChannelGauge {
  /** Leased, or on their way to be parked or closed. */
  channelsLeased: number;
  channelsParked: number;
}

export class ChannelTable implements Iterable<UpstreamChannel> {
  /** The broker's channel_max. */
  max = 2047;
  /** Channels that are open, or about to be opened or closed. */
  count = 0;
  private readonly byNumber: (UpstreamChannel | undefined)[] = [];
  private readonly freeNumbers: number[] = [];
  private readonly parkedPlain: UpstreamChannel[] = [];
  private readonly parkedConfirm: UpstreamChannel[] = [];
  private readonly gauge: ChannelGauge;

  constructor(gauge: ChannelGauge) {
    this.gauge = gauge;
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
    return this.count - this.parked;
  }

  /** Those whose lease has ended, and that are on their way to be parked or closed. */
  get ending(): number {
    let n = 0;
    for (const { state } of this) if (state === 'resetting' || state === 'closing') n++;
    return n;
  }

  open(upstream: ChannelOwner): UpstreamChannel {
    const number = this.freeNumbers.pop() ?? this.count + 1;
    const channel = new UpstreamChannel(upstream, number);
    this.byNumber[number] = channel;
    this.count++;
    this.gauge.channelsLeased++;
    channel.open();
    return channel;
  }

  park(channel: UpstreamChannel): void {
    (channel.confirms ? this.parkedConfirm : this.parkedPlain).push(channel);
    this.countParked(1);
  }

  private countParked(by: number): void {
    this.gauge.channelsParked += by;
    this.gauge.channelsLeased -= by;
  }

  /** The channel of a kind that was parked last; null when there is none. */
  unpark(confirm: boolean): UpstreamChannel | null {
    const channel = (confirm ? this.parkedConfirm : this.parkedPlain).pop();
    if (channel === undefined) return null;
    this.countParked(-1);
    return channel;
  }

  /** Those that are parked and were opened before, taken out. */
  unparkOpenedBefore(time: number): UpstreamChannel[] {
    const old: UpstreamChannel[] = [];
    for (const parked of [this.parkedPlain, this.parkedConfirm])
      for (let i = parked.length - 1; i >= 0; i--)
        if (parked[i].openedAt <= time) old.push(...parked.splice(i, 1));
    this.countParked(-old.length);
    return old;
  }

  remove(channel: UpstreamChannel): void {
    if (channel.state === 'parked') {
      const parked = channel.confirms ? this.parkedConfirm : this.parkedPlain;
      parked.splice(parked.indexOf(channel), 1);
      this.countParked(-1);
    }
    this.gauge.channelsLeased--;
    channel.state = 'gone';
    this.byNumber[channel.id] = undefined;
    this.count--;
    this.freeNumbers.push(channel.id);
  }

  /** The connection is lost: gives the leases that end with it. */
  close(): Lease[] {
    const leases: Lease[] = [];
    for (const channel of this) {
      channel.state = 'gone';
      if (channel.lease !== null) leases.push(channel.lease);
      channel.lease = null;
    }
    this.gauge.channelsLeased -= this.busy;
    this.gauge.channelsParked -= this.parked;
    this.parkedPlain.length = 0;
    this.parkedConfirm.length = 0;
    this.count = 0;
    return leases;
  }
}
