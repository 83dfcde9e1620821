/** SIGHUP reads the settings again. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { Authority } from '../support/certs.ts';
import { Crowd } from '../support/crowd.ts';
import { Fixture, proxyOnly, settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

describe('Reloading', () => {
  it('applies what can change, names what cannot, and a bad file changes nothing', async function () {
    proxyOnly(this);
    const file = settingsFile('close = barrier');
    const to = new Fixture();
    await to.start(['-c', file]);
    const { proxy } = to;
    const client = await RawClient.start(to.port);
    writeFileSync(file, '[main]\nclose = instant\npool_mode = session\n');
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.log.includes('Reloaded: close'));
    expect(proxy.log).to.include('pool_mode changes at the next restart only');
    writeFileSync(file, '[main]\n\nclose = sometimes\n');
    proxy.signal('SIGHUP');
    await until('the refusal', () => proxy.log.includes(`${file}:3: close = "sometimes"`));
    await client.open(1);
    client.destroy();
    await to.stop();
  });

  it('of another broker, under load: no client is lost, new leases go there, the old upstreams end', async () => {
    const [from, to] = await Promise.all([RabbitMQ.start(), RabbitMQ.start()]);
    const file = settingsFile(`upstream = ${from.url}`);
    const proxy = AmqProxy.spawn(['-l', '127.0.0.1', '-p', '0', '-b', '0', '-c', file]);
    await until('it to listen', () => /listening on 127\.0\.0\.1:(\d+)/.test(proxy.log));
    proxy.port = Number(/listening on 127\.0\.0\.1:(\d+)/.exec(proxy.log)![1]);
    const own = async (broker: RabbitMQ): Promise<number> =>
      (await broker.list('list_connections', 'client_properties')).filter(row =>
        row.join().includes('amqproxy'),
      ).length;
    const messages = async (broker: RabbitMQ): Promise<number> =>
      (await broker.list('list_queues', 'messages')).flat().reduce((sum, n) => sum + Number(n), 0);

    const crowd = new Crowd(proxy.url, 50, 200);
    await until('the load', () => crowd.published > 500);
    for (let i = 1; i <= 5; i++) {
      writeFileSync(file, `[main]\nupstream = ${from.url}\nmax_clients = ${1000 + i}\n`);
      proxy.signal('SIGHUP');
      await until(`reload ${i}`, () => proxy.log.includes(`-> ${1000 + i}`));
    }
    writeFileSync(file, `[main]\nupstream = ${to.url}\n`);
    proxy.signal('SIGHUP');
    await until('the old upstreams to end', async () => (await own(from)) === 0, 30);
    const before = await messages(to);
    await until('messages to the new broker', async () => (await messages(to)) > before);
    await crowd.leave();
    expect((await messages(from)) + (await messages(to))).to.equal(crowd.published);
    expect(proxy.log).not.to.match(/Client closed|Upstream lost|refused/);
    await proxy.stop();
    await Promise.all([from.stop(), to.stop()]);
  });

  it('of certificates that do not match changes nothing', async () => {
    const authority = new Authority();
    const [one, two] = ['one', 'two'].map(name => authority.sign(name, 'DNS:localhost'));
    const listen = (cert: string, key: string): string => `[listen]\ntls_cert = ${cert}\ntls_key = ${key}`;
    const file = settingsFile(listen(one.cert, one.key));
    const proxy = await AmqProxy.start('amqp://127.0.0.1:1', ['-c', file]);
    writeFileSync(file, `${listen(one.cert, two.key)}\n`);
    proxy.signal('SIGHUP');
    await until('the refusal', () => /Reload failed.*is not the key of tls_cert/.test(proxy.log));
    expect(proxy.running).to.equal(true);
    await proxy.stop();
  });
});
