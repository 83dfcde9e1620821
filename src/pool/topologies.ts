/**
 * Clients that have declared what a restart of the broker takes away (non-durable, auto-delete or exclusive): a direct
 * connection would have ended with it, so theirs does.
 */
import type { CloseReason } from '../amqp/errors.ts';

export interface TopologyOwner {
  topologyLost(why: CloseReason | null): void;
}

export class Topologies {
  /** The brokers at which each one has declared. */
  private readonly owners = new Map<TopologyOwner, Set<string>>();

  declared(owner: TopologyOwner, broker: string): void {
    const brokers = this.owners.get(owner);
    if (brokers === undefined) this.owners.set(owner, new Set([broker]));
    else brokers.add(broker);
  }

  forget(owner: TopologyOwner): void {
    this.owners.delete(owner);
  }

  has(owner: TopologyOwner): boolean {
    return this.owners.has(owner);
  }

  get any(): boolean {
    return this.owners.size > 0;
  }

  /** An upstream to this broker is lost: it may have restarted. */
  lost(broker: string, why: CloseReason | null): void {
    for (const [owner, brokers] of [...this.owners]) if (brokers.has(broker)) owner.topologyLost(why);
  }
}
