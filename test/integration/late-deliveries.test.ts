/**
 * RabbitMQ goes on delivering on a channel that it has closed, until it has handled the close-ok. Who gets a channel of the same
 * number next must not see that.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import type { Frame } from '../support/frame.ts';
import type { Link } from '../support/frame-relay.ts';
import { relayed } from '../support/relayed.ts';

const delivery = (channel: number): Buffer =>
  Buffer.concat([
    f.method(channel, 60, 60, f.w().shortstr('late').longlong(1n).octet(0).shortstr('').shortstr('x').take()),
    f.rawFrame(2, channel, f.w().short(60).short(0).longlong(4n).short(0).take()),
    f.rawFrame(3, channel, Buffer.from('late')),
  ]);

/** When the delivery comes, seen from the next channel.open. */
const MOMENTS: Record<string, (frame: Frame) => boolean> = {
  'before the next channel is open': ({ name }) => name === 'channel.open',
  'when the next channel is in use': ({ name }) => name === 'queue.declare',
};

describe('A delivery for a consumer whose channel the broker has closed', () => {
  const to = relayed(['consumers = shared']);

  for (const [moment, isIt] of Object.entries(MOMENTS))
    it(`reaches nobody, ${moment}`, async () => {
      const queue = queueName('late');
      const consumer = await to.client(queue);
      await consumer.ask(f.qos(1, 1), 'basic.qos-ok');
      let used = 0;
      to.relay.fromProxy = (frame: Frame) => {
        if (frame.name === 'basic.consume') used = frame.channel;
        return 'pass';
      };
      await consumer.ask(f.consume(1, queue, 'tag'), 'basic.consume-ok');
      consumer.send(f.ack(1, 4242));
      await consumer.next('channel.close');
      consumer.send(f.channelCloseOk(1), f.connectionClose());
      await consumer.next('connection.close-ok');

      let late = 0;
      to.relay.fromProxy = (frame: Frame, link: Link) => {
        if (isIt(frame)) {
          late++;
          link.toProxy(delivery(used));
        }
        return 'pass';
      };
      const next = await to.client(queue);
      await next.ask(f.remove(1, queue), 'queue.delete-ok');
      expect(late).to.be.greaterThan(0);
      expect(next.frames.map(({ name }) => name)).to.deep.equal([]);
    });
});
