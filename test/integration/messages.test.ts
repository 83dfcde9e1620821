/** Messages arrive whole, in order, once; a close means that what came before is done. */
import { createHash } from 'node:crypto';
import { connect } from 'amqplib';
import { expect } from 'chai';
import { methodFrame, Writer } from '../../src/amqp/frame.ts';
import { M } from '../../src/amqp/methods.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sharedBroker, until } from '../support/rabbitmq.ts';
import { bodyFrame, closeOf, declareArgs, header, publish, RawClient } from '../support/raw-client.ts';

const MiB = 1024 * 1024;
const FRAME_MAX = 131072;
const closeArgs = new Writer().short(200).shortstr('').short(0).short(0).take();

describe('Messages', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy;

  before(async () => {
    broker = await sharedBroker();
    proxy = await AmqProxy.start(broker.url);
  });
  after(() => proxy.stop());

  const pseudoRandom = (size: number, seed: number): Buffer => {
    const bytes = Buffer.allocUnsafe(size);
    let x = seed | 1;
    for (let i = 0; i < size; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      bytes[i] = x;
    }
    return bytes;
  };
  const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

  for (const size of [0, 1, FRAME_MAX - 8, FRAME_MAX - 7, MiB, 20 * MiB])
    it(`of ${size} bytes arrive intact, got and consumed`, async () => {
      const connection = await connect(proxy.url, { noDelay: true });
      const channel = await connection.createConfirmChannel();
      const { queue } = await channel.assertQueue(`size-${size}`);
      const body = pseudoRandom(size, size + 1);
      channel.sendToQueue(queue, body);
      channel.sendToQueue(queue, body);
      await channel.waitForConfirms();
      const got = await channel.get(queue, { noAck: true });
      expect(hash((got as { content: Buffer }).content)).to.equal(hash(body));
      const consumed = await new Promise<Buffer>(resolve => {
        void channel.consume(queue, message => message && resolve(message.content), { noAck: true });
      });
      expect(hash(consumed)).to.equal(hash(body));
      await channel.deleteQueue(queue);
      await connection.close();
    });

  it('of two clients publishing large messages at once are not mixed', async () => {
    const bodies = [pseudoRandom(900_000, 3), pseudoRandom(900_000, 7)];
    const results = await Promise.all(
      bodies.map(async (body, i) => {
        const connection = await connect(proxy.url, { noDelay: true });
        const channel = await connection.createConfirmChannel();
        const { queue } = await channel.assertQueue(`large-${i}`);
        for (let n = 0; n < 20; n++) channel.sendToQueue(queue, body);
        await channel.waitForConfirms();
        const hashes = new Set<string>();
        for (let n = 0; n < 20; n++)
          hashes.add(hash(((await channel.get(queue, { noAck: true })) as { content: Buffer }).content));
        await channel.deleteQueue(queue);
        await connection.close();
        return hashes;
      }),
    );
    expect(results.map(set => [...set])).to.deep.equal(bodies.map(body => [hash(body)]));
  });

  it('of interleaved channels of one client arrive whole', async () => {
    const client = await RawClient.start(proxy.port);
    for (const n of [1, 2, 3]) {
      await client.open(n);
      client.method(n, 'queue.declare', declareArgs(`weave-${n}`));
      await client.next('queue.declare-ok');
    }
    const heads = [1, 2, 3].map(n => publish(n, `weave-${n}`, Buffer.alloc(0)));
    const withoutHeader = heads.map(frame => frame.subarray(0, frame.length - 22));
    for (let round = 0; round < 50; round++) {
      client.send(...withoutHeader);
      client.send(header(1, 6), header(2, 3), bodyFrame(1, Buffer.from('abc')), header(3, 0));
      client.send(bodyFrame(2, Buffer.from('xyz')), bodyFrame(1, Buffer.from('def')));
    }
    for (const n of [1, 2, 3]) client.method(n, 'channel.close', closeArgs);
    for (const _ of [1, 2, 3]) await client.next('channel.close-ok');
    for (const n of [1, 2, 3]) expect(await broker.messages(`weave-${n}`)).to.equal(50);
    client.destroy();
  });

  it('cut at every byte arrive whole', async () => {
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('cut'));
    await client.next('queue.declare-ok');
    const two = Buffer.concat([
      publish(1, 'cut', Buffer.from('first body')),
      publish(1, 'cut', Buffer.from('second')),
    ]);
    for (let at = 1; at < two.length; at++) {
      client.send(two.subarray(0, at));
      await new Promise(resolve => setTimeout(resolve, 1));
      client.send(two.subarray(at));
    }
    client.method(1, 'channel.close', closeArgs);
    await client.next('channel.close-ok');
    expect(await broker.messages('cut')).to.equal(2 * (two.length - 1));
    client.destroy();
  });

  it('2,000 of them are counted once channel.close is answered', async () => {
    for (let round = 0; round < 3; round++) {
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      client.method(1, 'queue.declare', declareArgs('barrier'));
      await client.next('queue.declare-ok');
      client.method(1, 'queue.purge', new Writer().short(0).shortstr('barrier').octet(0).take());
      await client.next('queue.purge-ok');
      client.send(...Array.from({ length: 2000 }, () => publish(1, 'barrier', Buffer.from('x'))));
      client.method(1, 'channel.close', closeArgs);
      await client.next('channel.close-ok');
      expect(await broker.messages('barrier')).to.equal(2000);
      client.destroy();
    }
  });

  it('2,000 of them are with the broker once connection.close is answered', async () => {
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('barrier-2'));
    await client.next('queue.declare-ok');
    client.send(...Array.from({ length: 2000 }, () => publish(1, 'barrier-2', Buffer.from('x'))));
    client.method(0, 'connection.close', closeArgs);
    await client.next('connection.close-ok');
    client.destroy();
    await until('2,000 messages', async () => (await broker.messages('barrier-2')) === 2000);
  });

  it('an error of the last publish reaches the closing client', async () => {
    for (const close of ['channel.close', 'connection.close']) {
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      client.send(publish(1, 'x', Buffer.from('x'), 'no-such-exchange'));
      client.method(close === 'channel.close' ? 1 : 0, close, closeArgs);
      const error = await client.next(f => f.channel === 1 && f.name === 'channel.close');
      expect(closeOf(error!)).to.deep.equal({
        code: 404,
        text: "NOT_FOUND - no exchange 'no-such-exchange' in vhost '/'",
        classId: 60,
        methodId: 40,
      });
      await client.next(`${close}-ok`);
      client.destroy();
    }
  });

  it('that come after connection.close are read, and the socket is not reset', async () => {
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    const errors: Error[] = [];
    client.socket.on('error', error => errors.push(error));
    const ended = new Promise(resolve => client.socket.once('close', resolve));
    const late = publish(1, 'nobody', Buffer.alloc(100_000));
    client.send(methodFrame(0, M.CONNECTION_CLOSE, closeArgs), ...Array.from({ length: 50 }, () => late));
    await client.next('connection.close-ok');
    for (let n = 0; n < 50; n++) client.send(late);
    client.socket.end();
    await ended;
    expect(errors).to.deep.equal([]);
    expect(client.socket.bytesWritten).to.be.greaterThan(100 * 100_000);
  });

  it('on 64 channels, opened and published to in one write, arrive whole', async () => {
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('at-once'));
    await client.next('queue.declare-ok');
    const writes: Buffer[] = [];
    for (let n = 2; n <= 65; n++) writes.push(methodFrame(n, M.CHANNEL_OPEN, Buffer.from([0])));
    for (let round = 0; round < 3; round++)
      for (let n = 2; n <= 65; n++) writes.push(publish(n, 'at-once', Buffer.alloc(3000 + n, n)));
    client.send(...writes);
    for (let n = 2; n <= 65; n++) client.method(n, 'channel.close', closeArgs);
    for (let n = 2; n <= 65; n++) expect(await client.next('channel.close-ok')).not.to.equal(null);
    expect(await broker.messages('at-once')).to.equal(3 * 64);
    client.destroy();
  });

  it('and what else came before a promotion in one write is handled before it', async () => {
    for (let round = 0; round < 5; round++) {
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      client.send(
        methodFrame(1, M.QUEUE_DECLARE, declareArgs('promoted')),
        publish(1, 'promoted', Buffer.from('first')),
        methodFrame(1, M.BASIC_GET, new Writer().short(0).shortstr('promoted').octet(1).take()),
        methodFrame(1, M.QUEUE_DELETE, new Writer().short(0).shortstr('promoted').octet(0).take()),
      );
      for (const name of ['queue.declare-ok', 'basic.get-ok', 'header', 'body', 'queue.delete-ok'])
        expect((await client.next(() => true))!.name).to.equal(name);
      client.destroy();
    }
  });

  it('close = instant answers at once, and nothing is lost', async () => {
    const { writeFileSync } = await import('node:fs');
    const file = `${broker.dir}/instant.ini`;
    writeFileSync(file, '[main]\nclose = instant\n');
    const instant = await AmqProxy.start(broker.url, ['-c', file]);
    for (let round = 0; round < 20; round++) {
      const client = await RawClient.start(instant.port);
      await client.open(1);
      client.method(1, 'queue.declare', declareArgs('instant'));
      await client.next('queue.declare-ok');
      client.send(...Array.from({ length: 50 }, () => publish(1, 'instant', Buffer.from('x'))));
      client.method(0, 'connection.close', closeArgs);
      await client.next('connection.close-ok');
      client.destroy();
    }
    await until('1,000 messages', async () => (await broker.messages('instant')) === 1000);
    await instant.stop();
  });

  it('a body larger than the client’s frame_max is split for it', async () => {
    const client = await RawClient.start(proxy.port, { frameMax: 4096 });
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('split'));
    await client.next('queue.declare-ok');
    const connection = await connect(proxy.url, { noDelay: true });
    const channel = await connection.createConfirmChannel();
    const body = pseudoRandom(300_000, 9);
    channel.sendToQueue('split', body);
    await channel.waitForConfirms();
    client.method(1, 'basic.get', new Writer().short(0).shortstr('split').octet(1).take());
    await client.next('basic.get-ok');
    let seen = Buffer.alloc(0);
    while (seen.length < body.length) {
      const frame = await client.next('body');
      expect(frame!.payload.length).to.be.at.most(4088);
      seen = Buffer.concat([seen, frame!.payload]);
    }
    expect(hash(seen)).to.equal(hash(body));
    client.destroy();
    await connection.close();
  });
});
