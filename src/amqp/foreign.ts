/** What somebody speaks who begins with anything else than the header of AMQP 0-9-1: words for the log. */

/** First octet of a TLS record with a handshake (RFC 8446, 5.1). */
const TLS_HANDSHAKE = 22;
const HTTP = /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|PRI) /;

export function foreignWords(bytes: Buffer): string {
  const text = bytes.toString('latin1', 0, 8);
  if (bytes[0] === TLS_HANDSHAKE && bytes[1] === 3)
    return 'it speaks TLS, which this port does not. Have it use amqp:// instead of amqps://, or tls_port';
  if (HTTP.test(text)) return 'it speaks HTTP, which http_port is for';
  if (/^AMQP.{4}/s.test(text)) {
    const [protocol, ...version] = bytes.subarray(4, 8);
    // AMQP 1.0 has its protocol in front (0, 2 TLS, 3 SASL), 0-9-1 a zero; earlier ones have no order that is worth a word
    if (version[0] === 1 && version[1] === 0 && [0, 2, 3].includes(protocol))
      return 'it speaks AMQP 1.0, which cannot be pooled here: AMQP 0-9-1 is spoken';
    return 'it speaks another version of AMQP than 0-9-1';
  }
  return 'its protocol header is not AMQP 0-9-1';
}
