/** SIGTERM: nobody new, the old finish or are told, nothing that was confirmed or closed is lost. */
import { connect as dial } from 'node:net';
import { expect } from 'chai';
import { PROTOCOL_HEADER, Writer } from '../../src/amqp/frame.ts';
import * as f from '../differential/frames.ts';
import { direct, Fixture, proxyOnly, queueName } from '../support/fixture.ts';
import { sleep, until } from '../support/rabbitmq.ts';
import { closeOf, declareArgs, publish, RawClient } from '../support/raw-client.ts';

const accepts = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = dial(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

describe('Draining', () => {
  const to = new Fixture();

  before(function () {
    proxyOnly(this);
  });
  beforeEach(() => to.start());
  afterEach(() => (direct ? undefined : to.stop()));

  const restart = async (...args: string[]): Promise<void> => {
    await to.stop();
    await to.start(args);
  };

  const count = async (queue: string): Promise<number> => {
    const connection = await to.toBroker();
    const { messageCount } = await (await connection.createChannel()).checkQueue(queue);
    await connection.close();
    return messageCount;
  };
  const client = async (queue: string): Promise<RawClient> => {
    const one = await RawClient.start(to.port);
    await one.open(1);
    one.method(1, 'queue.declare', declareArgs(queue));
    await one.next('queue.declare-ok');
    return one;
  };

  /** Answers connection.close and hangs up, as client libraries do. */
  const leave = (one: RawClient): void => {
    one.method(0, 'connection.close-ok');
    one.socket.end();
  };

  it('without clients ends at once, its upstreams closed politely', async () => {
    const known = to.broker.log.length;
    const one = await client(queueName());
    one.method(0, 'connection.close', new Writer().short(200).shortstr('').short(0).short(0).take());
    await one.next('connection.close-ok');
    one.destroy();
    to.proxy.signal('SIGTERM');
    expect(await to.proxy.exited()).to.equal(0);
    await until('the broker to see the end', () =>
      to.broker.log.slice(known).includes('closing AMQP connection'),
    );
    expect(to.broker.log.slice(known)).not.to.match(/unexpectedly closed TCP connection/);
  });

  it('tells 200 clients 320, each once, and ends when they have answered', async () => {
    const queue = queueName();
    const clients = await Promise.all(Array.from({ length: 200 }, () => client(queue)));
    to.proxy.signal('SIGTERM');
    for (const one of clients) {
      expect(closeOf((await one.next('connection.close'))!).code).to.equal(320);
      leave(one);
    }
    expect(await to.proxy.exited()).to.equal(0);
    expect(clients.flatMap(one => one.frames)).to.deep.equal([]);
  });

  /** It publishes, and leaves by itself; gives what it hears. */
  const finish = async (one: RawClient, queue: string): Promise<string> => {
    one.send(publish(1, queue, Buffer.from('last words')), f.connectionClose());
    const heard = await one.next(frame => frame.name.startsWith('connection.close'));
    one.destroy();
    return heard!.name;
  };

  it('gives who has just come a moment to leave by himself; who consumes, or has been there longer, is told at once', async () => {
    const queue = queueName();
    const old = await client(queue);
    await sleep(5500); // from five seconds on nobody is taken for one that is about to leave
    const consumer = await client(queue);
    consumer.send(f.consume(1, queue));
    await consumer.next('basic.consume-ok');
    const passing = await client(queue);
    to.proxy.signal('SIGTERM');
    for (const one of [consumer, old]) {
      expect(closeOf((await one.next('connection.close'))!).code).to.equal(320);
      leave(one);
    }
    expect(await finish(passing, queue)).to.equal('connection.close-ok');
    expect(await to.proxy.exited()).to.equal(0);
    expect(await count(queue)).to.equal(1);
  });

  it('serves who was about to log in', async () => {
    const queue = queueName();
    const one = await RawClient.connect(to.port);
    one.send(PROTOCOL_HEADER);
    await one.next('connection.start');
    to.proxy.signal('SIGTERM');
    await until('the port to be closed', async () => !(await accepts(to.port)));
    one.startOk(undefined, 'PLAIN', Buffer.from('\0guest\0guest'));
    await one.next('connection.tune');
    one.tuneOk(2047, 131072, 0);
    one.openVhost('/');
    await one.next('connection.open-ok');
    await one.open(1);
    one.method(1, 'queue.declare', declareArgs(queue));
    expect(await finish(one, queue)).to.equal('connection.close-ok');
    expect(await to.proxy.exited()).to.equal(0);
    expect(await count(queue)).to.equal(1);
  });

  it('serves who has connected and was not accepted yet', async () => {
    const queue = queueName();
    to.proxy.signal('SIGSTOP');
    const waiting = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(to.port)));
    to.proxy.signal('SIGTERM');
    to.proxy.signal('SIGCONT');
    const lives = waiting.map(async one => {
      expect((await one.login())?.name).to.equal('connection.open-ok');
      await one.open(1);
      one.method(1, 'queue.declare', declareArgs(queue));
      return finish(one, queue);
    });
    expect(new Set(await Promise.all(lives))).to.deep.equal(new Set(['connection.close-ok']));
    expect(await to.proxy.exited()).to.equal(0);
    expect(await count(queue)).to.equal(40);
  });

  it('delivers what it had taken from its clients', async () => {
    const queue = queueName();
    const one = await client(queue);
    // what is still on the way when connection.close is sent may be dropped (AMQP 0-9-1, connection.close): hence a round trip
    for (let n = 0; n < 2000; n++) one.send(publish(1, queue, Buffer.from(`${n}`)));
    one.method(1, 'queue.declare', declareArgs(queue));
    await one.next('queue.declare-ok');
    to.proxy.signal('SIGTERM');
    await one.next('connection.close');
    leave(one);
    expect(await to.proxy.exited()).to.equal(0);
    await until('2,000 messages', async () => (await count(queue)) === 2000);
  });

  it('loses no confirmed message of publishers that go on until they are told', async () => {
    const queue = queueName();
    const publishers = await Promise.all(Array.from({ length: 4 }, () => client(queue)));
    let confirmed = 0;
    const work = publishers.map(async one => {
      one.method(1, 'confirm.select', Buffer.from([0]));
      await one.next('confirm.select-ok');
      for (;;) {
        one.send(publish(1, queue, Buffer.from('x')));
        const answer = await one.next(
          frame => frame.name === 'basic.ack' || frame.name === 'connection.close',
        );
        if (answer?.name !== 'basic.ack') break;
        confirmed++;
      }
      leave(one);
    });
    await until('100 confirms', () => confirmed >= 100);
    to.proxy.signal('SIGTERM');
    await Promise.all(work);
    expect(await to.proxy.exited()).to.equal(0);
    await until('the confirmed messages', async () => (await count(queue)) >= confirmed);
  });

  it('gives the unacked messages of a consumer back', async () => {
    const queue = queueName();
    const one = await client(queue);
    one.send(publish(1, queue, Buffer.from('x')));
    one.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr(queue).shortstr('').octet(0).long(0).take(),
    );
    await one.next('basic.deliver');
    to.proxy.signal('SIGTERM');
    await one.next('connection.close');
    leave(one);
    expect(await to.proxy.exited()).to.equal(0);
    await until('the message to be back', async () => (await count(queue)) === 1);
  });

  it('lets nobody new in', async () => {
    await restart('--term-client-close-timeout', '60');
    const queue = queueName();
    const one = await client(queue);
    to.proxy.signal('SIGTERM');
    await until('the port to be closed', async () => !(await accepts(to.port)));
    // who is in works on
    one.method(1, 'queue.declare', declareArgs(queue));
    await one.next('queue.declare-ok');
    one.destroy();
    expect(await to.proxy.exited()).to.equal(0);
  });

  it('waits term_client_close_timeout for clients to leave by themselves, with their last words', async () => {
    await restart('--term-client-close-timeout', '60');
    const queue = queueName();
    const one = await client(queue);
    to.proxy.signal('SIGTERM');
    await until('the drain to begin', () => to.proxy.log.includes('SIGTERM'));
    one.send(publish(1, queue, Buffer.from('last words')));
    one.method(0, 'connection.close', new Writer().short(200).shortstr('').short(0).short(0).take());
    expect((await one.next(frame => frame.name.includes('close')))!.name).to.equal('connection.close-ok');
    one.destroy();
    expect(await to.proxy.exited()).to.equal(0);
    expect(await count(queue)).to.equal(1);
  });

  it('ends clients that do not answer within term_timeout', async () => {
    await restart('--term-timeout', '1');
    const deaf = await client(queueName());
    to.proxy.signal('SIGTERM');
    await deaf.next('connection.close');
    expect(await to.proxy.exited()).to.equal(0);
    await deaf.closed();
  });

  it('ends at once on a second SIGTERM, whatever its clients do', async () => {
    const queue = queueName();
    const deaf = await client(queue);
    deaf.socket.pause();
    to.proxy.signal('SIGTERM');
    await until('the drain to begin', () => to.proxy.log.includes('SIGTERM'));
    expect(to.proxy.running).to.equal(true);
    to.proxy.signal('SIGTERM');
    expect(await to.proxy.exited()).to.equal(0);
    deaf.destroy();
  });
});
