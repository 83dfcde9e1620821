/** A channel's number is only a name: channel 65535 costs what channel 1 costs. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Fixture, proxyOnly, queueName } from '../support/fixture.ts';
import { RabbitMQ, sleep } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

describe('A broker without a limit to channels', () => {
  const to = new Fixture();
  let broker: RabbitMQ;
  const clients: RawClient[] = [];

  before(async function () {
    proxyOnly(this);
    this.timeout(120_000);
    broker = await RabbitMQ.start({ conf: ['channel_max = 0'] });
    await to.start([], broker);
    await open(1); // the broker is met
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  after(async () => {
    await to.stop();
    await broker?.stop();
  });

  /** A client with this channel open, and no other. */
  const open = async (channel: number): Promise<RawClient> => {
    const client = await RawClient.start(to.port, { channelMax: 0 });
    clients.push(client);
    await client.open(channel);
    return client;
  };
  /** Seconds of processor time that the proxy takes for this. */
  const cost = async (act: () => Promise<unknown>): Promise<number> => {
    const before = to.proxy.cpuSeconds;
    await act();
    return to.proxy.cpuSeconds - before;
  };

  /** What clients may do with a channel, many times. */
  const ACTS: Record<string, (channel: number) => Promise<unknown>> = {
    '60 clients that have it open, for 5 seconds': async channel => {
      for (let n = 0; n < 60; n++) await open(channel);
      await sleep(5000);
    },
    '400 clients that come, open it and leave': async channel => {
      for (let n = 0; n < 400; n++) {
        const client = await open(channel);
        await client.call(f.connectionClose(), 'connection.close-ok');
        client.destroy();
      }
    },
    '400 clients that come, publish on it and hang up': async channel => {
      const queue = queueName('high');
      for (let n = 0; n < 400; n++) {
        const client = await open(channel);
        client.send(f.publish(channel, queue, 'x'));
        await client.call(f.declare(channel, queue), 'queue.declare-ok');
        client.destroy();
      }
    },
    '300 promotions and moves of its lease': async channel => {
      const queue = queueName('high');
      for (let n = 0; n < 300; n++) {
        const client = await open(channel);
        await client.call(f.declare(channel, queue), 'queue.declare-ok');
        await client.call(f.get(channel, queue), 'basic.get-empty');
        client.destroy();
      }
    },
  };
  for (const [what, act] of Object.entries(ACTS))
    it(`${what}: channel 65535 takes no more of the processor than channel 1`, async function () {
      this.timeout(120_000);
      const low = await cost(() => act(1));
      for (const client of clients.splice(0)) client.destroy();
      await to.proxy.left();
      const high = await cost(() => act(65535));
      console.log(`      channel 1: ${low.toFixed(2)} s, channel 65535: ${high.toFixed(2)} s`);
      expect(high).to.be.below(low * 2 + 0.2);
    });
});
