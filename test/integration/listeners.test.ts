/** Several places where clients come in: sections [listen NAME], ports and Unix sockets, with TLS and client certificates. */
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { BoundSocket, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { Authority, type Certificate } from '../support/certs.ts';
import { tempDir } from '../support/cleanup.ts';
import { peopledBroker, proxyOnly } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { v1 } from '../support/proxy-header.ts';
import { until } from '../support/rabbitmq.ts';
import { dial, RawClient } from '../support/raw-client.ts';

const ALICE = { user: 'alice', secret: 'wonder' };
const IN = 'connection.open-ok';
describe('Sections [listen NAME]', () => {
  let proxy: AmqProxy;
  let dir: string;
  let file: string;
  const sockets: Socket[] = [];

  const configure = (...lines: string[]): void => writeFileSync(file, `[main]\n${lines.join('\n')}\n`);
  const start = async (...lines: string[]): Promise<void> => {
    configure(...lines);
    proxy = await AmqProxy.withMetrics((await peopledBroker()).url, ['-c', file]);
    const last = lines.findLast(line => line.startsWith('[listen '));
    if (last !== undefined) await until('the last one to listen', () => proxy.log.includes(`(${last})`));
  };
  const reload = async (...lines: string[]): Promise<void> => {
    configure(...lines);
    const known = proxy.log.length;
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.log.slice(known).includes('Reloaded'));
  };
  before(function () {
    proxyOnly(this);
    dir = tempDir('listeners');
    file = join(dir, 'amqproxy.ini');
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy?.stop();
  });

  const onPath = (path: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(path, () => resolve(socket));
      socket.on('error', reject);
      sockets.push(socket);
    });
  const login = async (socket: Socket, options = ALICE): Promise<string | undefined> => {
    const client = RawClient.over(socket);
    sockets.push(socket);
    return (await client.login(options))?.name;
  };
  const shown = async (): Promise<{ address: string; certificate: string }[]> => {
    const answer = await fetch(`${proxy.http}/show/clients`);
    return ((await answer.json()) as { rows: { address: string; certificate: string }[] }).rows;
  };

  it('take clients beside [listen]', async () => {
    const [a, b] = [await freePort(), await freePort()];
    await start('[listen a]', `port = ${a}`, 'address = 127.0.0.1', '[listen b]', `port = ${b}`);
    expect(proxy.log).to.include(`Proxy listening on 127.0.0.1:${a} ([listen a])`);
    for (const port of [proxy.port, a, b]) expect(await login(await dial(port))).to.equal(IN);
  });

  it('may be Unix sockets, whose clients are of this host; the file has its mode, and is gone with the process', async () => {
    const path = join(dir, 'app.sock');
    await start('[listen app]', `socket = ${path}`, 'socket_mode = 0620');
    expect(statSync(path).mode & 0o777).to.equal(0o620);
    expect(await login(await onPath(path), { user: 'guest', secret: 'guest' })).to.equal(IN);
    expect((await shown()).map(({ address }) => address)).to.deep.equal([`unix:${path}`]);
    for (const socket of sockets.splice(0)) socket.destroy();
    await until('the client to be gone', async () => (await shown()).length === 0);
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
    expect(existsSync(path)).to.equal(false);
  });

  it('take the place of a Unix socket that was left behind, and of none that is served', async () => {
    const path = join(dir, 'left.sock');
    await start('[listen app]', `socket = ${path}`);
    await proxy.stop(); // by SIGKILL
    expect(existsSync(path)).to.equal(true);
    await start('[listen app]', `socket = ${path}`);
    expect(await login(await onPath(path))).to.equal(IN);
    const other = AmqProxy.spawn(['-c', file, '-p', '0', '-b', '0', proxy.url]);
    expect(await other.exited()).to.equal(69);
    expect(other.log).to.include(`cannot listen on ${path}: another process listens there`);
  });

  for (const [what, lines, code, line] of [
    [
      'a port that is in use',
      ['port = TAKEN'],
      69,
      /cannot listen on 127\.0\.0\.1:\d+: the port is in use\. .*choose another with port in \[listen a\]/,
    ],
    [
      'an address that this machine does not have',
      ['port = 1234', 'address = 192.0.2.1'],
      78,
      /cannot listen on 192\.0\.2\.1:1234: this machine has no such address .*Mend address in \[listen a\]/,
    ],
    [
      'a directory that is not there',
      ['socket = /nowhere/a.sock'],
      78,
      /cannot listen on \/nowhere\/a\.sock: there is no such directory\. Make it, or mend socket in \[listen a\]/,
    ],
    [
      'a group that there is not',
      ['socket = DIR/group.sock', 'socket_group = nosuchgroup'],
      78,
      /\[listen a\] cannot listen: there is no group nosuchgroup/,
    ],
    [
      'no place at all',
      [],
      78,
      /\[listen a\] cannot listen: it has neither port nor socket, and the service manager hands over no socket named a/,
    ],
  ] as const)
    it(`end the start with one line for ${what}`, async () => {
      const taken = createServer().listen(0, '127.0.0.1');
      await until('it to listen', () => taken.listening);
      const { port } = taken.address() as { port: number };
      const own = lines.map(text => text.replace('TAKEN', `${port}`).replace('DIR', dir));
      configure('[listen a]', 'address = 127.0.0.1', ...own);
      const one = AmqProxy.spawn(['-c', file, '-p', '0', '-b', '0', 'amqp://127.0.0.1:1']);
      expect(await one.exited()).to.equal(code);
      taken.close();
      const said = one.log.split('\n').filter(text => text.startsWith('amqproxy: '));
      expect(said).to.have.length(1);
      expect(said[0]).to.match(line);
    });

  describe('where [listen] has an empty port', () => {
    /** No flag names a port: what the file says holds. */
    const run = async (...lines: string[]): Promise<AmqProxy> => {
      configure(`upstream = ${(await peopledBroker()).url}`, ...lines);
      proxy = AmqProxy.spawn(['-b', '0', '-c', file]);
      return proxy;
    };

    it('are the only places; when a reload takes the last one away, that is told', async () => {
      const port = await freePort();
      const section = ['[listen a]', 'address = 127.0.0.1', `port = ${port}`];
      await run('[listen]', 'port =', ...section);
      await until('it to listen', () =>
        proxy.log.includes(`Proxy listening on 127.0.0.1:${port} ([listen a])`),
      );
      expect(await login(await dial(port))).to.equal(IN);
      expect(proxy.log.match(/Proxy listening/g)).to.have.length(1);
      configure(`upstream = ${(await peopledBroker()).url}`, '[listen]', 'port =');
      proxy.signal('SIGHUP');
      await until('the warning', () =>
        /^WARN No client can come in any more: .*\[listen NAME\]/m.test(proxy.log),
      );
      configure(`upstream = ${(await peopledBroker()).url}`, '[listen]', 'port =', ...section);
      proxy.signal('SIGHUP');
      await until('it to listen again', () => proxy.log.match(/Proxy listening/g)?.length === 2);
      expect(await login(await dial(port))).to.equal(IN);
    });

    it('nothing starts without one of them: 78 and what to do', async () => {
      await run('[listen]', 'port =');
      expect(await proxy.exited()).to.equal(78);
      expect(proxy.log.split('\n').filter(text => text.startsWith('amqproxy: '))).to.deep.equal([
        'amqproxy: no client could come in: [listen] has neither port nor tls_port, there is no section [listen NAME], and the service manager hands over no socket. Set one of them',
      ]);
    });

    it('the sockets of the service manager count', async () => {
      const tcp = new BoundSocket({ host: '127.0.0.1' });
      configure(`upstream = ${(await peopledBroker()).url}`, '[listen]', 'port =');
      proxy = await AmqProxy.onSockets([tcp.fd()], ['amqp'], null, ['-p', '', '-c', file]);
      expect(await login(await dial(tcp.address().port))).to.equal(IN);
    });

    it('--check-config says that these settings alone let nobody in', async () => {
      configure('upstream = amqp://127.0.0.1:1', '[listen]', 'port =');
      proxy = AmqProxy.spawn(['--check-config', '-c', file]);
      expect(await proxy.exited()).to.equal(0);
      expect(proxy.log).to.match(/^amqproxy: no client can come in by these settings alone: .*socket unit/m);
      expect(proxy.log).to.match(/^port = +; .*:4$/m);
    });
  });

  it('come and go with a reload; clients that are in stay, and one that cannot listen is told', async () => {
    const [a, b] = [await freePort(), await freePort()];
    await start('[listen a]', `port = ${a}`);
    const inside = await dial(a);
    expect(await login(inside)).to.equal(IN);
    await reload('[listen b]', `port = ${b}`, '[listen c]', `port = ${proxy.port}`);
    expect(proxy.log).to.include('Reloaded: [listen b] is new, [listen c] is new, [listen a] is gone');
    await until('b to listen', () => proxy.log.includes('([listen b])'));
    await until('the line', () =>
      /WARN \[listen c\] does not listen: cannot listen on 127\.0\.0\.1:\d+: the port is in use\. Stop what listens there .*choose another with port in \[listen c\]/.test(
        proxy.log,
      ),
    );
    expect(await login(await dial(b))).to.equal(IN);
    expect(
      await dial(a).then(
        () => 'open',
        () => 'closed',
      ),
    ).to.equal('closed');
    expect(inside.destroyed).to.equal(false);
    expect(await shown()).to.have.length(2);
  });

  it('move to another place with a reload: clients that are in stay, and what could not listen is mended', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const path = join(dir, 'moved.sock');
    await start('[listen a]', `port = ${a}`, '[listen b]', `port = ${b}`);
    const inside = await dial(a);
    expect(await login(inside)).to.equal(IN);
    const outcome = (line: string) => until(line, () => proxy.log.includes(line));
    await reload('[listen a]', `socket = ${path}`, '[listen b]', `port = ${proxy.port}`);
    expect(proxy.log).to.include(
      `Reloaded: [listen a] port ${a} -> (none), [listen a] socket (none) -> ${path}, [listen b] port ${b} -> ${proxy.port}\n`,
    );
    await outcome(`INFO Proxy listening on ${path} ([listen a])`);
    await outcome('WARN [listen b] does not listen: ');
    expect(await login(await onPath(path))).to.equal(IN);
    for (const port of [a, b])
      expect(
        await dial(port).then(
          () => 'open',
          () => 'closed',
        ),
      ).to.equal('closed');
    expect(inside.destroyed).to.equal(false);
    // what is as before stays as it is; what does not listen tries again
    await reload('[listen a]', `socket = ${path}`, '[listen b]', `port = ${a}`);
    await outcome(`INFO Proxy listening on 127.0.0.1:${a} ([listen b])`);
    expect(proxy.log.split(`Proxy listening on ${path}`)).to.have.length(2);
    expect(await login(await dial(a))).to.equal(IN);
    expect(await login(await onPath(path))).to.equal(IN);
    await reload('[listen a]', `socket = ${path}`, 'socket_mode = 0600', '[listen b]', `port = ${a}`);
    await until('the mode', () => existsSync(path) && (statSync(path).mode & 0o777) === 0o600);
    expect(await login(await onPath(path))).to.equal(IN);
  });

  it('have the sockets that the service manager hands over by their names', async () => {
    const tcp = new BoundSocket({ host: '127.0.0.1' });
    const elsewhere = await freePort();
    configure('[listen extra]', `port = ${elsewhere}`);
    proxy = await AmqProxy.onSockets([tcp.fd()], ['extra'], (await peopledBroker()).url, ['-c', file]);
    await until('it', () =>
      proxy.log.includes('The socket of [listen extra] comes from the service manager'),
    );
    expect(await login(await dial(tcp.address().port))).to.equal(IN);
    // [listen] itself has its own place
    await until('[listen]', () => (proxy.log.match(/Proxy listening on/g) ?? []).length === 2);
    expect(
      await dial(elsewhere).then(
        () => 'open',
        () => 'closed',
      ),
    ).to.equal('closed');
    // what is spoken on a socket that is there cannot change: that of the settings can be closed and made anew
    const { cert, key } = new Authority().sign('given', 'DNS:localhost');
    await reload('[listen extra]', 'tls = yes', `tls_cert = ${cert}`, `tls_key = ${key}`);
    await until('the warning', () =>
      proxy.log.includes(
        "WARN [listen extra] tls changes at the next restart only: its socket is the service manager's",
      ),
    );
    expect(await login(await dial(tcp.address().port))).to.equal(IN);
    tcp.close();
  });

  it('may have a Unix socket from the service manager, with load balancers behind it', async () => {
    const path = join(dir, 'given.sock');
    configure('[listen given]', 'proxy_protocol = yes', 'socket = /nowhere/it.sock');
    proxy = await AmqProxy.onPath(path, 'given', (await peopledBroker()).url, ['-c', file]);
    await until('it', () =>
      proxy.log.includes('Proxy listening on a Unix socket that was handed over ([listen given])'),
    );
    // it has not been mixed up with a port
    expect(await login(await dial(proxy.port))).to.equal(IN);
    for (const [header, answer] of [
      [v1('192.0.2.7', 4711), 'connection.close'],
      [v1('127.0.0.1', 4711), IN],
    ] as const) {
      const socket = await onPath(path);
      socket.write(header);
      expect(await login(socket, { user: 'guest', secret: 'guest' })).to.equal(answer);
    }
    (await onPath(path)).write('AMQP');
    await until('the line', () =>
      proxy.log.includes('no PROXY header came from unix:given, which has proxy_protocol in [listen given]'),
    );
  });

  describe('with certificates of clients', () => {
    const authority = new Authority();
    const server = authority.sign('listener', 'DNS:localhost,IP:127.0.0.1');
    const mine = authority.sign('shop.example', 'DNS:shop.example');
    const foreign = new Authority().sign('thief.example', 'DNS:thief.example');
    const expired = authority.sign('old.example', 'DNS:old.example', -1);
    let port: number;

    const shake = (certificate: Certificate | null, session?: Buffer): Promise<TLSSocket> =>
      new Promise((resolve, reject) => {
        const own = certificate && {
          cert: readFileSync(certificate.cert),
          key: readFileSync(certificate.key),
        };
        const socket = connectTls(
          { port, host: '127.0.0.1', rejectUnauthorized: false, session, ...own },
          () => resolve(socket),
        );
        socket.on('error', reject);
        sockets.push(socket);
      });
    const loginWith = async (certificate: Certificate | null): Promise<string> => {
      try {
        return (await login(await shake(certificate))) ?? 'closed';
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'failed';
      }
    };
    const begin = async (): Promise<void> => {
      port = await freePort();
      for (const { key } of [server, mine]) chmodSync(key, 0o600);
      await start(
        '[listen secure]',
        `port = ${port}`,
        'address = 127.0.0.1',
        'tls = yes',
        `tls_cert = ${server.cert}`,
        `tls_key = ${server.key}`,
        `tls_client_ca = ${authority.ca}`,
      );
    };

    it('let in who shows one, whose name is shown, and who still has to log in', async () => {
      await begin();
      expect(await loginWith(mine)).to.equal(IN);
      expect((await shown()).map(({ certificate }) => certificate)).to.deep.equal(['shop.example']);
      expect(await login(await shake(mine), { user: 'alice', secret: 'wrong' })).to.equal('connection.close');
    });

    it('refuse who shows none, one of another authority, or one that has expired, and say why', async () => {
      await begin();
      for (const [certificate, line] of [
        [null, /TLS handshake failed: no certificate was shown \(tls_client_ca\)/],
        [foreign, /TLS handshake failed: its certificate is not of tls_client_ca: /],
        [expired, /TLS handshake failed: its certificate is not of tls_client_ca: certificate has expired/],
      ] as const) {
        expect(await loginWith(certificate)).not.to.equal(IN);
        await until(`the line ${line}`, () => line.test(proxy.log));
      }
      expect(await proxy.metric('logins_total')).to.equal(0);
      expect(await proxy.metric('clients_refused_total{reason="tls"}')).to.equal(3);
    });

    it('take up a session of one who has shown his', async () => {
      await begin();
      let session: Buffer | undefined;
      const first = await shake(mine);
      first.on('session', ticket => {
        session = ticket;
      });
      expect(await login(first)).to.equal(IN);
      await until('a session', () => session);
      const again = await shake(mine, session);
      expect(again.isSessionReused()).to.equal(true);
      expect(await login(again)).to.equal(IN);
      expect((await shown()).map(({ certificate }) => certificate)).to.deep.equal([
        'shop.example',
        'shop.example',
      ]);
    });
  });
});
