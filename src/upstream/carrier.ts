/** An upstream and a client as they see each other. */
import type { CloseReason } from '../amqp/errors.ts';
import type { Outbox } from '../io/outbox.ts';
import type { Answers } from './answers.ts';
import type { Load } from './load.ts';

/** A client as one of those that share upstreams, by what it publishes. */
export interface Tenant {
  /** What it has sent in the last tick, in bytes; each message counts as some more. */
  readonly pace: number;
  /** The upstream that it has for what it publishes; null when it publishes little, or wherever there is room. */
  readonly home: Carrier | null;
  /** Something keeps its channels on this upstream. */
  fixedOn(upstream: Carrier): boolean;
  /** All that it publishes there is confirmed. */
  provesAll(upstream: Carrier): boolean;
  /** It is on its way from this upstream already. */
  departs(from: Carrier): boolean;
  /** It has this upstream for what it publishes, and goes there. */
  settle(home: Carrier): void;
  /** It is better off elsewhere. */
  leave(from: Carrier): void;
}

/** The client behind a lease, as an upstream sees it. */
export interface Peer {
  readonly out: Outbox;
  /** By which the operator and the log know it: c812. */
  readonly name: string;
  /** Messages that went to it. */
  delivered: number;
  readonly channels: { readonly tenancy: Tenant };
  /** Largest payload the client takes in one frame; frame_max - 8. */
  readonly framePayload: number;
  /** Wants basic.cancel when a queue goes away under a consumer. */
  readonly cancelNotify: boolean;
  /** Called after something was written to `out`. */
  written(from: Carrier): void;
  /** The broker has blocked an upstream that this client uses. */
  upstreamBlocked(upstream: Carrier): void;
  /** An upstream that this client was told of is blocked no more, or is gone. */
  upstreamUnblocked(upstream: Carrier): void;
}

/** An upstream, as its channels and their users see it. */
export interface Carrier {
  readonly out: Outbox;
  /** By which the operator and the log know it: u3. */
  readonly name: string;
  /** The broker, as host:port. */
  readonly address: string;
  /** Largest frame the broker takes. */
  readonly frameMax: number;
  /** The reason the broker has given with connection.blocked; null while it reads. */
  readonly blocked: string | null;
  /** The broker answers channel.flow; otherwise closing a channel is the only barrier. */
  readonly answersFlow: boolean;
  /** It takes no new leases. */
  readonly retired: boolean;
  readonly state: string;
  readonly channels: {
    readonly load: Load;
    /** While the broker does not read: whether this client may leave a channel that is in use until it does. */
    mayLeave(client: string): boolean;
  };
  /** Takes frames of a client that agreed on `frameMax`, in pieces (borrowed bytes). */
  forward(piece: Buffer, frameMax: number): void;
  readonly answers: Answers;
  /** Tells a client that this upstream is blocked, and later that it is no more. */
  tell(peer: Peer): void;
  /** A client that was told has gone. */
  forget(peer: Peer): void;
  /** Tells `who`, once, when the broker has taken what waits for it. */
  whenDrained(who: { upstreamDrained(): void }): void;
  destroy(why: CloseReason | null): void;
}

/** A client that has the upstream for itself; told of what concerns the connection. */
export interface Holder {
  readonly peer: Peer;
  updateSecretOk(): void;
  upstreamLost(why: CloseReason | null): void;
}

/** What an upstream tells its pool. */
export interface UpstreamOwner<Upstream> {
  /** A channel that was opened at that time of the coarse clock may wait for another lease. */
  mayKeep(openedAt: number, now: number): boolean;
  /** A channel was parked, or is gone: another lease may be possible. */
  channelFreed(upstream: Upstream): void;
  /** The broker does not answer on one of its channels: it is to be closed once nobody uses another. */
  channelStuck(upstream: Upstream, channel: number): void;
  /** A channel was opened (+1) or has ended (-1). */
  channelsChanged(by: number): void;
  upstreamClosed(upstream: Upstream, why: CloseReason | null): void;
  /** Its socket is closed, too: the broker counts it no more. */
  upstreamGone(upstream: Upstream): void;
  blockedChanged(upstream: Upstream): void;
}
