/** One client's use of a whole upstream, which nobody else uses meanwhile. Ends once: by the client, or with the upstream. */
import type { CloseReason } from '../amqp/errors.ts';
import type { Holder, Peer } from '../upstream/carrier.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** The client that has the upstream. */
export interface PrivateHolder {
  readonly peer: Peer;
  updateSecretOk(): void;
  /** The lease has ended, the upstream being gone; null when the connection just ended. */
  privateLost(why: CloseReason | null): void;
}

/** Where an upstream goes back to. */
interface Giver {
  /** `spent`: something in it cannot be undone, so it is closed. `done` when the broker has answered that. */
  giveBack(upstream: Upstream, spent: boolean, done: (() => void) | null): void;
}

export class PrivateLease implements Holder {
  readonly upstream: Upstream;
  /** The upstream carries something that only its end undoes. */
  spent = false;
  private readonly holder: PrivateHolder;
  private readonly pool: Giver;

  constructor(upstream: Upstream, holder: PrivateHolder, pool: Giver) {
    this.upstream = upstream;
    this.holder = holder;
    this.pool = pool;
    upstream.holder = this;
    upstream.stats.upstreamsPrivate++;
  }

  get peer(): Peer {
    return this.holder.peer;
  }

  updateSecretOk(): void {
    this.holder.updateSecretOk();
  }

  upstreamLost(why: CloseReason | null): void {
    this.upstream.stats.upstreamsPrivate--;
    this.holder.privateLost(why);
  }

  /** Gives the upstream back; `done` when nothing of this client is left on it: exclusive queues are gone then. */
  end(done: (() => void) | null): void {
    const { upstream } = this;
    if (upstream.holder !== this) {
      done?.();
      return;
    }
    upstream.holder = null;
    upstream.stats.upstreamsPrivate--;
    this.pool.giveBack(upstream, this.spent, done);
  }
}
