/** What the proxy is for: short-lived clients over few long-lived upstreams, and nothing of one lease in the next. */
import { connect } from 'amqplib';
import { expect } from 'chai';
import { methodFrame, Writer } from '../../src/amqp/frame.ts';
import { key } from '../../src/amqp/methods.ts';
import { settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sharedBroker, until } from '../support/rabbitmq.ts';
import { bodyFrame, closeOf, declareArgs, header, publish, RawClient } from '../support/raw-client.ts';

const FAST = { noDelay: true };

describe('Reuse of upstreams', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy;

  before(async () => {
    broker = await sharedBroker();
    proxy = await AmqProxy.start(broker.url);
  });
  after(() => proxy.stop());

  const upstreams = async (): Promise<string[][]> =>
    broker.list('list_connections', 'pid', 'user', 'vhost', 'channels');

  it('serves 1,000 short connections of one user over at most 2 upstreams, each message arriving once', async () => {
    const opened = (proxy.log.match(/Upstream opened/g) ?? []).length;
    const setup = await RawClient.start(proxy.port);
    await setup.open(1);
    setup.method(1, 'queue.declare', declareArgs('thousand'));
    await setup.next('queue.declare-ok');
    setup.destroy();
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < 1000) {
        const id = next++;
        const connection = await connect(proxy.url, FAST);
        const channel = await connection.createChannel();
        channel.sendToQueue('thousand', Buffer.from(String(id)));
        await channel.close();
        await connection.close();
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    expect((proxy.log.match(/Upstream opened/g) ?? []).length - opened).to.be.at.most(2);
    const seen = new Set<string>();
    const connection = await connect(proxy.url, FAST);
    const channel = await connection.createChannel();
    for (let i = 0; i < 1000; i++) {
      const message = await channel.get('thousand', { noAck: true });
      expect(message, `message ${i}`).not.to.equal(false);
      seen.add((message as { content: Buffer }).content.toString());
    }
    expect(await channel.get('thousand', { noAck: true })).to.equal(false);
    expect(seen.size).to.equal(1000);
    await connection.close();
  });

  it('keeps no socket of clients that have left', async () => {
    const leave = async (): Promise<void> => {
      const client = await RawClient.start(proxy.port);
      client.method(0, 'connection.close', new Writer().short(200).shortstr('').short(0).short(0).take());
      await client.next('connection.close-ok');
      client.socket.end();
      await new Promise(resolve => client.socket.once('close', resolve));
    };
    await leave();
    const before = proxy.descriptors;
    for (let i = 0; i < 40; i++) await leave();
    expect(proxy.descriptors - before).to.be.below(20);
  });

  it('shares no upstream between two users, nor between two vhosts', async () => {
    await broker.ctl('add_vhost', 'other');
    await broker.addUser('anna', 'wonder', '/', 'other');
    const clients = await Promise.all([
      RawClient.start(proxy.port),
      RawClient.start(proxy.port, { user: 'anna', secret: 'wonder' }),
      RawClient.start(proxy.port, { user: 'anna', secret: 'wonder', vhost: 'other' }),
    ]);
    for (const client of clients) {
      await client.open(1);
      client.method(1, 'queue.declare', declareArgs('mine'));
      await client.next('queue.declare-ok');
    }
    const pairs = (await upstreams()).map(([, user, vhost]) => `${user}@${vhost}`);
    expect(new Set(pairs)).to.deep.equal(new Set(['guest@/', 'anna@/', 'anna@other']));
    expect((await broker.list('list_queues', '-p', 'other', 'name')).flat()).to.deep.equal(['mine']);
    for (const client of clients) client.destroy();
  });

  it('carries 200 channels of one client', async () => {
    const connection = await connect(proxy.url, FAST);
    const names = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const channel = await connection.createChannel();
        const { queue } = await channel.assertQueue(`many-${i % 10}`);
        channel.sendToQueue(queue, Buffer.from(String(i)));
        await channel.close();
        return queue;
      }),
    );
    expect(names).to.have.length(200);
    for (let i = 0; i < 10; i++) expect(await broker.messages(`many-${i}`)).to.equal(20);
    await connection.close();
  });

  it('names its upstreams in a way an operator understands', async () => {
    const client = await RawClient.start(proxy.port);
    const rows = await broker.list('list_connections', 'client_properties');
    expect(rows.flat().join('\n')).to.match(/"connection_name","amqproxy [^"]+: guest@\/ #\d+"/);
    client.destroy();
  });

  for (const min of [0, 1])
    it(`closes upstreams that are idle for idle_connection_timeout, but for min_upstreams = ${min}`, async () => {
      const file = settingsFile('idle_connection_timeout = 0.2', `min_upstreams = ${min}`);
      const idle = await AmqProxy.withMetrics(broker.url, ['-c', file]);
      const upstreams = (): Promise<number> => idle.metric('upstream_connections');
      const clients = await Promise.all([1, 2, 3].map(() => RawClient.start(idle.port)));
      for (const client of clients) {
        await client.open(1);
        // each on a private upstream
        await client.call(methodFrame(1, key(90, 10), Buffer.alloc(0)), 'tx.select-ok');
      }
      expect(await upstreams()).to.be.at.least(3);
      for (const client of clients) client.destroy();
      await until(`${min} upstreams to be left`, async () => (await upstreams()) === min);
      await idle.stop();
    });

  describe('nothing of a lease shows in the next', () => {
    /** Runs a dirty lease and then a clean one, both as clients of their own. */
    const lease = async (use: (client: RawClient) => Promise<void>): Promise<void> => {
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      await use(client);
      client.method(1, 'channel.close', new Writer().short(200).shortstr('').short(0).short(0).take());
      await client.next('channel.close-ok');
      client.method(0, 'connection.close', new Writer().short(200).shortstr('').short(0).short(0).take());
      await client.next('connection.close-ok');
      client.destroy();
    };
    const consume = (queue: string, noAck = false): Buffer =>
      new Writer()
        .short(0)
        .shortstr(queue)
        .shortstr('tag')
        .octet(noAck ? 2 : 0)
        .long(0)
        .take();
    const get = (queue: string, noAck: boolean): Buffer =>
      new Writer()
        .short(0)
        .shortstr(queue)
        .octet(noAck ? 1 : 0)
        .take();

    before(async () => {
      await lease(async client => {
        client.method(1, 'queue.declare', declareArgs('leak'));
        await client.next('queue.declare-ok');
      });
    });
    beforeEach(() => broker.ctl('purge_queue', 'leak'));

    it('no prefetch bound', async () => {
      await lease(async client => {
        client.method(1, 'basic.qos', new Writer().long(0).short(1).octet(0).take());
        await client.next('basic.qos-ok');
      });
      await lease(async client => {
        for (let i = 0; i < 5; i++) client.send(publish(1, 'leak', Buffer.from('x')));
        client.method(1, 'basic.consume', consume('leak'));
        for (let i = 0; i < 5; i++) await client.next('basic.deliver');
      });
    });

    it('no global prefetch bound', async () => {
      await lease(async client => {
        client.method(1, 'basic.qos', new Writer().long(0).short(1).octet(1).take());
        await client.next('basic.qos-ok');
      });
      await lease(async client => {
        for (let i = 0; i < 3; i++) client.send(publish(1, 'leak', Buffer.from('x')));
        client.method(1, 'basic.consume', consume('leak'));
        for (let i = 0; i < 3; i++) await client.next('basic.deliver');
      });
    });

    it('confirm numbers begin at 1, and a channel without confirms gets none', async () => {
      for (let round = 0; round < 3; round++)
        await lease(async client => {
          client.method(1, 'confirm.select', Buffer.from([0]));
          await client.next('confirm.select-ok');
          for (let n = 1; n <= 3; n++) {
            client.send(publish(1, 'leak', Buffer.from('x')));
            const ack = await client.next('basic.ack');
            expect(ack!.payload.readBigUInt64BE(4)).to.equal(BigInt(n));
          }
        });
      await lease(async client => {
        client.send(publish(1, 'leak', Buffer.from('x')));
        client.method(1, 'queue.declare', declareArgs('leak'));
        await client.next('queue.declare-ok');
        expect(client.frames.map(f => f.name)).to.deep.equal([]);
      });
    });

    it('delivery tags begin at 1', async () => {
      for (let round = 0; round < 3; round++)
        await lease(async client => {
          client.send(publish(1, 'leak', Buffer.from('x')), publish(1, 'leak', Buffer.from('x')));
          for (let n = 1; n <= 2; n++) {
            client.method(1, 'basic.get', get('leak', true));
            const ok = await client.next('basic.get-ok');
            expect(ok!.payload.readBigUInt64BE(4)).to.equal(BigInt(n));
          }
        });
    });

    it('an unknown delivery tag is named as the client gave it', async () => {
      await lease(async client => {
        client.send(publish(1, 'leak', Buffer.from('x')));
        client.method(1, 'basic.get', get('leak', true));
        await client.next('basic.get-ok');
      });
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      client.method(1, 'basic.ack', new Writer().longlong(7n).octet(0).take());
      expect(closeOf((await client.next('channel.close'))!).text).to.equal(
        'PRECONDITION_FAILED - unknown delivery tag 7',
      );
      client.destroy();
    });

    it('no consumer, and unacked messages are back', async () => {
      await lease(async client => {
        client.send(publish(1, 'leak', Buffer.from('kept')));
        client.method(1, 'basic.consume', consume('leak'));
        await client.next('basic.deliver');
      });
      await until('the consumer to be gone', async () => (await broker.list('list_consumers')).length === 0);
      await lease(async client => {
        client.method(1, 'basic.get', get('leak', true));
        expect((await client.next(f => f.type === 3))!.payload.toString()).to.equal('kept');
        await new Promise(resolve => setImmediate(resolve));
        expect(client.frames.map(f => f.name)).not.to.include('basic.deliver');
      });
    });

    it('an unacked get is requeued', async () => {
      await lease(async client => {
        client.send(publish(1, 'leak', Buffer.from('again')));
        client.method(1, 'basic.get', get('leak', false));
        await client.next('basic.get-ok');
      });
      await lease(async client => {
        client.method(1, 'basic.get', get('leak', true));
        expect(await client.next('basic.get-ok')).not.to.equal(null);
      });
    });

    it('no transaction: an uncommitted publish is gone and the next lease publishes at once', async () => {
      await lease(async client => {
        client.method(1, 'tx.select');
        await client.next('tx.select-ok');
        client.send(publish(1, 'leak', Buffer.from('never')));
      });
      await lease(async client => {
        client.send(publish(1, 'leak', Buffer.from('at once')));
      });
      expect(await broker.messages('leak')).to.equal(1);
    });

    it('no returned message of a stranger', async () => {
      for (let round = 0; round < 20; round++) {
        const gone = await RawClient.start(proxy.port);
        await gone.open(1);
        gone.send(publish(1, 'nowhere-at-all', Buffer.from('lost'), '', 1));
        gone.destroy();
        await lease(async client => {
          client.method(1, 'queue.declare', declareArgs('leak'));
          await client.next('queue.declare-ok');
          expect(client.frames.map(f => f.name)).to.deep.equal([]);
        });
      }
    });

    it('a returned message reaches its own client', async () => {
      await lease(async client => {
        client.send(publish(1, 'nowhere-at-all', Buffer.from('lost'), '', 1));
        const back = await client.next('basic.return');
        expect(back!.payload.readUInt16BE(4)).to.equal(312);
        expect((await client.next('body'))!.payload.toString()).to.equal('lost');
      });
    });

    it('no default queue name', async () => {
      await lease(async client => {
        client.method(1, 'queue.declare', declareArgs('leak'));
        await client.next('queue.declare-ok');
        client.method(1, 'queue.purge', new Writer().short(0).shortstr('').octet(0).take());
        await client.next('queue.purge-ok');
      });
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      client.method(1, 'queue.purge', new Writer().short(0).shortstr('').octet(0).take());
      const why = closeOf((await client.next('channel.close'))!);
      expect(why).to.deep.equal({
        code: 404,
        text: 'NOT_FOUND - no previously declared queue',
        classId: 50,
        methodId: 30,
      });
      client.method(1, 'channel.close-ok');
      await client.open(1);
      client.destroy();
    });

    it('the default queue name goes with a channel that is promoted', async () => {
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      client.method(1, 'queue.declare', declareArgs('', 2));
      const declared = await client.next('queue.declare-ok');
      const name = declared!.payload.toString('utf8', 5, 5 + declared!.payload[4]);
      client.send(publish(1, name, Buffer.from('hello')));
      client.method(1, 'basic.consume', consume(''));
      await client.next('basic.deliver');
      client.method(1, 'queue.delete', new Writer().short(0).shortstr('').octet(0).take());
      await client.next('queue.delete-ok');
      client.destroy();
    });
  });

  describe('a client that dies', () => {
    it('in the middle of a frame, or of a message, harms nobody', async () => {
      const neighbour = await RawClient.start(proxy.port);
      await neighbour.open(1);
      neighbour.method(1, 'queue.declare', declareArgs('neighbour'));
      await neighbour.next('queue.declare-ok');
      neighbour.method(1, 'confirm.select', Buffer.from([0]));
      await neighbour.next('confirm.select-ok');
      const message = publish(1, 'neighbour', Buffer.alloc(300, 1));
      for (let cut = 1; cut < message.length; cut += 7) {
        const victim = await RawClient.start(proxy.port);
        await victim.open(1);
        victim.send(message.subarray(0, cut));
        victim.socket.end();
        victim.destroy();
        neighbour.send(publish(1, 'neighbour', Buffer.from('alive')));
        expect(
          (await neighbour.next(f => f.name === 'basic.ack' || f.name.endsWith('close')))!.name,
        ).to.equal('basic.ack');
      }
      neighbour.destroy();
    });

    it('in the middle of a 20 MiB message harms nobody', async () => {
      const neighbour = await RawClient.start(proxy.port);
      await neighbour.open(1);
      neighbour.method(1, 'confirm.select', Buffer.from([0]));
      await neighbour.next('confirm.select-ok');
      const victim = await RawClient.start(proxy.port);
      await victim.open(1);
      const head = publish(1, 'neighbour', Buffer.alloc(0));
      victim.send(head.subarray(0, head.length - 22), header(1, 20 * 1024 * 1024));
      for (let i = 0; i < 40; i++) victim.send(bodyFrame(1, Buffer.alloc(100_000, i)));
      await until('4 MB to be taken', () => victim.socket.writableLength === 0);
      victim.destroy();
      neighbour.send(publish(1, 'neighbour', Buffer.from('alive')));
      expect((await neighbour.next(f => f.name === 'basic.ack' || f.name.endsWith('close')))!.name).to.equal(
        'basic.ack',
      );
      neighbour.destroy();
    });
  });
});
