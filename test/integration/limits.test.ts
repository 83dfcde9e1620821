/**
 * Limits on upstreams: never more than allowed, logins included; who waits is served as soon as there is room, wherever it
 * came from; who waits too long is told, and so is the operator.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import { sleep, until } from '../support/rabbitmq.ts';
import { closeOf, type Frame, type LoginOptions, RawClient } from '../support/raw-client.ts';
import { type Relayed, relayed } from '../support/relayed.ts';

const ALICE: LoginOptions = { user: 'alice', secret: 'wonder' };

/** What comes next; a close as its code and text. */
const heard = async (client: RawClient): Promise<string> => say(await client.next(() => true, 15));
function say(frame: Frame | null): string {
  if (frame === null) return 'the end';
  if (!frame.name.endsWith('.close')) return frame.name;
  const { code, text } = closeOf(frame);
  return `${frame.name} ${code} ${text}`;
}

/** A client that has an upstream for itself, and leaves it so that it has to be closed. */
async function holder(to: Relayed, options: LoginOptions = {}): Promise<RawClient> {
  const client = await to.login(options);
  await client.open(1);
  await client.call(f.declare(1, '', f.EXCLUSIVE), 'queue.declare-ok');
  return client;
}
/** One that has an upstream for itself, and leaves it as good as new. */
async function cleanHolder(to: Relayed, options: LoginOptions = {}): Promise<RawClient> {
  const client = await to.login(options);
  await client.open(1);
  await client.call(f.get(1, await queueOf(to, options)), 'basic.get-empty');
  return client;
}
async function queueOf(to: Relayed, options: LoginOptions): Promise<string> {
  const queue = queueName('empty');
  const direct = await RawClient.start(to.broker.port, options);
  await direct.open(1);
  await direct.call(f.declare(1, queue), 'queue.declare-ok');
  direct.destroy();
  return queue;
}

/** A client that waits for an upstream: its declare is with the proxy. */
async function waiter(to: Relayed, options: LoginOptions = {}): Promise<RawClient> {
  const client = await to.login(options);
  await client.open(1);
  client.send(f.declare(1, queueName('waits')));
  await handled(to);
  expect(client.frames.map(say)).to.deep.equal([]);
  return client;
}
/** One whose login waits for an upstream: its connection.open, if not its start-ok, is with the proxy. */
async function loginWaiter(to: Relayed, options: LoginOptions = {}): Promise<[RawClient, Promise<string>]> {
  const client = await to.connect();
  const answer = client.login(options).then(say);
  await handled(to);
  return [client, answer];
}
/** What was sent to the proxy before is handled: a later client has been greeted. */
async function handled(to: Relayed): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const client = await to.connect();
    await client.call(Buffer.from('AMQP\0\0\x09\x01'), 'connection.start');
    client.destroy();
  }
}

const LEAVES: Record<string, (client: RawClient) => Promise<unknown>> = {
  'closes its connection': client => client.call(f.connectionClose(), 'connection.close-ok'),
  dies: async client => client.destroy(),
};

describe('One upstream and no more (max_upstreams = 1)', () => {
  const to = relayed(['max_upstreams = 1', 'lease_timeout = 5'], true);

  for (const [how, leave] of Object.entries(LEAVES)) {
    it(`a client that waits is served when the holder of an exclusive queue ${how}`, async () => {
      const holds = await holder(to);
      const waits = await waiter(to);
      await leave(holds);
      expect(await heard(waits)).to.equal('queue.declare-ok');
      expect(to.relay.peak).to.equal(1);
    });

    it(`a client that waits is served when one that has half sent a large message ${how}`, async () => {
      const holds = await to.client(queueName('large'));
      const half = new Promise<void>(resolve => {
        to.relay.fromProxy = ({ name }) => {
          if (name === 'body') resolve();
          return 'pass';
        };
      });
      holds.send(
        f.publishMethod(1, 'x'),
        f.headerWith(1, 3_000_000, 0),
        f.bodyFrame(1, Buffer.alloc(100_000)),
      );
      await half;
      const waits = await waiter(to);
      await leave(holds);
      expect(await heard(waits)).to.equal('queue.declare-ok');
    });
  }

  it('a client that waits is served when the upstream is lost', async () => {
    await cleanHolder(to);
    const waits = await waiter(to);
    to.relay.cut();
    expect(await heard(waits)).to.equal('queue.declare-ok');
  });

  it('a client that wants an upstream for itself is served when another gives one back', async () => {
    const holds = await holder(to);
    const waits = await to.login();
    await waits.open(1);
    waits.send(f.declare(1, '', f.EXCLUSIVE));
    await handled(to);
    await holds.call(f.connectionClose(), 'connection.close-ok');
    expect(await heard(waits)).to.equal('queue.declare-ok');
  });
});

