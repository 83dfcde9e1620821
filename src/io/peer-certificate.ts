/** The certificate that a client has shown in its TLS handshake. */
import type { TLSSocket } from 'node:tls';
import { onOneLine } from '../words.ts';

/**
 * Why it does not count; null where it does. OpenSSL has checked it, and net's own servers look for the outcome where this
 * does; a TLS socket that is made by hand has no public way to ask. Where it cannot be asked, nothing counts.
 */
export function certificateFault(socket: TLSSocket): Error | null {
  const { _handle: handle } = socket as unknown as { _handle?: { verifyError?: () => Error | null } };
  if (handle?.verifyError === undefined) return new Error('its certificate cannot be checked');
  const error = handle.verifyError();
  return error ? new Error(`its certificate is not of tls_client_ca: ${error.message}`) : null;
}

/** Whom it names, for people. */
export function certificateName(socket: TLSSocket): string {
  const subject = socket.getPeerX509Certificate()?.subject ?? '';
  const name = /^CN=(.+)$/m.exec(subject)?.[1] ?? subject;
  return onOneLine(name).slice(0, 200);
}
