/**
 * Clients that come by way of a load balancer, which says by a PROXY header for whom it speaks. Load balancers are 127.0.0.2
 * and an address of this machine that is not loopback; everybody else is a stranger.
 */

import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { PROTOCOL_HEADER } from '../../src/amqp/frame.ts';
import { Authority } from '../support/certs.ts';
import { peopledBroker, proxyOnly } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { inet, inet6, v1, v2 } from '../support/proxy-header.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, type LoginOptions, RawClient } from '../support/raw-client.ts';

const remote = Object.values(networkInterfaces())
  .flatMap(addresses => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

const LB = '127.0.0.2';
const STRANGER = '127.0.0.3';
const V4 = '192.0.2.7';
const V6 = '20010db8000000000000000000000007';
const ALICE = { user: 'alice', secret: 'wonder' };
const IN = 'connection.open-ok';
const TLV = Buffer.concat([Buffer.from('20003c', 'hex'), Buffer.alloc(60, 1)]);

describe('Behind a load balancer', () => {
  const authority = new Authority();
  const { cert, key } = authority.sign('listener', 'DNS:localhost,IP:127.0.0.1');
  let proxy: AmqProxy;
  let port: number;
  let tlsPort: number;
  const sockets: Socket[] = [];

  const start = async (...main: string[]): Promise<void> => {
    [port, tlsPort] = [await freePort(), await freePort()];
    const file = join(authority.dir, 'lb.ini');
    const lines = [
      '[main]',
      ...main,
      '[listen lb]',
      'address = 0.0.0.0',
      `port = ${port}`,
      'proxy_protocol = yes',
      `proxy_from = ${LB}, ${remote ?? '127.0.0.4'}/32`,
      '[listen lbs]',
      `port = ${tlsPort}`,
      'address = 127.0.0.1',
      'tls = yes',
      `tls_cert = ${cert}`,
      `tls_key = ${key}`,
      'proxy_protocol = yes',
      'proxy_from = 127.0.0.0/30',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    proxy = await AmqProxy.withMetrics((await peopledBroker()).url, ['-c', file]);
    await until('the last one to listen', () => proxy.log.includes('([listen lbs])'));
  };
  before(function () {
    proxyOnly(this);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy?.stop();
  });

  const dial = (from: string, to = '127.0.0.1', at = port): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port: at, host: to, localAddress: from }, () => resolve(socket));
      socket.on('error', reject);
      sockets.push(socket);
    });
  /** A client of a load balancer that sends these pieces first. */
  const via = async (from: string, ...pieces: Buffer[]): Promise<RawClient> => {
    const socket = await dial(from);
    socket.setNoDelay(true);
    for (const piece of pieces) {
      socket.write(piece);
      // so that they come apart
      if (pieces.length > 1) await new Promise(resolve => setTimeout(resolve, 2));
    }
    return RawClient.over(socket);
  };
  /** What a login comes to: its name, or the words of the refusal. */
  const login = async (client: RawClient, options: LoginOptions = ALICE): Promise<string | undefined> => {
    const answer = await client.login(options);
    return answer?.name === 'connection.close' ? closeOf(answer).text : answer?.name;
  };
  /** Addresses of the clients, as amqproxy show clients tells them. */
  const addresses = async (): Promise<string[]> => {
    const answer = await fetch(`${proxy.http}/show/clients`);
    const { rows } = (await answer.json()) as { rows: { address: string }[] };
    return rows.map(({ address }) => address);
  };

  const GOOD: [string, Buffer, string][] = [
    ['version 1', v1(V4, 4711), '192.0.2.7:4711'],
    ['version 1 for IPv6', v1('2001:db8::7', 4711), '2001:db8::7:4711'],
    ['version 2', v2(1, 0x11, inet(V4, 4711)), '192.0.2.7:4711'],
    ['version 2 for IPv6, with TLVs', v2(1, 0x21, Buffer.concat([inet6(V6, 4711), TLV])), '2001:db8::7:4711'],
  ];
  it('the client is whom the header names, in the log and in what is shown', async () => {
    await start();
    for (const [what, header, address] of GOOD) {
      const client = await via(LB, header);
      expect(await login(client), what).to.equal(IN);
      expect(await addresses(), what).to.deep.equal([address]);
      client.destroy();
      await until('it to be gone', async () => (await addresses()).length === 0);
      expect(proxy.log, what).to.include(`client=${address}`);
    }
  });

  it('a header may come octet by octet, or with all that follows in one piece', async () => {
    await start();
    for (const [what, header] of GOOD) {
      const octets = await via(LB, ...Array.from(header, octet => Buffer.from([octet])));
      expect(await login(octets), what).to.equal(IN);
      const socket = await dial(LB);
      const client = RawClient.over(socket);
      socket.write(Buffer.concat([header, PROTOCOL_HEADER]));
      expect((await client.next('connection.start'))!.name, what).to.equal('connection.start');
    }
  });

  it('it comes before TLS', async () => {
    await start();
    for (const [what, header] of GOOD) {
      const socket = await dial(LB, '127.0.0.1', tlsPort);
      socket.write(header);
      const client = await new Promise<RawClient>((resolve, reject) => {
        const secure = connectTls({ socket, rejectUnauthorized: false }, () =>
          resolve(RawClient.over(secure)),
        );
        secure.on('error', reject);
      });
      expect(await login(client), what).to.equal(IN);
      client.destroy();
    }
    expect(proxy.log).to.include('client=2001:db8::7:4711');
  });

  it('guest is let in for no load balancer’s sake, wherever that is; only for a client of this host', async () => {
    await start();
    const guest = { user: 'guest', secret: 'guest' };
    const refusal = /^ACCESS_REFUSED - user 'guest' can only connect via localhost/;
    const others = [
      ...GOOD.map(([, header]) => header),
      v2(0, 0, Buffer.alloc(0)), // LOCAL
      v2(1, 0, Buffer.alloc(0)),
      v2(1, 0x31, Buffer.alloc(216)),
      Buffer.from('PROXY UNKNOWN\r\n'),
    ];
    for (const header of others) {
      const what = header.toString('latin1');
      expect(await login(await via(LB, header), guest), what).to.match(refusal);
      expect(await login(await via(LB, header)), what).to.equal(IN);
    }
    for (const header of [v1('127.0.0.1', 1), v1('::1', 1), v2(1, 0x11, inet('127.0.0.9', 1))])
      expect(await login(await via(LB, header), guest)).to.equal(IN);
    if (remote === undefined) return;
    // of another host, which calls its own clients local
    for (const header of [v1('127.0.0.1', 1), v2(1, 0x11, inet('127.0.0.1', 1))]) {
      const client = RawClient.over(await dial(remote, remote));
      client.send(header);
      expect(await login(client, guest)).to.match(refusal);
    }
  });

  it('a header from a stranger ends his connection, and the log says what to do; without one he is a client like others', async () => {
    await start();
    for (const [what, header] of GOOD) {
      const client = await via(STRANGER, header);
      expect(await client.login(ALICE), what).to.equal(null);
    }
    expect(proxy.log).to.match(
      /WARN Client refused: a PROXY header came from 127\.0\.0\.3, which proxy_from of \[listen lb\] does not name\. Add it there/,
    );
    expect(await proxy.metric('clients_refused_total{reason="proxy_header"}')).to.equal(GOOD.length);
    expect(await login(await via(STRANGER))).to.equal(IN);
    expect((await addresses())[0]).to.match(/^127\.0\.0\.3:/);
  });

  it('a load balancer that sends none, or one that cannot be read, is told of', async () => {
    await start();
    const cases: [Buffer, RegExp][] = [
      [PROTOCOL_HEADER, /no PROXY header came from 127\.0\.0\.2, which proxy_from of \[listen lb\] names/],
      [Buffer.from('PROXY TCP4 nobody 1 2 3\r\n'), /cannot be read, its addresses or ports are none/],
      [Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`), /cannot be read, its line is longer than 107 octets/],
      [v2(1, 0x11, Buffer.alloc(60_000)), /cannot be read, it is longer than 4096 octets/],
    ];
    for (const [bytes, line] of cases) {
      const client = await via(LB, bytes);
      await client.closed();
      await until('the line', () => line.test(proxy.log));
    }
  });

  it('a header that never comes, or not to its end, ends with handshake_timeout', async () => {
    await start('handshake_timeout = 1');
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('PROXY TCP4 1'),
      v2(1, 0x11, Buffer.alloc(12)).subarray(0, 20),
    ]) {
      const client = await via(LB, bytes);
      await client.closed(20);
    }
    expect(proxy.log).to.include('Client closed: it has sent no PROXY header within handshake_timeout');
    const silent = await via(STRANGER);
    await silent.closed(20);
    expect(await proxy.metric('clients_refused_total{reason="handshake_timeout"}')).to.equal(4);
  });

  it('keeps nothing of health checks, counts who waits among max_clients, and ends with clients that wait', async () => {
    await start('max_clients = 5');
    (await via(LB, v1(V4, 1))).destroy();
    await until('it to be gone', async () => (await proxy.metric('client_connections')) === 0);
    const before = proxy.descriptors;
    for (let n = 0; n < 30; n++) (await dial(LB)).end();
    for (let n = 0; n < 30; n++) (await dial(LB)).resetAndDestroy();
    await until('all to be gone', () => proxy.descriptors <= before);
    let closed = 0;
    for (let n = 0; n < 150; n++)
      (await dial(LB))
        .on('close', () => closed++)
        .on('error', () => {})
        .resume();
    await until('those above to be turned away', () => closed === 40);
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
  });

  it('who was about to say who he is when the drain begins is served', async () => {
    await start();
    const header = v2(1, 0x11, inet(V4, 4711));
    const client = await via(LB, header.subarray(0, 10));
    await until('it to be there', () => proxy.running);
    proxy.signal('SIGTERM');
    await until('the drain to begin', () => proxy.log.includes('SIGTERM'));
    client.send(header.subarray(10));
    expect(await login(client)).to.equal(IN);
    client.destroy();
    expect(await proxy.exited()).to.equal(0);
  });

  it('where proxy_protocol is not set, a header is refused, and the log says so', async () => {
    await start();
    for (const [, header] of GOOD) {
      const client = RawClient.over(await dial(LB, '127.0.0.1', proxy.port));
      client.send(header);
      await client.closed();
    }
    expect(proxy.log).to.include('Client refused: it sends a PROXY header, and proxy_protocol is not set');
  });
});
