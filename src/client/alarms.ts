/** connection.blocked and unblocked, always in pairs, to clients that announced the capability. */
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import type { Outbox } from '../io/outbox.ts';
import type { Carrier, Peer } from '../upstream/carrier.ts';

interface AlarmsContext extends Peer {
  readonly out: Outbox;
  readonly state: string;
  readonly negotiated: { readonly blockedNotify: boolean };
}

export class Alarms {
  private readonly client: AlarmsContext;
  /** Upstreams that the client uses, or has used, and that the broker has blocked; null when there were none. */
  private blockedBy: Set<Carrier> | null = null;

  constructor(client: AlarmsContext) {
    this.client = client;
  }

  private get told(): boolean {
    return this.client.negotiated.blockedNotify && this.client.state === 'running';
  }

  get any(): boolean {
    return this.blockedBy !== null && this.blockedBy.size > 0;
  }

  blocked(upstream: Carrier): void {
    this.blockedBy ??= new Set();
    this.blockedBy.add(upstream);
    if (this.blockedBy.size > 1 || !this.told) return;
    const why = new frames.Writer(64).shortstr(upstream.blocked ?? '').take();
    this.client.out.write(frames.methodFrame(0, M.CONNECTION_BLOCKED, why));
  }

  unblocked(upstream: Carrier): void {
    if (!this.blockedBy?.delete(upstream)) return;
    if (this.blockedBy.size === 0 && this.told)
      this.client.out.write(frames.methodFrame(0, M.CONNECTION_UNBLOCKED));
  }

  /** The client has gone. */
  end(): void {
    if (this.blockedBy !== null) for (const upstream of this.blockedBy) upstream.forget(this.client);
    this.blockedBy = null;
  }
}
