/** Why brokers cannot be reached, in words that say what to mend. */
import { expect } from 'chai';
import { explain, notAGreeting } from '../../src/upstream/explain.ts';

const error = (code: string, message = code): NodeJS.ErrnoException =>
  Object.assign(new Error(message), { code });

describe('The words for a failure of TLS', () => {
  for (const [code, words] of [
    ['CERT_HAS_EXPIRED', /its certificate has expired/],
    ['CERT_NOT_YET_VALID', /not valid yet/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /not trusted.+tls_ca/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /does not speak TLS on this port/],
    ['ERR_SSL_PACKET_LENGTH_TOO_LONG', /does not speak TLS on this port/],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /wants a client certificate.+tls_cert and tls_key/],
    ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', /wants a client certificate/],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', /wants a client certificate/],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', /does not accept the client certificate/],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', /does not accept the client certificate/],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', /no version of TLS/],
  ] as const)
    it(`${code} say what to mend`, () => {
      expect(explain(error(code), 'broker.test')).to.match(words);
    });

  it('name the host that a certificate is not for', () => {
    const found = error(
      'ERR_TLS_CERT_ALTNAME_INVALID',
      "Hostname/IP does not match certificate's altnames: Host: broker.test. is not in the cert's altnames: DNS:other",
    );
    expect(explain(found, 'broker.test')).to.match(/for another host name than broker\.test: .*DNS:other/);
  });

  it('show no names of system calls', () => {
    for (const [code, message, words] of [
      ['ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:5672', 'connection refused, nothing listens there'],
      ['ENOTFOUND', 'getaddrinfo ENOTFOUND broker.test', 'this name is not known'],
      ['ECONNRESET', 'read ECONNRESET', 'the connection was reset'],
    ])
      expect(explain(error(code, message), 'x')).to.equal(words);
  });

  it('name a file that cannot be read', () => {
    const found = Object.assign(error('EACCES', "EACCES: permission denied, open '/ca.pem'"), {
      path: '/ca.pem',
    });
    expect(explain(found, 'x')).to.equal('/ca.pem: permission denied');
  });
});

describe('The first bytes of a broker', () => {
  const said = (bytes: string): string | null => notAGreeting(Buffer.from(bytes, 'latin1'));

  it('that are no greeting are named', () => {
    expect(said('\x15\x03\x03\0\x02\x02\x0a')).to.match(/speaks TLS on this port/);
    expect(said('AMQP\0\x01\0\0')).to.match(/does not speak AMQP 0-9-1/);
    expect(said('HTTP/1.1 400 Bad Request')).to.match(/speaks HTTP/);
  });

  it('that are a greeting, or may become one, are not', () => {
    expect(said('\x01\0\0\0\0\x01\xff\0\x0a\0\x0a')).to.equal(null);
    expect(said('\x01')).to.equal(null);
  });
});
