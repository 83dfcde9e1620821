/** Why a connection to a broker has failed, in words that say what to mend. */
import { inWords } from '../words.ts';

const UNTRUSTED =
  'its certificate is not trusted: it is signed by an authority this machine does not know (set tls_ca)';

/** By the code of the error: Node's own, or OpenSSL's reason. */
const WORDS: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
};

const NO_TLS = 'it does not speak TLS on this port (amqp:// instead of amqps://, or its TLS port)';
const WANTS_CERT = 'it wants a client certificate (set tls_cert and tls_key in [main])';
const DISLIKES_CERT = 'it does not accept the client certificate (tls_cert in [main])';

/** OpenSSL's words, as they are in codes and texts. */
const OPENSSL: [RegExp, string][] = [
  [/wrong.version.number|packet.length.too.long|record.layer.failure/i, NO_TLS],
  [/certificate.required|handshake.failure/i, WANTS_CERT],
  [
    /alert.(unknown.ca|bad.certificate|certificate.(unknown|expired|revoked)|unsupported.certificate)/i,
    DISLIKES_CERT,
  ],
  [/unsupported.protocol|protocol.version/i, 'it speaks no version of TLS that is spoken here (1.2 and 1.3)'],
];

/** `host` as the broker was named. */
export function explain(error: NodeJS.ErrnoException, host: string): string {
  const { code = '', message } = error;
  if (code in WORDS) return WORDS[code];
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `its certificate is for another host name than ${host}: ${message.replace(/^.*altnames: /, '')}`;
  if (/^ERR_SSL_|^EPROTO$/.test(code))
    for (const [pattern, words] of OPENSSL) if (pattern.test(`${code} ${message}`)) return words;
  // a file of ours that cannot be read
  const { path } = error;
  return path === undefined ? inWords(error) : `${path}: ${inWords(error)}`;
}

/** A broker's first bytes that are no greeting: what they show, or null. */
export function notAGreeting(bytes: Uint8Array): string | null {
  if (bytes[0] === 0x15 && bytes[1] === 3)
    return 'it speaks TLS on this port (amqps:// instead of amqp://, or its plain port)';
  const text = String.fromCharCode(...bytes.subarray(0, 4));
  if (text === 'AMQP') return 'it does not speak AMQP 0-9-1 (it offers another version)';
  return text === 'HTTP' ? 'it speaks HTTP: this is not its AMQP port' : null;
}
