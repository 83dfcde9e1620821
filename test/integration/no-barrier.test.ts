/** Brokers that do not answer channel.flow, or refuse it: closes are proven by closing channels then. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import type { Link, Rule } from '../support/frame-relay.ts';
import { until } from '../support/rabbitmq.ts';
import { relayed } from '../support/relayed.ts';

const FLOW = 20;
const refusal = (classId: number, methodId: number, code = 540): Buffer =>
  f.w().short(code).shortstr('NOT_IMPLEMENTED - flow').short(classId).short(methodId).take();

/** Makes a RabbitMQ such a broker: rules for what it is asked, and for what it answers. */
interface Kind {
  fromProxy: Rule;
  fromBroker: Rule;
}

const KINDS: Record<string, () => Kind> = {
  'that does not answer channel.flow': () => ({
    fromProxy: ({ name }) => (name === 'channel.flow' ? 'drop' : 'pass'),
    fromBroker: () => 'pass',
  }),
  'that answers channel.flow with channel.close': () => {
    const closing = new Map<Link, Set<number>>();
    const on = (link: Link): Set<number> => {
      const channels = closing.get(link) ?? new Set();
      closing.set(link, channels);
      return channels;
    };
    return {
      fromProxy: ({ name, channel }, link) => {
        if (name === 'channel.flow') {
          on(link).add(channel);
          link.toProxy(f.method(channel, 20, 40, refusal(20, FLOW)));
          return 'drop';
        }
        return name === 'channel.close-ok' && on(link).has(channel) ? f.channelClose(channel) : 'pass';
      },
      fromBroker: ({ name, channel }, link) =>
        name === 'channel.close-ok' && on(link).delete(channel) ? 'drop' : 'pass',
    };
  },
  'that answers channel.flow with connection.close': () => ({
    fromProxy: ({ name }, link) => {
      if (name === 'channel.flow') link.toProxy(f.method(0, 10, 50, refusal(20, FLOW)));
      return name === 'channel.flow' || name === 'connection.close-ok' ? 'drop' : 'pass';
    },
    fromBroker: () => 'pass',
  }),
};

for (const [what, make] of Object.entries(KINDS))
  describe(`A broker ${what}`, () => {
    const to = relayed([], true);

    beforeEach(() => Object.assign(to.relay, make()));

    it('is found out by no client: closes are answered when the broker has handled all before, neighbours stay', async () => {
      const queue = queueName('no-barrier');
      const neighbour = await to.client(queue);
      for (let n = 1; n <= 3; n++) {
        const client = await to.client(queue);
        client.send(f.publish(1, queue, `${n}`));
        await client.call(f.channelClose(1), 'channel.close-ok');
        const count = await neighbour.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
        expect(count?.args[1], 'messages with the broker').to.equal(n);
        await client.call(f.connectionClose(), 'connection.close-ok');
      }
      await neighbour.call(f.remove(1, queue), 'queue.delete-ok');
      await until('channels to be closed', async () => (await to.proxy.metric('channels_leased')) <= 1);
      const said = to.proxy.log.split('\n').filter(line => line.includes('channel.flow'));
      expect(said).to.have.length(1);
      expect(said[0]).to.match(/WARN Broker 127\.0\.0\.1:\d+ (does not answer|refuses) channel\.flow/);
    });

    it('and a late error on a channel reaches its owner before the close is answered', async () => {
      const client = await to.client(queueName('no-barrier'));
      client.send(f.publish(1, 'key', 'x', { exchange: 'no such exchange' }), f.channelClose(1));
      expect((await client.next(({ name }) => name.startsWith('channel.close')))?.name).to.equal(
        'channel.close',
      );
    });
  });
