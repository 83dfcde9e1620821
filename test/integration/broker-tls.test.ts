/** TLS to brokers that want a certificate of ours, or are not what the URL says: the words for what to mend. */

import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer as createTcp, type Socket } from 'node:net';
import { createServer, type Server, type TlsOptions } from 'node:tls';
import { expect } from 'chai';
import { Authority } from '../support/certs.ts';
import { peopledBroker, proxyOnly, settingsFile, writeSettings } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const GOOD = 'DNS:localhost,IP:127.0.0.1';

describe('TLS to a broker', () => {
  let broker: RabbitMQ;
  let authority: Authority;
  let proxy: AmqProxy | null = null;
  const servers: Server[] = [];

  before(async function () {
    proxyOnly(this);
    this.timeout(60_000);
    broker = await peopledBroker();
    authority = new Authority();
  });
  afterEach(async () => {
    await proxy?.stop();
    proxy = null;
    for (const server of servers.splice(0)) server.close();
  });

  /** A stretch of TLS before the shared broker. */
  const tlsBefore = async (options: TlsOptions): Promise<number> => {
    const { cert, key } = authority.sign('broker', GOOD);
    const server = createServer({ cert: readFileSync(cert), key: readFileSync(key), ...options }, near => {
      const far = connect(broker.port, '127.0.0.1');
      near.pipe(far).pipe(near);
      for (const socket of [near, far] as Socket[]) socket.on('error', () => {});
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    servers.push(server);
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const login = async (): Promise<string> => {
    const client = await RawClient.connect(proxy!.port);
    const answer = await client.login();
    client.destroy();
    return answer === null
      ? 'the end'
      : answer.name === 'connection.close'
        ? closeOf(answer).text
        : answer.name;
  };
  const trusting = (): string => `tls_ca = ${authority.ca}`;

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    it(`shows tls_cert where it is wanted (${version}), and says so where there is none; a reload brings one`, async () => {
      const port = await tlsBefore({
        requestCert: true,
        rejectUnauthorized: true,
        ca: readFileSync(authority.ca),
        maxVersion: version,
      });
      const upstream = `upstream = amqps://localhost:${port}`;
      const file = settingsFile(upstream, trusting());
      proxy = await AmqProxy.withMetrics(null, ['-c', file]);
      expect(await login()).to.match(
        /it wants a client certificate \(set tls_cert and tls_key in \[main\]\)/,
      );
      const { cert, key } = authority.sign('client', GOOD);
      writeSettings(file, upstream, trusting(), `tls_cert = ${cert}`, `tls_key = ${key}`);
      proxy.signal('SIGHUP');
      await until('the login', async () => (await login()) === 'connection.open-ok');
    });

  it('that is plain on this port is said in words', async () => {
    proxy = await AmqProxy.withMetrics(`amqps://127.0.0.1:${broker.port}`);
    expect(await login()).to.include('it does not speak TLS on this port');
  });

  it('that a plain URL meets is said in words', async () => {
    proxy = await AmqProxy.withMetrics(`amqp://127.0.0.1:${await tlsBefore({})}`);
    expect(await login()).to.match(/it speaks TLS on this port|it hangs up without a greeting/);
  });

  it('a broker that speaks another protocol is named as such', async () => {
    const other = createTcp(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve));
    proxy = await AmqProxy.withMetrics(`amqp://127.0.0.1:${(other.address() as AddressInfo).port}`);
    expect(await login()).to.include('it speaks HTTP: this is not its AMQP port');
    other.close();
  });
});

describe('The proxy as its own broker', () => {
  before(function () {
    proxyOnly(this);
  });

  it('is found out when it dials itself', async () => {
    // listens on all addresses, so that the settings do not tell
    const port = await freePort();
    const proxy = AmqProxy.spawn(['-l', '127.0.0.1', '-p', `${port}`, '-b', '0', `amqp://own.test:${port}`], {
      ...(await import('../support/names.ts')).names({ 'own.test': ['127.0.0.1'] }).env,
    });
    await until('the warning', () =>
      /WARN Broker own\.test\[127\.0\.0\.1\]:\d+ is down: it is this proxy itself/.test(proxy.log),
    );
    await proxy.stop();
  });
});

describe('--check-config --connect', () => {
  it('says who answers at each broker', async function () {
    proxyOnly(this);
    const broker = await peopledBroker();
    const run = async (upstream: string): Promise<[string, number]> => {
      const program = AmqProxy.spawn(['--check-config', '--connect', upstream]);
      const code = await program.exited();
      return [program.log, code];
    };
    const [log, code] = await run(`${broker.url}, amqp://127.0.0.1:1`);
    expect(code).to.equal(0);
    expect(log).to.match(/^; 127\.0\.0\.1:\d+: RabbitMQ \d+\.\d+\.\d+, \d+ ms$/m);
    expect(log).to.match(/^; 127\.0\.0\.1:1: connection refused, nothing listens there/m);
    expect(log).to.include('[listen]');
    const [failed, bad] = await run('amqp://127.0.0.1:1');
    expect(bad).to.equal(69);
    expect(failed).to.include('no broker can be reached');
  });
});