describe('One upstream and no more (max_upstreams = 1, pool_mode = session)', () => {
  const to = relayed(['max_upstreams = 1', 'lease_timeout = 5', 'pool_mode = session'], true);

  for (const [how, leave] of Object.entries(LEAVES))
    it(`a login that waits is served when the holder of an exclusive queue ${how}`, async () => {
      const holds = await holder(to);
      const [, answer] = await loginWaiter(to);
      await leave(holds);
      expect(await answer).to.equal('connection.open-ok');
      expect(to.relay.peak).to.equal(1);
    });
});

describe('An upstream that has been alive for max_lifetime', () => {
  const to = relayed(['max_upstreams = 1', 'lease_timeout = 10', 'max_lifetime = 0.5'], true);

  it('and is in use counts: no login opens another above max_upstreams', async () => {
    const holds = await holder(to);
    await sleep(1500); // it is old now
    const [, answer] = await loginWaiter(to);
    await holds.call(f.connectionClose(), 'connection.close-ok');
    expect(await answer).to.equal('connection.open-ok');
    expect(to.relay.peak).to.equal(1);
  });
});

describe('A login that waits for an upstream of its pool (max_upstreams = 1)', () => {
  const to = relayed(['max_upstreams = 1', 'lease_timeout = 10', 'max_lifetime = 0.5'], true);

  it('holds up nobody of another pool', async () => {
    const holds = await holder(to);
    await sleep(1500); // its login proves nothing any more
    const [waits, answer] = await loginWaiter(to);
    await to.client(queueName('other'), ALICE);
    expect(waits.frames.map(say)).to.deep.equal([]);
    await holds.call(f.connectionClose(), 'connection.close-ok');
    expect(await answer).to.equal('connection.open-ok');
  });
});

describe('One upstream in all pools (max_upstreams_total = 1)', () => {
  const to = relayed(['max_upstreams_total = 1', 'lease_timeout = 5'], true);

  it('goes to another pool when it is idle, at login', async () => {
    const first = await to.client(queueName('first'));
    await first.call(f.connectionClose(), 'connection.close-ok');
    const second = await to.client(queueName('second'), ALICE);
    await second.call(f.connectionClose(), 'connection.close-ok');
    await to.client(queueName('third'));
    expect(to.relay.peak).to.equal(1);
  });

  it('goes to another pool when it is idle, for a client that is there already', async () => {
    const first = await to.client(queueName('first'));
    await first.call(f.channelClose(1), 'channel.close-ok');
    const second = await to.client(queueName('second'), ALICE);
    await second.call(f.channelClose(1), 'channel.close-ok');
    for (const client of [first, second, first]) {
      await client.open(1);
      client.send(f.declare(1, queueName('again')));
      expect(await heard(client)).to.equal('queue.declare-ok');
      await client.call(f.channelClose(1), 'channel.close-ok');
    }
    expect(to.relay.peak).to.equal(1);
  });

  for (const [how, leave] of Object.entries(LEAVES))
    it(`makes a login to another pool wait until its user ${how}`, async () => {
      const holds = await holder(to);
      const [client, answer] = await loginWaiter(to, ALICE);
      expect(client.frames.map(say)).to.deep.equal([]);
      await leave(holds);
      expect(await answer).to.equal('connection.open-ok');
      expect(to.relay.peak).to.equal(1);
    });

  it('makes a login to another vhost wait, too', async () => {
    const holds = await holder(to, ALICE);
    const [, answer] = await loginWaiter(to, { ...ALICE, vhost: 'one' });
    await holds.call(f.connectionClose(), 'connection.close-ok');
    expect(await answer).to.equal('connection.open-ok');
    expect(to.relay.peak).to.equal(1);
  });
});

describe('One upstream in all pools, with consumers on it (max_upstreams_total = 1, consumers = shared)', () => {
  const to = relayed(['max_upstreams_total = 1', 'consumers = shared', 'lease_timeout = 1'], true);

  it('carries those who publish, too', async () => {
    const queue = queueName('both');
    const consumer = await to.client(queue);
    await consumer.ask(f.qos(1, 1), 'basic.qos-ok');
    await consumer.ask(f.consume(1, queue, 'tag'), 'basic.consume-ok');
    const publisher = await to.login();
    await publisher.open(1);
    await publisher.ask(f.confirmSelect(1), 'confirm.select-ok');
    await publisher.ask(f.publish(1, queue, 'x'), 'basic.ack');
    expect((await consumer.next('basic.deliver'))?.channel).to.equal(1);
    expect(to.relay.peak).to.equal(1);
  });
});

