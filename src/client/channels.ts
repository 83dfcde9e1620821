/** The channels of a client by number, and how they come to upstream channels and leave them. */

import { reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { clock } from '../clock.ts';
import type { Lease, Purpose } from '../upstream/lease.ts';
import { ClientChannel } from './channel.ts';
import { PublishLane } from './lane.ts';
import { METHOD } from './message.ts';
import { type Promotion, SESSION } from './promotion.ts';
import type { Session } from './session.ts';
import { Tenancy } from './tenancy.ts';

export class ClientChannels {
  readonly tenancy: Tenancy;
  private readonly session: Session;
  private readonly promotion: Promotion;
  private readonly byNumber = new Map<number, ClientChannel>();
  /** The one that was looked for last: often the one that is looked for next. */
  private latest: ClientChannel | undefined;
  /** Channels whose end is waited for, as the client leaves. */
  private leaving = 0;
  private onLeft: (() => void) | null = null;
  /** Coarse time until which a channel waits for confirms before it can move. */
  private confirmsDue = Number.POSITIVE_INFINITY;

  constructor(session: Session, promotion: Promotion) {
    this.session = session;
    this.promotion = promotion;
    this.tenancy = new Tenancy(session, promotion, this);
  }

  get(number: number): ClientChannel | undefined {
    const { latest } = this;
    if (latest !== undefined && latest.id === number) return latest;
    const found = this.byNumber.get(number);
    if (found !== undefined) this.latest = found;
    return found;
  }

  /** Since when a channel waits for its lease, or the client for its upstream, in monotonic milliseconds; null when none does. */
  get waitsSince(): number | null {
    let since = this.promotion.waitsSince;
    for (const { state } of this.byNumber.values())
      if (state.is === 'waiting' && (since === null || state.wait.since < since)) since = state.wait.since;
    return since;
  }

  /** The leases that it has. */
  *leases(): Generator<Lease> {
    for (const { lease, lane } of this.byNumber.values()) {
      if (lease !== null) yield lease;
      if (lane !== null && lane.lease !== null) yield lane.lease;
    }
  }

  get count(): number {
    return this.byNumber.size;
  }

  /** A channel has a consumer. */
  get consume(): boolean {
    for (const { consumers } of this.byNumber.values()) if (consumers?.any) return true;
    return false;
  }

  open(number: number): void {
    this.byNumber.set(number, new ClientChannel(this.session, number));
    this.session.out.write(frames.channelOpenOk(number));
  }

  closed(channel: ClientChannel): void {
    if (this.byNumber.get(channel.id) === channel) this.byNumber.delete(channel.id);
    if (this.latest === channel) this.latest = undefined;
  }

  // ---- to an upstream channel

  /** Has the channel bound. False when that must be waited for: the frame is to be offered again. */
  attach(channel: ClientChannel, purpose: Purpose, confirm = channel.confirm): boolean {
    const { lease } = channel;
    if (lease !== null) {
      const { upstream } = this.promotion;
      const leaves = upstream === null && this.leaves(lease);
      if (leaves && !lease.confirmed) return false;
      if (lease.upstream === upstream || !channel.movable) return true;
      if (upstream === null && !leaves && (purpose === 'publish' || !this.leavesBlocked(channel)))
        return true;
      if (leaves) this.session.stats.moves++;
      channel.move(); // it was in the middle of something when the client was promoted
      if (channel.state.is !== 'unbound') return false;
    }
    if (channel.state.is !== 'unbound') return false;
    if (this.session.config.poolMode === 'session' && !this.promotion.promote(SESSION)) return false;
    // a run may begin in the middle of a frame whose first part has gone: channel.open must not land inside it
    this.session.sendRun();
    const { pool } = this.session;
    const { upstream } = this.promotion;
    const got =
      upstream === null
        ? pool.lease(channel, purpose, confirm)
        : pool.leaseOn(upstream, channel, purpose, confirm);
    if (got === null) this.wait(channel, purpose, confirm);
    else this.bind(channel, got, 0);
    return channel.lease !== null;
  }

  /** The lease over which a channel publishes; null when it must be waited for. */
  publishLease(channel: ClientChannel): Lease | null {
    const { promotion, tenancy, session } = this;
    if (
      (channel.lease === null || promotion.upstream !== null || tenancy.restless) &&
      !this.attach(channel, 'publish')
    )
      return null;
    let lease = channel.lease!;
    if (lease.purpose === 'consume' && lease.upstream !== promotion.upstream) {
      if (!this.openLane(channel)) return null;
      lease = channel.lane!.lease!;
    }
    if (session.pool.alarm) {
      if (!this.mayPublish(channel, lease)) return null;
      if (lease.over) return channel.lease; // it has moved
    }
    return lease;
  }

  /**
   * During an alarm the broker stops reading the connections that publish. So who publishes goes to one that it has stopped
   * reading anyway.
   */
  private mayPublish(channel: ClientChannel, { upstream, purpose }: Lease): boolean {
    if (upstream.blocked !== null) {
      upstream.tell(this.session);
      return true;
    }
    if (purpose === 'publish' || upstream === this.promotion.upstream) return true;
    return this.toMove(channel) && this.attach(channel, 'publish');
  }

  /** It need not wait for an alarm to end that has nothing to do with it. */
  private leavesBlocked(channel: ClientChannel): boolean {
    return channel.leavesBlocked && this.session.pool.hasUnblocked;
  }

  /** Another upstream is better for what is published: true when the lease is to end, once all is confirmed. */
  private leaves(lease: Lease): boolean {
    const { tenancy, session } = this;
    if (!tenancy.restless || session.pool.alarm || !tenancy.leaves(lease)) return false;
    if (!lease.confirmed) tenancy.await(lease);
    return true;
  }

  private wait(channel: ClientChannel, purpose: Purpose, confirm: boolean): void {
    const { session } = this;
    const { pool } = session;
    const { upstream } = this.promotion;
    let done = false;
    const since = performance.now();
    const served = (
      outcome: { ok: true; value: Lease } | ({ ok: false } & Parameters<Session['deny']>[0]),
    ): void => {
      done = true;
      if (outcome.ok) this.bind(channel, outcome.value, performance.now() - since);
      else session.deny(outcome);
      session.goOn();
    };
    const wait =
      upstream === null
        ? pool.waitForLease(channel, purpose, confirm, served)
        : pool.waitForLeaseOn(upstream, channel, purpose, confirm, served);
    if (!done) channel.waits(wait);
  }

  private bind(channel: ClientChannel, lease: Lease, waited: number): void {
    channel.bind(lease);
    this.session.stay.leased();
    this.session.trail.leased(lease, waited);
  }

  /** The private upstream is lost: who waits for a channel there is to be given one elsewhere. */
  waitElsewhere(): void {
    let waited = false;
    for (const channel of this.byNumber.values()) if (channel.waitsNoMore()) waited = true;
    if (waited) setImmediate(() => this.session.goOn());
  }

  /** Opens the lane for what a consumer on a shared upstream publishes. False when that must be waited for. */
  openLane(channel: ClientChannel): boolean {
    channel.lane ??= new PublishLane(channel);
    const { lane } = channel;
    if (lane.lease !== null && this.leaves(lane.lease)) {
      if (lane.lease.confirmed) this.session.stats.moves++;
      lane.settle();
      return false;
    }
    if (lane.lease !== null) return true;
    this.session.sendRun();
    const { pool } = this.session;
    return lane.open(
      done => pool.waitForLease(lane, 'publish', channel.confirm, done),
      denial => this.session.deny(denial),
    );
  }

  /**
   * Has a channel that needs it on the client's private upstream, or free to go there; `why` it does. False when that must be
   * waited for.
   */
  toPrivate(channel: ClientChannel, why: string): boolean {
    if (!this.promotion.promote(why)) return false;
    const { lease } = channel;
    if (lease === null || lease.upstream === this.promotion.upstream) return true;
    return this.toMove(channel);
  }

  /** Has a bound channel leave its upstream, once all it has published is confirmed. True when it has. */
  toMove(channel: ClientChannel): boolean {
    const { lease } = channel;
    if (lease === null) return channel.state.is === 'unbound';
    if (lease.confirmed) channel.move();
    else {
      lease.tellConfirmed();
      this.awaitConfirms();
    }
    return channel.state.is === 'unbound';
  }

  private awaitConfirms(): void {
    const due = clock.now + this.session.config.leaseTimeout * 1000;
    this.confirmsDue = Math.min(this.confirmsDue, due);
  }

  /** Has what a channel published in its lane handled, before what comes after it. False when that must be waited for. */
  settleLane({ lane }: ClientChannel): boolean {
    if (lane === null || lane.settle()) return true;
    if (lane.unconfirmed) this.awaitConfirms();
    return false;
  }

  /** Has all channels that can leave their upstreams; true when none is on its way. */
  moveAll(): boolean {
    let moving = 0;
    for (const channel of this.byNumber.values()) {
      if (channel.movable) channel.move();
      if (channel.state.is === 'resetting') moving++;
    }
    return moving === 0;
  }

  // ---- away from it

  /**
   * Whether the upstream channel can be left to itself. Where the broker reads nothing until an alarm ends, and there is no other
   * upstream, one after the other would be in use until then.
   */
  mayLeave({ upstream }: Lease): boolean {
    const { session } = this;
    return upstream.blocked === null || upstream.channels.mayLeave(session.name) || session.pool.hasUnblocked;
  }

  /** Gives back what a quiet client does not need: its clean channels on shared upstreams. */
  releaseIdle(): void {
    if (this.promotion.lease !== null) return;
    for (const channel of this.byNumber.values()) {
      const { lease, lane } = channel;
      if (channel.message.expect === METHOD) lane?.settle();
      if (lease === null || lease.dirty || lease.channel.clientFlows > 0 || !channel.movable) continue;
      channel.move();
    }
  }

  /** A channel waits for its lease or for confirms, or the client for its upstream. */
  get waiting(): boolean {
    if (this.promotion.waits || this.confirmsDue < Number.POSITIVE_INFINITY) return true;
    for (const { state, lane } of this.byNumber.values())
      if (state.is === 'waiting' || lane?.waiting) return true;
    return false;
  }

  /** `now` as of the coarse clock. */
  maintain(now: number): void {
    this.tenancy.tick(now);
    if (now <= this.confirmsDue) return;
    this.confirmsDue = Number.POSITIVE_INFINITY;
    const text = `what was published on this channel was not confirmed within ${this.session.config.leaseTimeout} s (lease_timeout), and until then it cannot go to another upstream`;
    this.session.deny({ cause: 'lease_timeout', why: reason('CONNECTION_FORCED', text) });
  }

  confirmed(): void {
    this.tenancy.confirmed();
    this.confirmsDue = Number.POSITIVE_INFINITY;
  }

  /**
   * Ends all leases, then gives the private upstream back; `done` when the broker has handled all that was sent, or at once if
   * nobody is to wait for that.
   */
  leaveAll(done: () => void): void {
    if (this.session.config.close === 'instant' && this.leases().every(lease => this.mayLeave(lease))) {
      this.abandonAll();
      done();
      return;
    }
    this.session.sendRun();
    this.onLeft = done;
    this.leaving = 1;
    for (const channel of [...this.byNumber.values()]) {
      this.session.dropMessage(channel);
      if (channel.lane?.leave()) this.leaving++;
      if (!this.leaveHalf(channel) && channel.leave()) this.leaving++;
    }
    this.left();
  }

  /** Half a message is on its way: only the end of the private upstream makes the broker forget it. */
  private leaveHalf(channel: ClientChannel): boolean {
    if (!channel.streaming) return false;
    this.promotion.spend();
    channel.abandon(true);
    return true;
  }

  left(): void {
    if (--this.leaving > 0) return;
    const { onLeft } = this;
    this.onLeft = null;
    this.promotion.end(onLeft);
  }

  /** Ends all leases for a client that hears no more of it. */
  abandonAll(): void {
    this.tenancy.release();
    this.session.sendRun(); // a barrier must not land in the middle of what is on its way
    this.onLeft = null;
    for (const channel of this.byNumber.values()) this.leaveHalf(channel);
    const { lease } = this.promotion;
    for (const channel of this.byNumber.values()) {
      this.session.dropMessage(channel);
      channel.abandon(lease?.spent === true && channel.lease?.upstream === lease.upstream);
    }
    this.byNumber.clear();
    this.latest = undefined;
    this.promotion.end(null);
  }
}
