/** A broker or the network to it goes away: whoever has nothing in flight stays, the others hear of it at once. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { Writer } from '../../src/amqp/frame.ts';
import { Fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sharedBroker, until } from '../support/rabbitmq.ts';
import { closeOf, declareArgs, header, publish, RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

const DURABLE = 2;

/** Proves that a client works: its declare is answered. */
async function works(client: RawClient, queue: string, flags = 0): Promise<void> {
  client.method(1, 'queue.declare', declareArgs(queue, flags));
  const answer = await client.next(
    frame => frame.name === 'queue.declare-ok' || frame.name.endsWith('close'),
    20,
  );
  expect(answer?.name).to.equal('queue.declare-ok');
}

/** What clients may be doing when the connection to the broker breaks, so that they have to hear of it. */
const BUSY: Record<string, (client: RawClient, queue: string) => Promise<void>> = {
  'a consumer': async (client, queue) => {
    client.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr(queue).shortstr('').octet(0).long(0).take(),
    );
    await client.next('basic.consume-ok');
  },
  'one that holds an unacked message': async (client, queue) => {
    client.send(publish(1, queue, Buffer.from('held')));
    await until('the message', async () => {
      client.method(1, 'basic.get', new Writer().short(0).shortstr(queue).octet(0).take());
      return (await client.next(frame => frame.name.startsWith('basic.get-')))?.name === 'basic.get-ok';
    });
  },
  'one in a transaction': async (client, queue) => {
    client.method(1, 'tx.select');
    await client.next('tx.select-ok');
    client.send(publish(1, queue, Buffer.from('uncommitted')));
  },
  'the owner of an exclusive queue': async client => {
    client.method(1, 'queue.declare', declareArgs(queueName('exclusive'), 4));
    await client.next('queue.declare-ok');
  },
  'one in the middle of a large message': async (client, queue) => {
    const empty = publish(1, queue, Buffer.alloc(0));
    client.send(empty.subarray(0, empty.length - 22), header(1, 20 * 1024 * 1024));
    const part = Buffer.alloc(100_008, 1);
    part.set([3, 0, 1]);
    part.writeUInt32BE(100_000, 3);
    part[100_007] = 0xce;
    for (let n = 0; n < 30; n++) client.send(part);
  },
};

describe('Loss of the network to the broker', () => {
  let relay: Relay;
  let proxy: AmqProxy;
  let queue: string;

  before(async function () {
    proxyOnly(this);
    const broker = await sharedBroker();
    relay = await Relay.start(broker.port);
    proxy = await AmqProxy.start(relay.url);
    queue = queueName('loss');
  });
  after(async () => {
    await proxy?.stop();
    await relay?.end();
  });

  /** A client that has logged in; what was cut before may have been an upstream that is opened for it. */
  const login = (): Promise<RawClient> =>
    until('a login', () => RawClient.start(proxy.port).catch(() => null));

  for (const [who, act] of Object.entries(BUSY))
    it(`${who} hears 320; idle clients stay and work again`, async () => {
      const idle = await login();
      await idle.open(1);
      const fresh = await login();
      const busy = await login();
      await busy.open(1);
      await works(busy, queue);
      await act(busy, queue);
      relay.cut();
      const end = await busy.next('connection.close');
      expect(closeOf(end!).code).to.equal(320);
      busy.method(0, 'connection.close-ok');
      await busy.closed();
      await works(idle, queue);
      await fresh.open(1);
      await works(fresh, queue);
      const again = await RawClient.start(proxy.port);
      await again.open(1);
      await works(again, queue);
      for (const client of [idle, fresh, busy, again]) client.destroy();
    });

  it('one that published and has been quiet since stays and works again: its lease was given back', async () => {
    const broker = await sharedBroker();
    const measured = await AmqProxy.withMetrics(relay.url);
    const quiet = await RawClient.start(measured.port);
    await quiet.open(1);
    const lasting = queueName('durable');
    await works(quiet, lasting, DURABLE);
    quiet.send(publish(1, lasting, Buffer.from('before')));
    await until('its lease to end', async () => (await measured.metric('channels_leased')) === 0);
    relay.cut();
    await until('the loss', () => measured.log.includes('Upstream lost'));
    await works(quiet, lasting, DURABLE);
    expect(await broker.messages(lasting)).to.be.at.least(1);
    quiet.destroy();
    await measured.stop();
  });

  it('one that waits for confirms hears 320', async () => {
    const busy = await login();
    await busy.open(1);
    await works(busy, queue);
    busy.method(1, 'confirm.select', Buffer.from([0]));
    await busy.next('confirm.select-ok');
    relay.stop();
    busy.send(publish(1, queue, Buffer.from('unconfirmed')));
    relay.cut();
    relay.go();
    expect(closeOf((await busy.next('connection.close'))!).code).to.equal(320);
    busy.destroy();
  });

  it('one that waits for an answer hears 320', async () => {
    const busy = await login();
    await busy.open(1);
    await works(busy, queue);
    relay.stop();
    busy.method(1, 'queue.declare', declareArgs(queue));
    relay.cut();
    relay.go();
    expect(closeOf((await busy.next('connection.close'))!).code).to.equal(320);
    busy.destroy();
  });

  it('one that waits for its close to be answered gets an answer or an end, never silence', async () => {
    const busy = await login();
    await busy.open(1);
    await works(busy, queue);
    relay.stop();
    busy.send(publish(1, queue, Buffer.from('perhaps lost')));
    busy.method(1, 'channel.close', new Writer().short(200).shortstr('').short(0).short(0).take());
    relay.cut();
    relay.go();
    const end = await busy.next(frame => frame.name.includes('close'));
    expect(end === null || end.name === 'connection.close').to.equal(true);
    busy.destroy();
  });
});