describe('Two upstreams in all pools (max_upstreams_total = 2)', () => {
  const to = relayed(['max_upstreams_total = 2', 'lease_timeout = 5'], true);

  for (const [what, hold] of Object.entries({ 'closed with it': holder, 'idle then': cleanHolder }))
    for (const [how, leave] of Object.entries(LEAVES))
      it(`a client that waits is served when a client of another pool ${how}, whose upstream is ${what}`, async () => {
        await holder(to);
        const other = await hold(to, ALICE);
        const waits = await waiter(to);
        await leave(other);
        expect(await heard(waits)).to.equal('queue.declare-ok');
        expect(to.relay.peak).to.equal(2);
      });

  it('a client that waits is served when the upstream of another pool is lost', async () => {
    await holder(to);
    await holder(to, ALICE);
    const waits = await waiter(to);
    to.relay.links[1].cut();
    expect(await heard(waits)).to.equal('queue.declare-ok');
  });

  it('are never more, and enough for 12 clients of 3 users that come and go', async function () {
    this.timeout(60_000);
    const users = [{}, ALICE, { user: 'bob', secret: 'builder' }];
    const visits = async (n: number): Promise<void> => {
      for (let round = 0; round < 10; round++) {
        const client = await to.login(users[(n + round) % 3]);
        await client.open(1);
        client.send(f.declare(1, '', round % 2 ? f.EXCLUSIVE : 0));
        expect(await heard(client)).to.equal('queue.declare-ok');
        if (round % 3) await client.call(f.connectionClose(), 'connection.close-ok');
        client.destroy();
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, n) => visits(n)));
    expect(to.relay.peak).to.equal(2);
  });
});

describe('Who is turned away', () => {
  const to = relayed(['max_upstreams = 1', 'max_upstreams_total = 1', 'lease_timeout = 0.5'], true);

  /** The log has one line about a client that says this. */
  const logged = async (client: RawClient, words: RegExp): Promise<void> => {
    const name = `client=127.0.0.1:${client.socket.localPort}`;
    const lines = (): string[] =>
      to.proxy.log.split('\n').filter(line => line.includes(name) && words.test(line));
    await until(`a line in the log about ${name}`, () => lines().length > 0, 5);
    expect(lines()).to.have.length(1);
  };
  const refused = (reason: string): Promise<number> =>
    to.proxy.metric(`clients_refused_total{reason="${reason}"}`);

  it('having waited lease_timeout for an upstream channel hears it, is counted, and is in the log', async () => {
    await holder(to);
    const client = await to.login();
    await client.open(1);
    client.send(f.declare(1, queueName('waits')));
    expect(await heard(client)).to.match(/^connection.close 320 .*lease_timeout/);
    expect(await refused('lease_timeout')).to.equal(1);
    await logged(client, /lease_timeout/);
  });

  it('having waited lease_timeout for an upstream of its own hears it, is counted, and is in the log', async () => {
    await holder(to);
    const client = await to.login();
    await client.open(1);
    client.send(f.txSelect(1));
    expect(await heard(client)).to.match(/^connection.close 320 .*lease_timeout/);
    expect(await refused('lease_timeout')).to.equal(1);
    await logged(client, /lease_timeout/);
  });

  it('having waited lease_timeout at login hears it, is counted, and is in the log', async () => {
    await holder(to);
    const [client, answer] = await loginWaiter(to, ALICE);
    expect(await answer).to.match(/^connection.close 320 .*lease_timeout/);
    expect(await refused('lease_timeout')).to.equal(1);
    await logged(client, /lease_timeout/);
  });

  it('by the broker, which opens no upstream any more, hears its words, is counted, and is in the log', async () => {
    await to.client(queueName('first'));
    const client = await to.login();
    await client.open(1);
    to.relay.fromBroker = ({ name }) =>
      name === 'connection.open-ok' ? f.connectionClose(530, 'NOT_ALLOWED - vhost is full') : 'pass';
    to.relay.cut();
    await until('the loss', () => to.proxy.log.includes('Upstream lost'));
    client.send(f.declare(1, queueName('second')));
    expect(await heard(client)).to.equal('connection.close 530 NOT_ALLOWED - vhost is full');
    expect(await refused('refused')).to.equal(1);
    await logged(client, /vhost is full/);
  });
});
