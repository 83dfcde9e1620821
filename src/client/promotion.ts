/**
 * A client's way to an upstream of its own: its channels are parked as they prove clean, and bind again over there at their
 * next use.
 *
 *   shared ──promote──▶ moving ──all have moved──▶ waiting ──▶ private ──end, or the upstream is lost──▶ shared
 */
import type { PrivateLease } from '../pool/private-lease.ts';
import type { Wait } from '../pool/waiters.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Session } from './session.ts';

type State =
  | { is: 'shared' }
  | { is: 'moving' }
  | { is: 'waiting'; wait: Wait }
  | { is: 'private'; lease: PrivateLease };

const SHARED: State = { is: 'shared' };

export const SESSION = 'pool_mode = session';
export const EXCLUSIVE = 'an exclusive queue';
/** Who has these reasons stays, and is somebody that people at the broker look for: the upstream bears the client's name. */
const STAYING = new Set([SESSION, EXCLUSIVE, 'basic.consume']);

export class Promotion {
  private readonly session: Session;
  private state: State = SHARED;
  /** Why it has, or wants, one for itself. */
  private reason = '';

  constructor(session: Session) {
    this.session = session;
  }

  get lease(): PrivateLease | null {
    return this.state.is === 'private' ? this.state.lease : null;
  }

  /** The upstream that the client has for itself. */
  get upstream(): Upstream | null {
    return this.state.is === 'private' ? this.state.lease.upstream : null;
  }

  get underWay(): boolean {
    return this.state.is === 'moving' || this.state.is === 'waiting';
  }

  get why(): string {
    return this.state.is === 'shared' ? '' : this.reason;
  }

  /** Since when it waits for an upstream, in monotonic milliseconds; null when it does not. */
  get waitsSince(): number | null {
    return this.state.is === 'waiting' ? this.state.wait.since : null;
  }

  get waits(): boolean {
    return this.state.is === 'waiting';
  }

  /** True when the client has an upstream for itself; otherwise the frame is to be offered again. */
  promote(why: string): boolean {
    if (this.state.is === 'shared') {
      this.reason = why;
      this.session.trail.promoted(why);
      this.session.stats.promotions++;
      this.state = { is: 'moving' };
    }
    this.advance();
    return this.state.is === 'private';
  }

  /** A channel may have left its upstream. */
  advance(): void {
    if (this.moving && this.session.moveAll() && this.moving) this.request(() => this.session.goOn());
  }

  /** To be asked again after a channel has moved: if that took no time, the client has gone on meanwhile. */
  private get moving(): boolean {
    return this.state.is === 'moving';
  }

  /** Gets an upstream, for a client that has no channels yet or none that are bound. `ready` may be called at once. */
  request(ready: () => void): void {
    const { title } = this.session.negotiated;
    if (this.state.is === 'shared') this.reason = SESSION;
    const wait = this.session.pool.leaseUpstream(
      this.session,
      STAYING.has(this.reason) ? title : '',
      outcome => {
        this.state = SHARED;
        if (!outcome.ok) {
          this.session.deny(outcome);
          return;
        }
        this.state = { is: 'private', lease: outcome.value };
        ready();
      },
    );
    if (this.state.is !== 'private' && this.session.state !== 'closing' && this.session.state !== 'closed')
      this.state = { is: 'waiting', wait };
  }

  /** Something is done there that only the end of the upstream undoes. */
  spend(): void {
    if (this.state.is === 'private') this.state.lease.spent = true;
  }

  /** Gives the upstream back, or stops waiting for one; `done` when nothing of the client is left there. */
  end(done: (() => void) | null): void {
    const { state } = this;
    this.state = SHARED;
    if (state.is === 'waiting') state.wait.cancel();
    if (state.is === 'private') state.lease.end(done);
    else done?.();
  }

  /** The upstream is gone; true when it carried what cannot be had again. */
  lost(): boolean {
    const { lease } = this;
    this.state = SHARED;
    return lease?.spent === true;
  }
}
