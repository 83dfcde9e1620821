/** What an alarm does to upstreams: it opens few, and who was told of it hears of its end, wherever its channels are by then. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import type { Link } from '../support/frame-relay.ts';
import { until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';
import { relayed } from '../support/relayed.ts';

const TOLD = { capabilities: { 'connection.blocked': true } };
const CLIENTS = 20;

for (const mode of ['private', 'shared'])
  describe(`${CLIENTS} clients during a memory alarm, consumers = ${mode}`, () => {
    const to = fixture(['-c', settingsFile(`consumers = ${mode}`, 'idle_connection_timeout = 1')]);
    const clients: RawClient[] = [];
    before(function () {
      proxyOnly(this);
    });

    const upstreams = (): Promise<number> => to.proxy.metric('upstream_connections');
    const start = async (): Promise<RawClient> => {
      const client = await RawClient.start(to.port, TOLD);
      clients.push(client);
      return client;
    };

    let queue: string;
    let there: number;
    beforeEach(async () => {
      queue = queueName('alarm');
      const publisher = await start();
      await publisher.open(1);
      await publisher.call(f.declare(1, queue), 'queue.declare-ok');
      there = await upstreams();
      await to.broker.alarm(true);
      publisher.send(f.publish(1, queue, 'x'));
      await publisher.next('connection.blocked');
    });
    afterEach(async () => {
      await to.broker.alarm(false);
      for (const client of clients.splice(0)) client.destroy();
    });

    /** All have published: ends the alarm, and sees that nothing was lost and that the upstreams go. */
    const ends = async (): Promise<void> => {
      expect((await upstreams()) - there, 'upstreams more than before').to.be.at.most(3);
      await to.broker.alarm(false);
      for (const client of clients) await client.next('connection.unblocked');
      const check = await RawClient.start(to.broker.port);
      await check.open(1);
      await until('all messages', async () => {
        const { payload } = (await check.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok'))!;
        return payload.readUInt32BE(5 + queue.length) === 1 + CLIENTS;
      });
      check.destroy();
    };

    it('that declare, then publish, open few upstreams, which go when it is over', async () => {
      for (let n = 0; n < CLIENTS; n++) {
        const client = await start();
        await client.open(1);
        await client.call(f.declare(1, queue), 'queue.declare-ok');
        client.send(f.publish(1, queue, 'x'));
        await client.next('connection.blocked');
      }
      await ends();
      await until('the upstreams to go', async () => (await upstreams()) <= there);
    });

    it('that declare on one channel and publish on another open few upstreams', async () => {
      for (let n = 0; n < CLIENTS; n++) {
        const client = await start();
        await client.open(1);
        await client.open(2);
        await client.call(f.declare(1, queue), 'queue.declare-ok');
        client.send(f.publish(2, queue, 'x'));
        await client.next('connection.blocked');
        await client.call(f.declare(1, queue), 'queue.declare-ok');
      }
      await ends();
    });

    if (mode === 'shared')
      it('that consume, then publish on the same channel, open few upstreams', async () => {
        for (let n = 0; n < CLIENTS; n++) {
          const client = await start();
          await client.open(1);
          await client.call(f.qos(1, 1), 'basic.qos-ok');
          await client.call(f.declare(1, `${queue}-empty`), 'queue.declare-ok');
          await client.call(f.consume(1, `${queue}-empty`, 'tag'), 'basic.consume-ok');
          client.send(f.publish(1, queue, 'x'));
          await client.next('connection.blocked');
        }
        await ends();
      });
  });

