/**
 * The connection to the broker breaks at the worst moment: while a channel or a connection is being closed, while a lease is
 * given back, while an error is on its way. What was published and not proven to be with the broker is never told done, and
 * whoever has lost something hears of it. Losses at quieter moments: upstream-loss.test.ts.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import type { Link } from '../support/frame-relay.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, type Frame, RawClient } from '../support/raw-client.ts';
import { relayed } from '../support/relayed.ts';

const ends = ({ name }: Frame): boolean => name.startsWith('connection.close');

/** The client is told 320, or its connection just ends: no close-ok, no silence. */
async function hearsOfIt(client: RawClient): Promise<void> {
  const end = await client.next(ends, 5);
  expect(end?.name).to.be.oneOf([undefined, 'connection.close']);
  if (end !== null) expect(closeOf(end).code).to.equal(320);
}

/** How an upstream may be lost. */
const LOSSES: Record<string, (link: Link) => void> = {
  'the network dies': link => link.cut(),
  'the broker closes the connection': link =>
    link.toProxy(f.connectionClose(320, 'CONNECTION_FORCED - maintenance')),
};

/** Who publishes on channel 1, and what it has done before. */
const PUBLISHERS: Record<string, (client: RawClient, queue: string) => Promise<unknown>> = {
  'a publisher': async () => {},
  'a publisher with confirms': client => client.call(f.confirmSelect(1), 'confirm.select-ok'),
  'a publisher that consumes elsewhere': async (client, queue) => {
    await client.open(2);
    await client.call(f.qos(2, 1), 'basic.qos-ok');
    await client.call(f.consume(2, queue, 'tag'), 'basic.consume-ok');
  },
};

const GOODBYES: Record<string, Buffer> = {
  'closes its connection': f.connectionClose(),
  'closes channel and connection in one go': Buffer.concat([f.channelClose(1), f.connectionClose()]),
};

const MODES = {
  'pool_mode = shared': [],
  'consumers = shared': ['consumers = shared'],
  'pool_mode = session': ['pool_mode = session'],
};

for (const [mode, settings] of Object.entries(MODES))
  describe(`Closed means done, ${mode}`, () => {
    const to = relayed(settings);

    for (const [how, lose] of Object.entries(LOSSES))
      for (const [who, prepare] of Object.entries(PUBLISHERS))
        for (const [what, goodbye] of Object.entries(GOODBYES))
          it(`${who} that ${what} hears no close-ok when ${how} before the broker has its message`, async () => {
            const queue = queueName('closed');
            const client = await to.client(queue);
            await prepare(client, queue);
            void to.atBarrier(lose);
            client.send(f.publish(1, queue, 'x'), goodbye);
            await hearsOfIt(client);
          });
  });

describe('A loss while a client leaves', () => {
  const to = relayed([], true);

  for (const [what, goodbye] of Object.entries(GOODBYES))
    it(`tells a client that ${what} right after what ends it at the broker, in the broker’s words`, async () => {
      const client = await to.client(queueName('strange'));
      client.send(f.declareExchange(1, queueName('strange'), 'no-such-type'), goodbye);
      const end = await client.next(ends, 5);
      expect(end?.name).to.equal('connection.close');
      expect(closeOf(end!).code).to.equal(503);
    });
});

describe('A loss while a channel changes its upstream channel, pool_mode = session', () => {
  const to = relayed(['pool_mode = session']);

  it('is not noticed by a client that has published nothing: it goes on over another upstream', async () => {
    const queue = queueName('changes');
    const first = await to.client(queue);
    await first.ask(f.confirmSelect(1), 'confirm.select-ok');
    await first.ask(f.connectionClose(), 'connection.close-ok');
    first.destroy();
    // gets the channel that confirms, which takes no transactions
    const client = await to.client(queue);
    const lost = to.atBarrier(link => link.cut());
    client.send(f.txSelect(1));
    await lost;
    await client.answered('tx.select-ok');
    await client.ask(f.connectionClose(), 'connection.close-ok');
  });
});

describe('A loss while a client moves to a private upstream', () => {
  const to = relayed([], true);

  it('tells one that still waits for an answer from the upstream it leaves', async () => {
    const queue = queueName('owed');
    const client = await to.client(queue);
    void to.atBarrier(link => link.cut());
    client.send(f.declare(1, queue, f.DURABLE), f.get(1, queue));
    await hearsOfIt(client);
  });

  it('is not noticed by one that waits for nothing: it goes on over there', async () => {
    const queue = queueName('owed');
    const client = await to.client(queue);
    const lost = to.atBarrier(link => link.cut());
    client.send(f.get(1, queue));
    await lost;
    await client.answered('basic.get-empty');
  });
});

