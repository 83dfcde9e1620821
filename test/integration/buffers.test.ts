/** Buffers of any size from the least that may be set: a client that reads gets all, one that publishes is not forgotten. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const KIB = 1024;
const COUNT = 20;
const PREFETCH = 4;

for (const [kib, bodies] of [
  [64, [30_000, 60_000, 1_000_000]],
  [128, [128_000]],
  [200, [150_000]],
] as const)
  for (const mode of ['private', 'shared'])
    describe(`client_buffer and upstream_buffer of ${kib} KiB, consumers = ${mode}`, () => {
      const to = new Fixture();
      let client: RawClient;
      let queue: string;

      before(async function () {
        proxyOnly(this);
        const bytes = kib * KIB;
        await to.start([
          '-c',
          settingsFile(`client_buffer = ${bytes}`, `upstream_buffer = ${bytes}`, `consumers = ${mode}`),
        ]);
      });
      after(() => to.stop());
      beforeEach(async () => {
        queue = queueName('buffers');
        client = await RawClient.start(to.port);
        await client.open(1);
        await client.call(f.declare(1, queue), 'queue.declare-ok');
      });
      afterEach(async () => {
        client.destroy();
        const broom = await RawClient.start(to.broker.port);
        await broom.open(1);
        await broom.call(f.remove(1, queue), 'queue.delete-ok');
        broom.destroy();
      });

      const message = (n: number, size: number): Buffer => {
        const body = Buffer.alloc(size, n);
        body.writeUInt32BE(n);
        return f.publish(1, queue, body);
      };
      /** The queue has so many messages, published straight to the broker. */
      const fill = async (size: number): Promise<void> => {
        const publisher = await RawClient.start(to.broker.port);
        await publisher.open(1);
        for (let n = 0; n < COUNT; n++) publisher.send(message(n, size));
        await publisher.call(f.declare(1, queue), 'queue.declare-ok');
        publisher.destroy();
      };
      /** So many bytes of bodies come. */
      const bytesCome = async (bytes: number): Promise<void> => {
        for (let left = bytes; left > 0; ) {
          const frame = await client.next(({ name }) => name === 'body' || name.endsWith('.close'), 5);
          if (frame?.name !== 'body')
            expect.fail(`${frame && closeOf(frame).text} when ${left} of ${bytes} bytes had not come`);
          left -= frame.payload.length;
        }
      };

      for (const size of bodies) {
        // more than the kernel takes for a client is beyond what a shared upstream may have waiting
        if (mode === 'private' || size < 200_000)
          it(`deliver all messages of ${size} bytes to a consumer`, async () => {
            await fill(size);
            await client.call(f.qos(1, PREFETCH), 'basic.qos-ok');
            client.send(f.consume(1, queue, 'tag'));
            for (let n = 1; n <= COUNT; n++) {
              await bytesCome(size);
              client.send(f.ack(1, n));
            }
            await client.call(f.cancel(1, 'tag'), 'basic.cancel-ok');
          });

        it(`deliver all messages of ${size} bytes to a client that gets them`, async () => {
          await fill(size);
          for (let n = 0; n < COUNT; n++) client.send(f.get(1, queue));
          await bytesCome(COUNT * size);
          await client.call(f.get(1, queue), 'basic.get-empty');
        });

        it(`bring back all messages of ${size} bytes that nobody wants`, async () => {
          for (let n = 0; n < COUNT; n++)
            client.send(f.publish(1, `${queue}-none`, Buffer.alloc(size, n), { flags: f.MANDATORY }));
          await bytesCome(COUNT * size);
          await client.call(f.declare(1, queue), 'queue.declare-ok');
        });

        it(`take all messages of ${size} bytes from a publisher`, async () => {
          for (let n = 0; n < COUNT; n++)
            await new Promise(sent => client.socket.write(message(n, size), sent));
          await client.call(f.declare(1, queue), 'queue.declare-ok');
          await until('all messages', async () => {
            const { payload } = (await client.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok'))!;
            return payload.readUInt32BE(5 + queue.length) === COUNT;
          });
        });
      }
    });