describe('connection.blocked', () => {
  const to = relayed(['consumers = shared'], true);
  const blocked = new Set<Link>();

  /** An alarm as RabbitMQ tells of it: to each connection that publishes, and to these when it is over. Nothing waits. */
  const ring = (on: boolean): void => {
    to.relay.fromProxy = ({ name }, link) => {
      if (on && name === 'basic.publish' && !blocked.has(link)) {
        blocked.add(link);
        link.toProxy(f.method(0, 10, 60, f.w().shortstr('low on memory').take()));
      }
      return 'pass';
    };
    if (on) return;
    for (const link of blocked) link.toProxy(f.method(0, 10, 61));
    blocked.clear();
  };
  afterEach(() => blocked.clear());

  /** A client that has published, and been told that the broker is short of memory. */
  const told = async (queue: string): Promise<RawClient> => {
    const client = await to.client(queue, TOLD);
    ring(true);
    await client.call(f.publish(1, queue, 'x'), 'connection.blocked');
    return client;
  };

  for (const [what, act] of Object.entries<(client: RawClient, queue: string) => Promise<unknown>>({
    'its lease was given back': async () => {
      await until('the lease to end', async () => (await to.proxy.metric('channels_leased')) === 0);
    },
    'its channel was closed by it': client => client.call(f.channelClose(1), 'channel.close-ok'),
    'its channel was closed by the broker': async (client, queue) => {
      client.send(f.publish(1, queue, 'z', { exchange: `${queue}-none` }));
      await client.call(Buffer.alloc(0), 'channel.close');
    },
    'it moved to a private upstream': client => client.call(f.txSelect(1), 'tx.select-ok'),
    'its channel moved to where consumers are': async (client, queue) => {
      await client.call(f.qos(1, 1), 'basic.qos-ok');
      await client.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
    },
  }))
    it(`is taken back when the alarm ends, though ${what} meanwhile`, async () => {
      const queue = queueName('blocked');
      const client = await told(queue);
      await act(client, queue);
      ring(false);
      await client.next('connection.unblocked');
      expect(client.frames.map(frame => frame.name)).not.to.include('connection.blocked');
    });

  it('is taken back when the blocked upstream is lost after the lease was given back', async () => {
    const client = await told(queueName('blocked'));
    await until('the lease to end', async () => (await to.proxy.metric('channels_leased')) === 0);
    to.relay.cut();
    await client.next('connection.unblocked');
  });

  it('costs a client on that upstream no answer that it waits for', async () => {
    const [one, two] = [queueName('owed'), queueName('owed')];
    const client = await to.client(queueName('owed'));
    const [link] = to.relay.links;
    // what the client asks is read once the alarm has ended
    to.relay.fromProxy = (_frame, { number }) => (number === link.number ? 'hold' : 'pass');
    client.send(f.declare(1, one, f.DURABLE));
    await until('the declare to be on its way', () => link.holding > 0);
    link.toProxy(f.method(0, 10, 60, f.w().shortstr('low on memory').take()));
    await until('the alarm', async () => {
      const { port } = to.relay;
      return (await to.proxy.metric(`upstreams_blocked{upstream="127.0.0.1:${port}"}`)) === 1;
    });
    client.send(f.declare(1, two, f.DURABLE));
    // who logs in now is served when all that came before has been looked at
    await to.login();
    to.relay.release();
    link.toProxy(f.method(0, 10, 61));
    for (const queue of [one, two]) {
      const { payload } = await client.answered('queue.declare-ok');
      expect(payload.toString('latin1', 5, 5 + payload[4])).to.equal(queue);
    }
  });

  it('is told again in the next alarm', async () => {
    const queue = queueName('blocked');
    const client = await told(queue);
    for (let round = 0; round < 2; round++) {
      await client.call(f.channelClose(1), 'channel.close-ok');
      ring(false);
      await client.next('connection.unblocked');
      ring(true);
      await client.open(1);
      await client.call(f.publish(1, queue, 'x'), 'connection.blocked');
    }
  });
});

for (const settings of [
  ['max_upstreams = 1'],
  ['max_upstreams = 1', 'close = instant'],
  ['max_upstreams_total = 1'],
])
  describe(`A client on an upstream that the broker has blocked, where there can be no other, ${settings.join(', ')}`, () => {
    const to = relayed([...settings, 'max_upstream_channels = 10', 'lease_timeout = 1'], true);

    /** A client that has declared a queue, on a link that the broker has blocked since: it reads no more there. */
    const blocked = async (queue: string): Promise<{ client: RawClient; link: Link }> => {
      const client = await to.client(queue);
      const [link] = to.relay.links;
      to.relay.fromProxy = (_frame, { number }) => (number === link.number ? 'hold' : 'pass');
      link.toProxy(f.method(0, 10, 60, f.w().shortstr('low on memory').take()));
      await until('the alarm', async () => {
        const { port } = to.relay;
        return (await to.proxy.metric(`upstreams_blocked{upstream="127.0.0.1:${port}"}`)) === 1;
      });
      return { client, link };
    };
    const over = (link: Link): void => {
      to.relay.release();
      link.toProxy(f.method(0, 10, 61));
    };
    /** The answer came within a second. */
    const comes = (client: RawClient, name: string): Promise<boolean> =>
      client.next(name, 1).then(
        () => true,
        () => false,
      );

    it('takes one channel for all that it does there', async () => {
      const queue = queueName('nowhere');
      const { client, link } = await blocked(queue);
      const before = await to.proxy.metric('channels_opened_total');
      for (let n = 0; n < 50; n++) client.send(f.declare(1, `${queue}-${n}`, f.DURABLE | f.NO_WAIT));
      await to.login();
      expect(await to.proxy.metric('channels_opened_total')).to.be.at.most(before + 1);
      over(link);
      for (const n of [0, 49]) await client.ask(f.declare(1, `${queue}-${n}`, f.PASSIVE), 'queue.declare-ok');
    });

    /** What somebody does there over and over, until it is not answered any more; the name of the answer. */
    const LOOPS: Record<string, (queue: string, client: RawClient) => Promise<boolean>> = {
      'opens and closes a channel': async (queue, client) => {
        client.send(f.declare(1, queue, f.DURABLE | f.NO_WAIT), f.channelClose(1));
        const answered = await comes(client, 'channel.close-ok');
        if (answered) await client.open(1);
        return answered;
      },
      'connects and leaves': async queue => {
        const client = await to.login();
        await client.open(1);
        client.send(f.declare(1, queue, f.DURABLE | f.NO_WAIT), f.connectionClose());
        return comes(client, 'connection.close-ok');
      },
    };
    for (const [what, act] of Object.entries(LOOPS))
      it(`and ${what} over and over, leaves channels for others`, async () => {
        const queue = queueName('nowhere');
        const { client, link } = await blocked(queue);
        for (let n = 0; n < 30 && (await act(queue, client)); n++);
        const neighbour = await to.login();
        await neighbour.open(1);
        neighbour.send(f.declare(1, queue, f.PASSIVE));
        expect(await comes(neighbour, 'queue.declare-ok'), 'answered in the alarm').to.equal(false);
        // longer than lease_timeout
        expect(await neighbour.next('connection.close', 2).catch(() => null)).to.equal(null);
        over(link);
        await neighbour.answered('queue.declare-ok');
      });
  });
