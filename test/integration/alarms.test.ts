/** A broker whose memory alarm rings: publishers wait and are told, everybody else goes on. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { ready } from '../support/backlog.ts';
import { direct, fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const TOLD = { capabilities: { 'connection.blocked': true } };
const MODES = {
  'consumers = private': [],
  'consumers = shared': ['consumers = shared'],
  'pool_mode = session': ['pool_mode = session'],
};

for (const [mode, settings] of Object.entries(direct ? { 'no proxy': [] } : MODES))
  describe(`A memory alarm, ${mode}`, () => {
    const to = fixture(settings.length > 0 ? ['-c', settingsFile(...settings)] : []);
    const clients: RawClient[] = [];

    afterEach(async () => {
      await to.broker.alarm(false);
      for (const client of clients.splice(0)) client.destroy();
    });

    /** A client with channel 1 open that has declared a queue there. */
    const start = async (queue: string, options = {}): Promise<RawClient> => {
      const client = await RawClient.start(to.port, options);
      clients.push(client);
      await client.open(1);
      await client.call(f.declare(1, queue), 'queue.declare-ok');
      return client;
    };
    const names = (client: RawClient): string[] => client.frames.map(frame => frame.name);

    it('is told to the publishers that understand connection.blocked, once, and when it ends', async () => {
      const queue = queueName('alarm');
      const told = await start(queue, TOLD);
      const untold = await start(queue);
      const idle = await RawClient.start(to.port, TOLD);
      clients.push(idle);
      for (let round = 0; round < 2; round++) {
        await to.broker.alarm(true);
        for (const client of [told, untold]) client.send(f.publish(1, queue, 'x'));
        expect((await told.next(() => true))!.payload.toString('utf8', 5)).to.equal('low on memory');
        for (const client of [told, untold]) client.send(f.publish(1, queue, 'y'));
        await to.broker.alarm(false);
        expect((await told.next(() => true))!.name).to.equal('connection.unblocked');
        for (const client of [told, untold]) await client.call(f.declare(1, queue), 'queue.declare-ok');
        expect([...names(told), ...names(untold), ...names(idle)]).to.deep.equal([]);
      }
    });

    it('makes publishers wait, and loses nothing of theirs', async () => {
      const queue = queueName('alarm');
      const publisher = await start(queue, TOLD);
      await publisher.call(f.confirmSelect(1), 'confirm.select-ok');
      await to.broker.alarm(true);
      for (let n = 0; n < 20; n++) publisher.send(f.publish(1, queue, `${n}`));
      await publisher.next('connection.blocked');
      const other = await start(queue);
      // RabbitMQ takes the publish that makes it block the connection, and what it had read by then
      const taken = async (): Promise<number> =>
        (await other.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok'))!.payload.readUInt32BE(
          5 + queue.length,
        );
      const before = await taken();
      publisher.send(f.publish(1, queue, 'late'));
      expect(await taken()).to.equal(before);
      await to.broker.alarm(false);
      for (let confirmed = 0; confirmed < 21; ) {
        const ack = await publisher.next('basic.ack');
        confirmed = Number(ack!.payload.readBigUInt64BE(4));
      }
      expect(await taken()).to.equal(21);
    });

    it('stops neither the consumers that were there before nor their acks', async () => {
      const queue = queueName('alarm');
      const publisher = await start(queue, TOLD);
      const elsewhere = queueName('elsewhere');
      await publisher.call(f.declare(1, elsewhere), 'queue.declare-ok');
      const consumer = await start(queue, TOLD);
      for (let n = 1; n <= 10; n++) publisher.send(f.publish(1, queue, `${n}`));
      await consumer.call(f.qos(1, 1), 'basic.qos-ok');
      await consumer.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
      await consumer.next('basic.deliver');
      await to.broker.alarm(true);
      publisher.send(f.publish(1, elsewhere, 'waits'));
      await publisher.next('connection.blocked');
      for (let n = 1; n < 10; n++) await consumer.call(f.ack(1, n), 'basic.deliver');
      consumer.send(f.ack(1, 10));
      await to.broker.alarm(false);
      await publisher.next('connection.unblocked');
      publisher.send(f.publish(1, queue, 'after it'));
      await consumer.next('basic.deliver');
      expect(names(consumer)).not.to.include('connection.blocked');
    });

    for (const [what, known, confirms] of [
      ['as the first to publish', false, false],
      ['as the first to publish, with confirms', false, true],
      ['when others wait already', true, false],
    ] as const)
      it(`does not stop the acks of consumers beside one that publishes on its own channel, ${what}`, async () => {
        const [mine, theirs, elsewhere] = ['mine', 'theirs', 'elsewhere'].map(queueName);
        const publisher = await start(elsewhere, TOLD);
        /** A consumer of a queue with ten messages, that has been sent one. */
        const consumer = async (queue: string): Promise<RawClient> => {
          await publisher.ask(f.declare(1, queue), 'queue.declare-ok');
          for (let n = 1; n <= 10; n++) publisher.send(f.publish(1, queue, `${n}`));
          const client = await start(queue, TOLD);
          if (confirms) await client.ask(f.confirmSelect(1), 'confirm.select-ok');
          await client.ask(f.qos(1, 1), 'basic.qos-ok');
          await client.ask(f.consume(1, queue, 'tag'), 'basic.consume-ok');
          await client.answered('basic.deliver');
          return client;
        };
        const [both, beside] = [await consumer(mine), await consumer(theirs)];
        await to.broker.alarm(true);
        if (known) {
          publisher.send(f.publish(1, elsewhere, 'waits'));
          await publisher.answered('connection.blocked');
        }
        both.send(f.publish(1, elsewhere, 'waits'));
        await both.answered('connection.blocked');
        for (let n = 1; n < 10; n++) await beside.ask(f.ack(1, n), 'basic.deliver');
        expect(names(beside)).not.to.include('connection.blocked');
        await to.broker.alarm(false);
        await both.answered('connection.unblocked');
        for (let n = 1; n < 10; n++) await both.ask(f.ack(1, n), 'basic.deliver');
        if (confirms) await both.answered('basic.ack');
        await until('what waited', async () => (await ready(to.port, elsewhere)) === (known ? 2 : 1));
      });

    it('stops nobody who does not publish: declares and closes on channels in use are answered', async () => {
      const queue = queueName('alarm');
      const declarer = await start(queue, TOLD);
      // its channel stays in use
      const timer = setInterval(() => declarer.send(f.rawFrame(8, 0, Buffer.alloc(0))), 300);
      try {
        const publisher = await start(queue, TOLD);
        await to.broker.alarm(true);
        publisher.send(f.publish(1, queue, 'waits'));
        await publisher.answered('connection.blocked');
        await declarer.ask(f.declare(1, queue), 'queue.declare-ok');
        await declarer.ask(f.channelClose(1), 'channel.close-ok');
        await declarer.ask(f.connectionClose(), 'connection.close-ok');
      } finally {
        clearInterval(timer);
      }
    });

    it('lets new consumers begin, and others declare, get and leave', async () => {
      const queue = queueName('alarm');
      const publisher = await start(queue, TOLD);
      for (let n = 1; n <= 5; n++) publisher.send(f.publish(1, queue, `${n}`));
      await publisher.call(f.declare(1, queue), 'queue.declare-ok');
      await to.broker.alarm(true);
      publisher.send(f.publish(1, queue, 'waits'));
      await publisher.next('connection.blocked');
      const consumer = await start(queue);
      await consumer.call(f.qos(1, 1), 'basic.qos-ok');
      await consumer.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
      for (let n = 1; n <= 3; n++) {
        await consumer.next('basic.deliver');
        consumer.send(f.ack(1, n));
      }
      const getter = await start(queueName('alarm'));
      await getter.call(f.get(1, queue), 'basic.get-ok');
      await getter.call(f.channelClose(1), 'channel.close-ok');
      await getter.call(f.connectionClose(), 'connection.close-ok');
    });

    it('lets a publisher leave that closes while it is blocked, as soon as it ends', async () => {
      const queue = queueName('alarm');
      const publisher = await start(queue, TOLD);
      await to.broker.alarm(true);
      publisher.send(f.publish(1, queue, 'x'));
      await publisher.next('connection.blocked');
      publisher.send(f.connectionClose());
      await to.broker.alarm(false);
      expect(await publisher.next('connection.close-ok', 20)).not.to.equal(null);
    });

    it('does not upset a client that has a channel on a blocked upstream and begins a large message', async function () {
      proxyOnly(this);
      const queue = queueName('alarm');
      // an upstream that is idle by then
      const getter = await start(queue);
      await getter.call(f.get(1, queue), 'basic.get-empty');
      const publisher = await start(queue, TOLD);
      const large = await start(queue);
      await getter.call(f.connectionClose(), 'connection.close-ok');
      await to.broker.alarm(true);
      publisher.send(f.publish(1, queue, 'x'));
      await publisher.next('connection.blocked');
      large.send(f.publish(1, queue, Buffer.alloc(3_000_000)), f.declare(1, queue));
      await to.broker.alarm(false);
      expect(await large.next('queue.declare-ok', 20)).not.to.equal(null);
      expect(to.proxy.running).to.equal(true);
    });
  });
