/** A slow broker slows its publishers, and the proxy's memory stays bounded. Slow clients: slow-readers.test.ts. */

import { expect } from 'chai';
import { Writer } from '../../src/amqp/frame.ts';
import { fixture, proxyOnly, queueName } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { until } from '../support/rabbitmq.ts';
import { declareArgs, publish, RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

const MiB = 1024 * 1024;

/** Polls `value` until it has not changed for 20 polls in a row; gives it. */
async function settled(what: string, value: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  await until(
    what,
    () => {
      const now = value();
      same = now === last ? same + 1 : 0;
      last = now;
      return same === 20;
    },
    60,
  );
  return last;
}

describe('Back-pressure', () => {
  const to = fixture();

  describe('from a broker that reads nothing', () => {
    let relay: Relay;
    let proxy: AmqProxy;

    before(async function () {
      proxyOnly(this);
      relay = await Relay.start(to.broker.port);
      proxy = await AmqProxy.start(relay.url);
    });
    after(async () => {
      await proxy?.stop();
      await relay?.end();
    });

    for (const size of [1000, 200_000, 4 * MiB])
      it(`pauses the client that publishes messages of ${size} bytes, and loses none`, async function () {
        this.timeout(120_000);
        const queue = queueName('slow-broker');
        const total = 160 * MiB;
        const count = Math.floor(total / size);
        const client = await RawClient.start(proxy.port);
        await client.open(1);
        client.method(1, 'queue.declare', declareArgs(queue));
        await client.next('queue.declare-ok');
        const rss = proxy.rss;
        relay.stop();
        const message = publish(1, queue, Buffer.alloc(Math.min(size, 131072 - 8), 1));
        const whole = size <= 131072 - 8 ? message : large(queue, size);
        const batch = Buffer.concat(Array.from({ length: Math.ceil(MiB / whole.length) }, () => whole));
        const perBatch = batch.length / whole.length;
        const batches = Math.min(Math.ceil(count / perBatch), Math.ceil(total / batch.length));
        for (let n = 0; n < batches; n++) client.socket.write(batch);
        const unsent = await settled('the client to be paused', () => client.socket.writableLength);
        expect(unsent, 'bytes still with the client').to.be.greaterThan(total / 2);
        expect(proxy.rss - rss, 'memory of the proxy').to.be.lessThan(80 * MiB);
        relay.go();
        client.method(1, 'channel.close', new Writer().short(200).shortstr('').short(0).short(0).take());
        const end = await client.next(frame => frame.name.includes('close'), 90);
        expect(end?.name).to.equal('channel.close-ok');
        const check = await to.toBroker();
        const channel = await check.createChannel();
        expect((await channel.checkQueue(queue)).messageCount).to.equal(batches * perBatch);
        await channel.deleteQueue(queue);
        await check.close();
        client.destroy();
      });

    function large(queue: string, size: number): Buffer {
      const empty = publish(1, queue, Buffer.alloc(0));
      const header = Buffer.from(empty.subarray(empty.length - 22));
      header.writeBigUInt64BE(BigInt(size), 7 + 4);
      const frames = [empty.subarray(0, empty.length - 22), header];
      for (let left = size; left > 0; left -= 131064) {
        const body = Buffer.alloc(Math.min(left, 131064), 1);
        const head = Buffer.from([3, 0, 1, 0, 0, 0, 0]);
        head.writeUInt32BE(body.length, 3);
        frames.push(head, body, Buffer.from([0xce]));
      }
      return Buffer.concat(frames);
    }
  });
});
