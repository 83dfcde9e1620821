/** TLS to the broker (amqps), and from clients. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { expect } from 'chai';
import { Authority, type Certificate } from '../support/certs.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sharedBroker } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const GOOD = 'DNS:localhost,IP:127.0.0.1';

describe('TLS to the broker', () => {
  const authority = new Authority();
  /** What the broker shows. */
  const shown = { cert: join(authority.dir, 'shown.crt'), key: join(authority.dir, 'shown.key') };
  let broker: RabbitMQ;
  const show = async ({ cert, key }: Certificate): Promise<void> => {
    copyFileSync(cert, shown.cert);
    copyFileSync(key, shown.key);
    await broker?.ctl('eval', 'ssl:clear_pem_cache().');
  };
  const good = authority.sign('good', GOOD);
  before(async function () {
    this.timeout(120_000);
    await show(good);
    broker = await RabbitMQ.start({ tls: { ca: good.ca, ...shown } });
  });
  after(() => broker?.stop());
  /** The proxy in front of the broker with these settings, and what the first login hears. */
  const attempt = async (host: string, settings: string) => {
    const file = join(authority.dir, `settings-${Math.random()}.ini`);
    writeFileSync(file, `[main]\n${settings}\n`);
    const proxy = await AmqProxy.start(`amqps://${host}:${broker.tlsPort}`, ['-c', file]);
    const client = await RawClient.connect(proxy.port);
    const answer = await client.login();
    const said = answer!.name === 'connection.close' ? closeOf(answer!).text : answer!.name;
    client.destroy();
    await proxy.stop();
    return { said, log: proxy.log };
  };

  it('is verified: a good certificate, an unknown authority, another name, no verification', async () => {
    await show(good);
    const ca = `tls_ca = ${authority.ca}`;
    const trusted = await attempt('localhost', ca);
    expect(trusted.said).to.equal('connection.open-ok');
    expect(trusted.log).to.match(/Proxy upstream: localhost:\d+ TLS/);
    expect((await attempt('127.0.0.1', ca)).said).to.equal('connection.open-ok');
    const untrusted = await attempt('localhost', '');
    expect(untrusted.said + untrusted.log).to.match(/certificate is not trusted/);
    const careless = await attempt('localhost', 'tls_verify = no');
    expect(careless.said).to.equal('connection.open-ok');
    expect(careless.log).to.match(/WARN tls_verify = no/);
  });

  it('a certificate for another host name is refused, and the error says so', async () => {
    await show(authority.sign('misnamed', 'DNS:elsewhere.example'));
    const { said, log } = await attempt('localhost', `tls_ca = ${authority.ca}`);
    expect(said + log).to.match(/certificate is for another host name than localhost/);
  });

  it('an expired certificate is refused, and the error says so', async () => {
    await show(authority.sign('expired', GOOD, -1));
    const { said, log } = await attempt('localhost', `tls_ca = ${authority.ca}`);
    expect(said + log).to.match(/certificate has expired/);
  });
});

describe('TLS from clients', () => {
  it('is offered on tls_port', async () => {
    const authority = new Authority();
    const { cert, key } = authority.sign('proxy', GOOD);
    const broker = await sharedBroker();
    const port = await freePort();
    const file = join(authority.dir, 'listen.ini');
    writeFileSync(file, `[listen]\ntls_port = ${port}\ntls_cert = ${cert}\ntls_key = ${key}\n`);
    const proxy = await AmqProxy.start(broker.url, ['-c', file]);
    const connection = await connect(`amqps://localhost:${port}`, {
      ca: [readFileSync(authority.ca)],
      noDelay: true,
    });
    const channel = await connection.createChannel();
    await channel.assertQueue('secure');
    await connection.close();
    await proxy.stop();
  });
});
