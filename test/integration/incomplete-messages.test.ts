/** What a client has not sent to the end yet: it costs bounded memory, and hurts nobody however it is cut or broken off. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Canary } from '../support/canary.ts';
import { fixture, proxyOnly, queueName } from '../support/fixture.ts';
import { RawClient } from '../support/raw-client.ts';

const MiB = 1024 * 1024;

describe('Incomplete messages', () => {
  const to = fixture();
  before(function () {
    proxyOnly(this);
  });

  /** Proves that all the client has sent before was handled. */
  const handled = async (client: RawClient, channel: number): Promise<void> => {
    client.send(f.declare(channel, queueName('handled'), f.AUTO_DELETE));
    expect((await client.next(frame => frame.channel === channel || frame.channel === 0, 60))?.name).to.equal(
      'queue.declare-ok',
    );
  };

  it('on 150 channels, 1 MB announced on each, take no more than message_buffer', async function () {
    this.timeout(120_000);
    const client = await RawClient.start(to.proxy.port);
    const queue = queueName('announced');
    await client.open(1);
    await handled(client, 1);
    const rss = to.proxy.rss;
    const body = Buffer.alloc(131064, 1);
    const channels = Array.from({ length: 150 }, (_, n) => n + 2);
    for (const channel of channels)
      client.send(
        f.channelOpen(channel),
        f.publishMethod(channel, queue),
        f.headerWith(channel, 1_000_000, 0),
      );
    for (let n = 0; n < 7; n++) for (const channel of channels) client.send(f.bodyFrame(channel, body));
    await handled(client, 1);
    expect(to.proxy.rss - rss, 'memory of the proxy').to.be.lessThan(80 * MiB);
    client.destroy();
  });

  it('with body frames of no bytes without end take no memory', async () => {
    const client = await RawClient.start(to.proxy.port);
    await client.open(1);
    await client.open(2);
    await handled(client, 2);
    client.send(f.publishMethod(1, 'nowhere'), f.headerWith(1, 2, 0), f.bodyFrame(1, Buffer.from('a')));
    const many = Buffer.concat(Array.from({ length: 8192 }, () => f.bodyFrame(1, Buffer.alloc(0))));
    const rss = to.proxy.rss;
    for (let sent = 0; sent < 200 * MiB; sent += many.length) client.send(many);
    await handled(client, 2);
    expect(to.proxy.rss - rss, 'memory of the proxy').to.be.lessThan(80 * MiB);
    client.send(f.bodyFrame(1, Buffer.from('b')));
    await handled(client, 1);
    client.destroy();
  });

  it('in body frames of one byte arrive whole, and take little memory', async function () {
    this.timeout(120_000);
    const client = await RawClient.start(to.proxy.port);
    const queue = queueName('bytes');
    const size = 900_000;
    const channel = 7; // another number than upstream
    await client.open(channel);
    await client.call(f.declare(channel, queue), 'queue.declare-ok');
    const frame = f.bodyFrame(channel, Buffer.from('x'));
    const rss = to.proxy.rss;
    client.send(f.publishMethod(channel, queue), f.headerWith(channel, size, 0));
    for (let sent = 0; sent < size; sent += 1000)
      client.send(Buffer.concat(Array.from({ length: 1000 }, () => frame)));
    await handled(client, channel);
    expect(to.proxy.rss - rss, 'memory of the proxy').to.be.lessThan(80 * MiB);
    await client.call(f.get(channel, queue), 'basic.get-ok');
    expect((await client.next('header'))!.payload.readBigUInt64BE(4)).to.equal(BigInt(size));
    await client.call(f.remove(channel, queue), 'queue.delete-ok');
    client.destroy();
  });

  it('that a closed channel leaves behind do not count: small messages are not promoted early', async () => {
    const queue = queueName('drift');
    const client = await RawClient.start(to.proxy.port);
    for (let round = 0; round < 5; round++) {
      await client.open(1);
      const message = f.publish(1, 'x', Buffer.alloc(900_000));
      client.send(
        f.publish(1, 'x', 'lost', { exchange: queueName('no-exchange') }),
        message.subarray(0, 600_000),
      );
      await client.next('channel.close');
      client.send(message.subarray(600_000), f.channelCloseOk(1));
    }
    await client.open(1);
    const before = await to.proxy.metric('promotions_total');
    await client.call(f.declare(1, queue), 'queue.declare-ok');
    client.send(f.publish(1, queue, Buffer.alloc(900_000)));
    await handled(client, 1);
    expect(await to.proxy.metric('promotions_total')).to.equal(before);
    expect(await to.proxy.metric('buffered_bytes{buffer="message_buffer"}')).to.equal(0);
    await client.call(f.remove(1, queue), 'queue.delete-ok');
    client.destroy();
  });

  it('and a stray frame behind them on another channel: the barrier overtakes nothing', async () => {
    const queue = queueName('canary-run');
    const canary = await Canary.start(to.proxy.port, queue);
    for (let round = 0; round < 20; round++) {
      const client = await RawClient.start(to.proxy.port);
      await client.open(1);
      await client.open(2);
      client.send(
        f.publish(1, 'nowhere', Buffer.alloc(131064), { split: 1000 }),
        f.bodyFrame(2, Buffer.from('stray')),
      );
      expect((await client.next('connection.close'))!.payload.readUInt16BE(4)).to.equal(505);
      client.destroy();
    }
    await canary.stop();
    expect(canary.complaints).to.deep.equal([]);
  });
});