describe('A loss while a lease is given back', () => {
  const to = relayed([], true);

  it('tells a client that published and has been quiet since: its message is lost', async () => {
    const queue = queueName('quiet');
    const client = await to.client(queue);
    const lost = to.atBarrier(link => link.cut());
    client.send(f.publish(1, queue, 'x'));
    await lost;
    await hearsOfIt(client);
  });

  it('is no close-ok for a client that closes at that moment', async () => {
    const queue = queueName('quiet');
    const client = await to.client(queue);
    const held = to.heldAtBarrier();
    client.send(f.publish(1, queue, 'x'));
    await held;
    client.send(f.connectionClose());
    await to.login(); // the proxy has read the close by now
    to.relay.cut();
    await hearsOfIt(client);
  });

  it('leaves a client alone that has published nothing', async () => {
    const queue = queueName('quiet');
    const client = await to.client(queue);
    await to.atBarrier(link => link.cut());
    await client.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
  });

  it('is no close-ok for a client that is leaving when SIGTERM comes', async () => {
    const queue = queueName('leaving');
    const client = await to.client(queue);
    const held = to.heldAtBarrier();
    client.send(f.publish(1, queue, 'x'), f.connectionClose());
    await held;
    to.proxy.signal('SIGTERM');
    await until('the drain to begin', () => to.proxy.log.includes('SIGTERM'));
    to.relay.cut();
    await hearsOfIt(client);
  });

  it('does not happen, and SIGTERM comes: the close is answered when the broker has the message, not before', async () => {
    const queue = queueName('leaving');
    const client = await to.client(queue);
    const held = to.heldAtBarrier();
    client.send(f.publish(1, queue, 'x'), f.connectionClose());
    await held;
    to.proxy.signal('SIGTERM');
    await until('new clients to be refused', () =>
      RawClient.connect(to.proxy.port).then(
        late => late.destroy(),
        () => true,
      ),
    );
    expect(client.frames.map(frame => frame.name)).to.deep.equal([]);
    to.relay.release();
    expect((await client.next(ends))?.name).to.equal('connection.close-ok');
    client.destroy();
    expect(await to.proxy.exited()).to.equal(0);
    const check = await RawClient.start(to.broker.port);
    await check.open(1);
    await until('the message', async () => {
      const { payload } = (await check.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok'))!;
      return payload.readUInt32BE(5 + queue.length) === 1;
    });
    check.destroy();
  });
});

describe('A loss while an error is on its way (consumers = shared)', () => {
  const to = relayed(['consumers = shared'], true);

  /** A client whose channel 1 consumes from a shared upstream, and a neighbour that publishes with confirms on another. */
  const consumerAndNeighbour = async (queue: string): Promise<[RawClient, RawClient]> => {
    const neighbour = await to.client(queueName('neighbour'));
    await neighbour.call(f.confirmSelect(1), 'confirm.select-ok');
    const consumer = await to.client(queue);
    await consumer.call(f.qos(1, 2), 'basic.qos-ok');
    await consumer.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
    return [consumer, neighbour];
  };
  /** Cuts the link over which the next channel.close goes to the broker. */
  const cutAtClose = (): void => {
    to.relay.fromProxy = ({ name }, link) => {
      if (name !== 'channel.close') return 'pass';
      to.relay.fromProxy = null;
      link.cut();
      return 'drop';
    };
  };
  const lives = async (neighbour: RawClient): Promise<void> => {
    expect(to.proxy.running, to.proxy.log).to.equal(true);
    await neighbour.call(f.publish(1, queueName('none'), 'x'), 'basic.ack');
  };

  it('a consumer amid a message that is too large to be held back hears 320, and nobody else notices', async () => {
    const queue = queueName('large');
    const [consumer, neighbour] = await consumerAndNeighbour(queue);
    cutAtClose();
    const body = Buffer.alloc(100_000);
    consumer.send(f.publishMethod(1, queue), f.headerWith(1, 3_000_000, 0), f.bodyFrame(1, body));
    await until('the loss', () => to.proxy.log.includes('Upstream lost'));
    for (let n = 1; n < 30; n++) consumer.send(f.bodyFrame(1, body));
    const end = await consumer.next(ends);
    expect(to.proxy.running, to.proxy.log).to.equal(true);
    expect(closeOf(end!).code).to.equal(320);
    await lives(neighbour);
  });

  for (const [what, frames] of Object.entries({
    'a get': (queue: string) => f.get(1, queue),
    'a transaction': () => f.txSelect(1),
    'an exclusive queue': () => f.declare(1, '', f.EXCLUSIVE),
  }))
    it(`a consumer whose channel is being closed because of ${what} hears 320: its consumer is lost`, async () => {
      const queue = queueName('rooted');
      const [consumer, neighbour] = await consumerAndNeighbour(queue);
      cutAtClose();
      consumer.send(frames(queue));
      const end = await consumer.next(frame => frame.name.endsWith('.close'));
      expect(end!.name).to.equal('connection.close');
      expect(closeOf(end!).code).to.equal(320);
      await lives(neighbour);
    });

  it('a client that binds the last declared queue on a channel that has declared none is not left without an answer', async () => {
    const queue = queueName('default');
    // the channel that is lent next has declared a queue before, for another client
    const other = await to.client(queue);
    await other.call(f.connectionClose(), 'connection.close-ok');
    const client = await to.login();
    await client.open(1);
    client.send(f.publish(1, queue, 'x'));
    void to.atBarrier(link => link.cut());
    client.send(f.bind(1, '', 'amq.fanout'));
    await hearsOfIt(client);
  });
});
