/** Words for people: numbers of things, and what the system and OpenSSL say in codes. */

/** "1 client", "2 clients". */
export const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** A text that somebody else has chosen, without what breaks lines or controls a terminal. */
export const onOneLine = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ');

const SYSTEM: Record<string, string> = {
  ENOTFOUND: 'this name is not known',
  EAI_AGAIN: 'this name cannot be looked up, DNS does not answer',
  ECONNREFUSED: 'connection refused, nothing listens there',
  ECONNRESET: 'the connection was reset',
  ECONNABORTED: 'the connection was given up',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no way to this host',
  ENETUNREACH: 'no way to this network',
  EHOSTDOWN: 'the host is down',
  EADDRNOTAVAIL: 'no address or port is free for it on this machine',
  EADDRINUSE: 'the port is in use',
  EACCES: 'permission denied',
  EPERM: 'forbidden, by a firewall or by the unit',
  EMFILE: 'no more files may be opened (LimitNOFILE= in the unit, or ulimit -n)',
  ENFILE: 'the machine can open no more files',
  ENOENT: 'there is no such file',
  ENOTSOCK: 'it is no socket',
  EBADF: 'it is not open',
  EINVAL: 'it is of the wrong kind',
  ERR_SSL_WRONG_VERSION_NUMBER: 'no TLS is spoken there',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'no TLS is spoken there',
  ERR_SSL_HTTP_REQUEST: 'HTTP came instead of TLS',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'no certificate was shown (tls_client_ca)',
  EPROTO: 'the TLS handshake failed',
};

/**
 * Why something failed, without what the line says already (the address) and without what helps nobody (the names of
 * system calls, OpenSSL's numbers and source files).
 */
export function inWords(error: NodeJS.ErrnoException & { reason?: string }): string {
  const known = error.code === undefined ? undefined : SYSTEM[error.code];
  const message = String(error.message ?? '').split('\n')[0];
  // error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/openssl/openssl/ssl/record.c:354:
  const openssl = /error:[0-9A-F]+:([^:]*):[^:]*:([^:]+)/i.exec(message);
  if (known !== undefined && error.code !== 'EPROTO') return known;
  const reason = error.reason ?? openssl?.[2];
  if (reason !== undefined)
    return /wrong version number|packet length too long/.test(reason)
      ? SYSTEM.ERR_SSL_WRONG_VERSION_NUMBER
      : reason;
  return known ?? (message || String(error.code ?? error));
}