describe('A broker that closes a connection', () => {
  it('has its own words passed on to those who use it', async function () {
    proxyOnly(this);
    const to = new Fixture();
    await to.start();
    const client = await RawClient.start(to.port, { user: 'alice', secret: 'wonder' });
    await client.open(1);
    const queue = queueName();
    await works(client, queue);
    await BUSY['a consumer'](client, queue);
    for (const [pid] of (await to.broker.list('list_connections', 'pid', 'user')).filter(
      ([, user]) => user === 'alice',
    ))
      await to.broker.ctl('close_connection', pid, 'maintenance tonight');
    const why = closeOf((await client.next('connection.close'))!);
    expect(why.code).to.equal(320);
    expect(why.text).to.equal('CONNECTION_FORCED - maintenance tonight');
    client.destroy();
    await to.stop();
  });
});

describe('A broker that ends under load', () => {
  const to = new Fixture();
  let broker: RabbitMQ;
  // one queue for both: RabbitMQ may forget a queue that was declared just before a power cut, the polite end writes it down
  const queue = queueName('load');
  let confirmed = 0;

  before(async function () {
    this.timeout(120_000);
    broker = await RabbitMQ.start();
    await to.start([], broker);
    const setup = await to.connect();
    await (await setup.createChannel()).assertQueue(queue, { durable: true });
    await setup.close();
  });
  after(async () => {
    await to.stop();
    await broker.stop();
  });

  for (const [how, end] of [
    ['politely', () => broker.halt()],
    ['by a power cut', () => broker.kill()],
  ] as const)
    it(`${how}: no client hangs, all work again after its restart, no confirmed message is lost`, async function () {
      this.timeout(180_000);
      const idle = await RawClient.start(to.port);
      await idle.open(1);
      let failed = 0;
      const begun = confirmed;
      let stopping = false;
      const worker = async (): Promise<void> => {
        while (!stopping)
          try {
            const connection = await to.connect();
            const channel = await connection.createConfirmChannel();
            channel.on('error', () => {});
            for (let n = 0; n < 20; n++)
              channel.sendToQueue(queue, Buffer.from(`${n}`), { persistent: true });
            await channel.waitForConfirms();
            confirmed += 20;
            // from a broker that ends meanwhile, no close-ok comes, and amqplib's promise is never settled
            await Promise.race([connection.close(), once(connection, 'close')]);
          } catch {
            failed++;
          }
      };
      const workers = Array.from({ length: 8 }, worker);
      await until('the load to be under way', () => confirmed > begun + 400);
      await end();
      await until('failures', () => failed > 20);
      await broker.run();
      const before = confirmed;
      await until('the load to be back', () => confirmed > before + 400, 60);
      stopping = true;
      await Promise.all(workers);
      if (to.proxy) {
        expect(idle.ended, 'the idle client has been closed').to.equal(false);
        await works(idle, queue, DURABLE);
      }
      idle.destroy();
      const check = await to.connect();
      const { messageCount } = await (await check.createChannel()).checkQueue(queue);
      expect(messageCount).to.be.at.least(confirmed);
      await check.close();
    });
});

describe('Several brokers', () => {
  it('are tried in turn: one that is down delays nobody', async function () {
    proxyOnly(this);
    const broker = await sharedBroker();
    const proxy = await AmqProxy.start(`amqp://127.0.0.1:${await freePort()},${broker.url}`);
    for (let n = 0; n < 5; n++) {
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      await works(client, queueName());
      client.destroy();
    }
    await proxy.stop();
  });

  it('that are all down are named in the refusal', async function () {
    proxyOnly(this);
    const [one, two] = [await freePort(), await freePort()];
    const proxy = await AmqProxy.start(`amqp://127.0.0.1:${one},amqp://127.0.0.1:${two}`);
    const client = await RawClient.connect(proxy.port);
    const why = closeOf((await client.login())!);
    expect(why.code).to.equal(320);
    expect(why.text).to.include(`127.0.0.1:${one}`).and.to.include(`127.0.0.1:${two}`);
    client.destroy();
    await proxy.stop();
  });
});

describe('A broker that cannot be reached', () => {
  it('and says nothing after it has accepted the connection is given up after connect_timeout', async function () {
    proxyOnly(this);
    const mute = createServer(() => {});
    await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as AddressInfo;
    const proxy = await AmqProxy.start(`amqp://127.0.0.1:${port}`, [
      '-c',
      settingsFile('connect_timeout = 0.5'),
    ]);
    const client = await RawClient.connect(proxy.port);
    const why = closeOf((await client.login())!);
    expect(why.code).to.equal(320);
    expect(why.text).to.match(/^CONNECTION_FORCED - no broker can be reached: 127\.0\.0\.1:\d+: .+/);
    client.destroy();
    await proxy.stop();
    mute.close();
  });

  it('is tried again: clients are let in as soon as it is up', async function () {
    proxyOnly(this);
    const port = await freePort();
    const proxy = await AmqProxy.start(`amqp://127.0.0.1:${port}`);
    const early = await RawClient.connect(proxy.port);
    expect(closeOf((await early.login())!).code).to.equal(320);
    const relay = await Relay.start((await sharedBroker()).port, port);
    await until('a login', async () => {
      const client = await RawClient.connect(proxy.port);
      const answer = await client.login();
      client.destroy();
      return answer?.name === 'connection.open-ok';
    });
    early.destroy();
    await proxy.stop();
    await relay.end();
  });
});
