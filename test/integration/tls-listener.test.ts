/** The TLS port among peers that are no clients: health checks, scanners, the silent and the broken. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { Authority } from '../support/certs.ts';
import { proxyOnly } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

/** The beginning of a ClientHello: a record of 512 bytes is announced. */
const HALF_HELLO = Buffer.from('16030102000100', 'hex');

const plain = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => resolve(socket));
    socket.on('error', reject);
    socket.resume();
  });
const shaken = (port: number): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => resolve(socket));
    socket.on('error', reject);
    socket.resume();
  });

type Peer = (port: number) => Promise<Socket>;

/** What a health check does: of those the log says nothing. */
const CHECKS: Record<string, Peer> = {
  'connects and ends the connection': async port => (await plain(port)).end(),
  'connects and resets the connection': async port => (await plain(port)).resetAndDestroy(),
};

/** What others do who go by themselves, or are to be put out after handshake_timeout. */
const STRANGERS: Record<string, Peer> = {
  'connects and says nothing': plain,
  'ends the connection amid its hello': async port => (await plain(port)).end(HALF_HELLO),
  'ends the connection amid the handshake': async port => (await shaken(port)).destroy(),
  'falls silent amid its hello': async port => {
    const socket = await plain(port);
    socket.write(HALF_HELLO);
    return socket;
  },
  'speaks HTTP and ends the connection': async port => (await plain(port)).end('GET / HTTP/1.0\r\n\r\n'),
  'speaks AMQP without TLS, and waits': async port => {
    const socket = await plain(port);
    socket.write('AMQP\0\0\x09\x01');
    return socket;
  },
  'shakes hands and ends the connection': async port => (await shaken(port)).end(),
  'shakes hands and says nothing': shaken,
};

describe('The TLS port', () => {
  const authority = new Authority();
  const { cert, key } = authority.sign('listener', 'DNS:localhost,IP:127.0.0.1');
  let proxy: AmqProxy;
  let port: number;
  const peers: Socket[] = [];

  const start = async (...settings: string[]): Promise<void> => {
    port = await freePort();
    const file = join(authority.dir, `listener-${port}.ini`);
    const listen = `[listen]\ntls_port = ${port}\ntls_cert = ${cert}\ntls_key = ${key}\n`;
    writeFileSync(file, `[main]\n${settings.join('\n')}\n${listen}`);
    proxy = await AmqProxy.withMetrics((await sharedBroker()).url, ['-c', file]);
    // what is opened once is open: the upstream, the log, the connection for metrics
    (await RawClient.start(proxy.port)).destroy();
    (await shaken(port)).end();
    await until('both to be gone', async () => (await proxy.metric('client_connections')) === 0);
  };
  before(function () {
    proxyOnly(this);
  });
  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.destroy();
    await proxy?.stop();
  });

  /** Peers turned away that did not shake hands; none when nobody has been counted yet. */
  const refused = (): Promise<number> => proxy.metric('clients_refused_total{reason="tls"}').catch(() => 0);

  /** So many peers, one after the other. */
  const come = async (peer: Peer, count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const socket = await peer(port);
      socket.on('error', () => {});
      peers.push(socket);
    }
    // when a client has logged in, the proxy has met them
    (await RawClient.start(proxy.port)).destroy();
  };

  for (const [what, peer] of Object.entries({ ...CHECKS, ...STRANGERS }))
    it(`keeps nothing of a peer that ${what}`, async () => {
      await start('handshake_timeout = 1');
      const before = proxy.descriptors;
      await come(peer, 30);
      await until('the peers to be gone', () => proxy.descriptors <= before, 20);
      expect(await proxy.metric('client_connections')).to.equal(0);
    });

  for (const [what, peer] of Object.entries(CHECKS))
    it(`counts each peer that ${what}, and has no line in the log for it`, async () => {
      await start();
      const known = proxy.log.length;
      await come(peer, 30);
      await until('all to be counted', async () => (await refused()) === 30);
      // at debug, each client's way is told
      const lines = proxy.log
        .slice(known)
        .split('\n')
        .filter(line => !line.startsWith('DEBUG'));
      expect(lines.length, proxy.log).to.be.below(10);
    });

  it('counts who does not shake hands among max_clients, as the plain port counts who says nothing', async () => {
    await start('max_clients = 5', 'handshake_timeout = 60');
    const turnedAway = async (to: number): Promise<number> => {
      const sockets = await Promise.all(Array.from({ length: 150 }, () => plain(to)));
      let closed = 0;
      for (const socket of sockets) {
        socket.on('error', () => {});
        socket.on('close', () => closed++);
        socket.on('end', () => socket.destroy());
      }
      peers.push(...sockets);
      let last = 0;
      let same = 0;
      await until('all to be turned away that will be', () => {
        same = closed === last ? same + 1 : 0;
        last = closed;
        return same === 20;
      });
      const turned = closed;
      for (const socket of sockets) socket.destroy();
      await until('all to be gone', async () => (await proxy.metric('client_connections')) === 0);
      return turned;
    };
    const atPlain = await turnedAway(proxy.port);
    expect(atPlain).to.be.above(0);
    expect(await turnedAway(port)).to.be.at.least(atPlain);
  });

  it('takes 400 health checks at a limit of 256 files, and the plain port and /healthz work on', async () => {
    await start();
    execFileSync('prlimit', ['--pid', String(proxy.process.pid), '--nofile=256:256']);
    await come(CHECKS['connects and ends the connection'], 400);
    await proxy.metric('client_connections');
  });
});
