/**
 * The lane for what a consumer on a shared upstream publishes: a lease of its own on an upstream for publishers. In an alarm the
 * broker stops reading the connection that publishes, and with it would stop the acks of all consumers there. What comes
 * after a publish on the channel, an ack above all, waits until the broker has handled it, as it would on one channel.
 */
import type { CloseReason } from '../amqp/errors.ts';
import type { Denial } from '../pool/denial.ts';
import type { Outcome, Wait } from '../pool/waiters.ts';
import type { Peer } from '../upstream/carrier.ts';
import type { Lease, LeaseEnd, LeaseHolder } from '../upstream/lease.ts';

type State =
  | { is: 'closed' }
  | { is: 'waiting'; wait: Wait }
  | { is: 'open'; lease: Lease }
  | { is: 'ending'; lease: Lease; leaving: boolean };

const CLOSED: State = { is: 'closed' };

/** The channel that it belongs to. */
export interface LaneOwner {
  readonly id: number;
  readonly peer: Peer & { goOn(): void; confirmed(): void; sendRun(): void };
  readonly confirm: boolean;
  /** Publishes since confirm.select, over earlier leases. */
  published: number;
  readonly delivered: number;
  /** The broker has closed the channel for what was published. */
  laneClosed(why: CloseReason): void;
  /** What was published is lost. */
  laneLost(why: CloseReason | null): void;
  /** It has ended as the client leaves; `why` the broker closed the channel at last. */
  laneLeft(why: CloseReason | null): void;
}

export class PublishLane implements LeaseHolder {
  private readonly channel: LaneOwner;
  private state: State = CLOSED;

  constructor(channel: LaneOwner) {
    this.channel = channel;
  }

  get id(): number {
    return this.channel.id;
  }

  get peer(): Peer {
    return this.channel.peer;
  }

  get confirm(): boolean {
    return this.channel.confirm;
  }

  get published(): number {
    return this.channel.published;
  }

  get delivered(): number {
    return this.channel.delivered;
  }

  /** The lease to publish over; null when it must be waited for. */
  get lease(): Lease | null {
    return this.state.is === 'open' ? this.state.lease : null;
  }

  /** Something that was published waits for its confirm. */
  get unconfirmed(): boolean {
    return this.state.is === 'open' && !this.state.lease.confirmed;
  }

  get waiting(): boolean {
    return this.state.is === 'waiting';
  }

  /** Opens it: `wait` is asked for a lease. False when that must be waited for. */
  open(wait: (done: (outcome: Outcome<Lease>) => void) => Wait, deny: (denial: Denial) => void): boolean {
    if (this.state.is === 'closed') {
      const waiting = wait(outcome => {
        this.state = outcome.ok ? { is: 'open', lease: outcome.value } : CLOSED;
        if (!outcome.ok) deny(outcome);
        this.channel.peer.goOn();
      });
      if (this.lease === null) this.state = { is: 'waiting', wait: waiting };
    }
    return this.lease !== null;
  }

  /** Has it end once all is confirmed. True when it has: then other methods may follow what was published. */
  settle(): boolean {
    const { state } = this;
    if (state.is !== 'open') return state.is === 'closed';
    if (!state.lease.confirmed) state.lease.tellConfirmed();
    else this.end(state.lease, false);
    return false;
  }

  /** Ends it for a client that leaves: the owner is told when the broker has handled all. False when there is nothing to end. */
  leave(): boolean {
    const { state } = this;
    if (state.is === 'open') this.end(state.lease, true);
    else if (state.is === 'ending') this.state = { ...state, leaving: true };
    else this.abandon();
    return this.state.is === 'ending';
  }

  private end(lease: Lease, leaving: boolean): void {
    this.channel.peer.sendRun(); // the barrier must not land in the middle of what was published
    this.state = { is: 'ending', lease, leaving };
    lease.end();
  }

  abandon(): void {
    const { state } = this;
    this.state = CLOSED;
    if (state.is === 'waiting') state.wait.cancel();
    else if (state.is !== 'closed') state.lease.abandon();
  }

  // ---- told by the lease

  leaseEnded(lease: Lease, end: LeaseEnd): void {
    const { channel } = this;
    const leaving = this.state.is === 'ending' && this.state.leaving;
    channel.published = Math.max(channel.published, lease.published);
    const unproven = lease.unproven;
    this.state = CLOSED;
    if (end.how === 'lost' && (unproven || leaving)) channel.laneLost(end.why);
    else if (leaving) channel.laneLeft(end.how === 'closed' ? end.why : null);
    else if (end.how === 'closed') channel.laneClosed(end.why);
    else channel.peer.goOn();
  }

  leaseConfirmed(): void {
    this.channel.peer.confirmed();
  }

  // it carries publishes only
  queueDeclared(): void {}
  consumerStarted(): void {}
  consumerCancelled(): void {}
}
