/** connection.blocked: the broker does not read an upstream, and who was told so. */
import type { Carrier, Peer } from './carrier.ts';

export class Blockage {
  /** The broker's reason; null while it reads. */
  why: string | null = null;
  private readonly upstream: Carrier;
  private readonly told = new Set<Peer>();

  constructor(upstream: Carrier) {
    this.upstream = upstream;
  }

  /** Tells a client, and later that it is over. */
  tell(peer: Peer): void {
    if (this.why === null || this.told.has(peer)) return;
    this.told.add(peer);
    peer.upstreamBlocked(this.upstream);
  }

  /** A client that was told has gone. */
  forget(peer: Peer): void {
    this.told.delete(peer);
  }

  /** The broker reads again, or the upstream is gone. */
  end(): void {
    this.why = null;
    const told = [...this.told];
    this.told.clear();
    for (const peer of told) peer.upstreamUnblocked(this.upstream);
  }
}
