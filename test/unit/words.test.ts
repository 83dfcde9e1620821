/** What people read instead of codes. */
import { lookup } from 'node:dns/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { expect } from 'chai';
import { count, inWords } from '../../src/words.ts';

/** What a socket fails with. */
const failure = (socket: NodeJS.EventEmitter): Promise<NodeJS.ErrnoException> =>
  new Promise(resolve => socket.once('error', resolve));

describe('Words for people', () => {
  it('count one thing and many', () => {
    expect([0, 1, 2].map(n => count(n, 'client'))).to.deep.equal(['0 clients', '1 client', '2 clients']);
  });

  it('say why a connection failed, without address and system call', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise(resolve => server.close(resolve));
    expect(inWords(await failure(connect(port, '127.0.0.1')))).to.equal(
      'connection refused, nothing listens there',
    );
  });

  it('say that a name is not known, or that nobody could be asked', async () => {
    const error = (await lookup('no-such-host.invalid').catch(error => error)) as NodeJS.ErrnoException;
    expect(inWords(error)).to.match(/^this name (is not known|cannot be looked up, DNS does not answer)$/);
  });

  it('say that no TLS is spoken where something else answers', async () => {
    const server = createServer(socket => socket.end('AMQP\0\0\t\x01 and more than that')).listen(
      0,
      '127.0.0.1',
    );
    await new Promise(resolve => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const error = await failure(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }));
    server.close();
    expect(inWords(error)).to.equal('no TLS is spoken there');
  });

  it("keep OpenSSL's reason and leave its numbers and source files out", () => {
    let error: Error | undefined;
    try {
      createSecureContext({
        cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        key: 'x',
      });
    } catch (thrown) {
      error = thrown as Error;
    }
    expect(inWords(error!)).to.match(/^[a-z0-9 ]+$/i);
    const text =
      '80A4FB5C5A7F0000:error:0A000412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1590:SSL alert number 42\n';
    expect(inWords(new Error(text))).to.equal('sslv3 alert bad certificate');
  });

  it('leave a text alone that is one already', () => {
    expect(inWords(new Error('no answer within connect_timeout (5 s)'))).to.equal(
      'no answer within connect_timeout (5 s)',
    );
  });
});
