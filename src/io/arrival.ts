/** A connection that a listener has accepted. */
import type { SecureContext } from 'node:tls';
import type { Accepted } from './bare-socket.ts';

/** How TLS is spoken with who connects. */
export interface ServerTls {
  readonly context: SecureContext;
  /** Who shows no certificate of the authorities in the context is refused. */
  readonly asksForCertificate: boolean;
}

/** Who is at the other end, where the socket does not say it. */
export interface Origin {
  /** For people: address and port. */
  readonly peer: string;
  /** It is of this host. */
  readonly isLocal: boolean;
}

export interface Arrival {
  /** Not read, or paused. */
  readonly socket: Accepted;
  readonly tls: ServerTls | null;
  readonly origin: Origin | null;
  /** What has been read of it, and is for its user. */
  readonly first: Buffer | null;
  /** Coarse time. */
  readonly at: number;
}

export const isLoopback = (address = ''): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
