/** SIGHUP reads the settings again. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { PROTOCOL_HEADER } from '../../src/amqp/frame.ts';
import { Authority } from '../support/certs.ts';
import { Crowd } from '../support/crowd.ts';
import { Fixture, proxyOnly, settingsFile, writeSettings } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sharedBroker, sleep, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

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
    const proxy = await AmqProxy.start(null, ['-c', file]);
    const own = async (broker: RabbitMQ): Promise<number> =>
      (await broker.list('list_connections', 'client_properties')).filter(row =>
        row.join().includes('amqproxy'),
      ).length;
    const messages = async (broker: RabbitMQ): Promise<number> =>
      (await broker.list('list_queues', 'messages')).flat().reduce((sum, n) => sum + Number(n), 0);

    const crowd = new Crowd(proxy.url, 50, 200);
    await until('the load', () => crowd.published > 500);
    for (let i = 1; i <= 5; i++) {
      writeSettings(file, `upstream = ${from.url}`, `max_clients = ${1000 + i}`);
      proxy.signal('SIGHUP');
      await until(`reload ${i}`, () => proxy.log.includes(`-> ${1000 + i}`));
    }
    writeSettings(file, `upstream = ${to.url}`);
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

  const STEPS = [
    {
      go: (client: RawClient) => client.send(PROTOCOL_HEADER),
      answer: 'connection.start',
    },
    {
      go: (client: RawClient) => client.startOk(undefined, 'PLAIN', Buffer.from('\0guest\0guest')),
      answer: 'connection.tune',
    },
    {
      go: (client: RawClient) => {
        client.tuneOk(2047, 131072, 0);
        client.openVhost('/');
      },
      answer: 'connection.open-ok',
    },
  ];

  // how far the login had come: so many answers, and whether the next one is on its way
  for (const [answers, underWay, lost] of [
    [0, true, false],
    [0, true, true],
    [1, false, false],
    [1, true, false],
    [2, false, false],
    [2, true, false],
  ] as const) {
    const stage = underWay ? `before ${STEPS[answers].answer}` : `after ${STEPS[answers - 1].answer}`;
    it(`of another broker leaves none at the old one that was ${stage}${lost ? ', which never came' : ''}`, async function () {
      proxyOnly(this);
      const { port } = await sharedBroker();
      const old = await Relay.start(port);
      const file = settingsFile(`upstream = ${old.url}`, 'connect_timeout = 2');
      const proxy = await AmqProxy.start(null, ['-c', file]);
      const client = await RawClient.connect(proxy.port);
      for (const step of STEPS.slice(0, answers)) {
        step.go(client);
        await client.next(step.answer);
      }
      if (underWay) {
        old.stop();
        STEPS[answers].go(client);
        await until('the old broker to be met', () => old.connections === 1);
        await sleep(200); // nothing shows that the request has been sent
      }
      writeSettings(file, `upstream = amqp://127.0.0.1:${port}`, 'connect_timeout = 2');
      proxy.signal('SIGHUP');
      await until('the reload', () => proxy.log.includes('Reloaded: upstream'));
      if (underWay && !lost) old.go();
      for (const [i, step] of STEPS.slice(answers).entries()) {
        if (i > 0 || !underWay) step.go(client);
        expect((await client.next(() => true))?.name).to.equal(step.answer);
      }
      await client.open(1);
      if (lost) old.go(); // lets the relay see that nobody is there any more
      await until('the old broker to be left', () => old.connections === 0);
      client.destroy();
      await proxy.stop();
      await old.end();
    });
  }

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
