/**
 * A client that stops reading while 100 MB wait for it changes nothing for its neighbours; the proxy's memory stays
 * bounded; once awake it gets everything in order, or on a shared upstream the broker takes back what it has not acked.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { drop, fill, ready } from '../support/backlog.ts';
import { Canary } from '../support/canary.ts';
import { fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const MiB = 1024 * 1024;
const SIZE = 100_000;
const COUNT = 1000;
/** What the canary does beside a sleeping reader. */
const TWEETS = 200;

for (const mode of ['private', 'shared'])
  describe(`A reader that stops reading (consumers = ${mode})`, () => {
    const to = fixture(['-c', settingsFile(`consumers = ${mode}`)]);
    let canary: Canary;
    let queue: string;
    let reader: RawClient;
    /** How long the canary's messages take with nobody beside it. */
    let alone: string;

    before(function () {
      proxyOnly(this);
    });
    beforeEach(async () => {
      queue = queueName('asleep');
      await fill(to.broker.port, queue, COUNT, SIZE);
      reader = await RawClient.start(to.proxy.port);
      await reader.open(1);
      canary = await Canary.start(to.proxy.port, queueName('canary'));
      alone = await sing();
    });
    afterEach(async () => {
      await canary.stop();
      reader.destroy();
      await drop(to.broker.port, queue);
    });

    const waiting = (): Promise<number> => to.proxy.metric('buffered_largest_bytes{buffer="client_buffer"}');

    /** Lets the canary sing on; gives the median and the longest time of a message, in milliseconds. */
    const sing = async (): Promise<string> => {
      const from = canary.times.length;
      await until(
        'the canary',
        () => canary.times.length >= from + TWEETS || canary.complaints.length > 0,
        50,
      );
      expect(canary.complaints).to.deep.equal([]);
      const times = canary.times.slice(from).sort((a, b) => a - b);
      return `median ${times[times.length >> 1].toFixed(1)} ms, worst ${times.at(-1)!.toFixed(1)} ms`;
    };

    /** The reader falls asleep, is sent what fits, and the canary sings beside it. */
    const sleeps = async (): Promise<void> => {
      const rss = to.proxy.rss;
      reader.socket.pause();
      await until('bytes to wait for it', async () => reader.ended || (await waiting()) > MiB / 4);
      const beside = await sing();
      const grown = to.proxy.rss - rss;
      console.log(
        `      canary alone: ${alone}; beside a sleeper: ${beside}; memory grew by ${(grown / MiB).toFixed(0)} MiB`,
      );
      expect(await waiting(), 'bytes that wait for the sleeper').to.be.within(MiB / 4, 2 * MiB);
      expect(grown, 'memory of the proxy').to.be.below(64 * MiB);
    };

    const awake = async (ack: boolean): Promise<void> => {
      reader.socket.resume();
      for (let n = 0; n < COUNT; n++) {
        expect((await reader.next('body', 30))!.payload.readUInt32BE(0)).to.equal(n);
        if (ack) reader.send(f.ack(1, n + 1));
      }
    };

    if (mode === 'private')
      for (const [how, flags, prefetch] of [
        ['that takes messages without acks', f.NO_ACK, 0],
        ['that acks, without a prefetch bound', 0, 0],
        ['that acks, with a prefetch of 500', 0, 500],
      ] as const)
        it(`${how} is not noticed, and gets all in order when it wakes`, async function () {
          this.timeout(120_000);
          if (prefetch > 0) await reader.call(f.qos(1, prefetch), 'basic.qos-ok');
          await reader.call(f.consume(1, queue, 'tag', flags), 'basic.consume-ok');
          await sleeps();
          await awake(flags === 0);
        });
    else {
      it('is not noticed while what is in flight stays within client_buffer', async function () {
        this.timeout(120_000);
        await reader.call(f.qos(1, 5), 'basic.qos-ok');
        await reader.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
        reader.socket.pause();
        await sing();
        await awake(true);
      });

      it('and is sent more than client_buffer is closed with 506; the broker takes its messages back', async function () {
        this.timeout(120_000);
        await reader.call(f.qos(1, 1000), 'basic.qos-ok');
        await reader.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
        reader.socket.pause();
        await until('it to be closed', () => to.proxy.log.includes('it does not read'));
        const beside = await sing();
        console.log(`      canary alone: ${alone}; beside a sleeper: ${beside}`);
        reader.socket.resume();
        expect(closeOf((await reader.next('connection.close'))!).code).to.equal(506);
        await until('all messages to be back', async () => (await ready(to.broker.port, queue)) === COUNT);
      });

      it('without a bound has an upstream of its own: it gets all in order when it wakes', async function () {
        this.timeout(120_000);
        await reader.call(f.consume(1, queue, 'tag', f.NO_ACK), 'basic.consume-ok');
        await sleeps();
        await awake(false);
      });
    }
  });
