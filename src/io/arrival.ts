/** A connection that a listener has accepted. */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';

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
  /** Paused. */
  readonly socket: Socket;
  readonly tls: ServerTls | null;
  readonly origin: Origin | null;
  /** What has been read of it, and is for its user. */
  readonly first: Buffer | null;
  /** Coarse time. */
  readonly at: number;
}

export const isLoopback = (address = ''): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
