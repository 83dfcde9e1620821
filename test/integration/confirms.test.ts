/** Confirms belong to the lease that published: one that is late, or never comes, is nobody else's trouble. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import type { Frame, RawClient } from '../support/raw-client.ts';
import { type Relayed, relayed } from '../support/relayed.ts';

const tagOf = (frame: Frame | null): number => Number(frame!.payload.readBigUInt64BE(4));

/** How a client may leave with a publish that is not confirmed, its upstream channel open. */
const GOODBYES: Record<string, [Buffer, string]> = {
  'has closed its channel': [f.channelClose(1), 'channel.close-ok'],
  'has closed its connection': [f.connectionClose(), 'connection.close-ok'],
};
/**
 * As when a queue has lost its majority: the first publish from now on is never confirmed, later ones are, one by one.
 * The result resolves when its confirm has been withheld: the broker may confirm two in one frame if the second comes before.
 */
const confirmAllButOne = (to: Relayed): (() => Promise<unknown>) => {
  let stuck = false;
  to.relay.fromBroker = ({ name, channel, payload }) => {
    if (name !== 'basic.ack') return 'pass';
    if (!stuck) {
      stuck = true;
      return 'drop';
    }
    return f.ack(channel, Number(payload.readBigUInt64BE(4)));
  };
  return () => until('the confirm to be withheld', () => stuck);
};

for (const [how, [goodbye, goodbyeOk]] of Object.entries(GOODBYES))
  describe(`A confirm that never comes, when its client ${how}`, () => {
    const to = relayed([], true);
    let next: RawClient;
    let queue: string;

    beforeEach(async () => {
      queue = queueName('stuck');
      const first = await to.client(queue);
      await first.call(f.confirmSelect(1), 'confirm.select-ok');
      const withheld = confirmAllButOne(to);
      first.send(f.publish(1, queue, 'never confirmed'));
      await first.call(goodbye, goodbyeOk);
      await withheld();
      next = await to.login();
      await next.open(1);
      await next.call(f.confirmSelect(1), 'confirm.select-ok');
      expect(tagOf(await next.call(f.publish(1, queue, 'confirmed'), 'basic.ack'))).to.equal(1);
    });

    it('does not keep the next client from a private upstream', async () => {
      await next.call(f.get(1, queue), 'basic.get-ok');
    });

    it('does not keep the next client from giving its lease back', async () => {
      await until('the lease to end', async () => (await to.proxy.metric('channels_leased')) === 0);
    });

    it('is not counted among the confirms of the next client', async () => {
      for (let n = 2; n <= 5; n++)
        expect(tagOf(await next.call(f.publish(1, queue, `${n}`), 'basic.ack'))).to.equal(n);
      await next.call(f.channelClose(1), 'channel.close-ok');
    });
  });

describe('A confirm that does not come while its client stays', () => {
  const to = relayed([], true);

  it('does not keep its other channels from what needs a private upstream', async () => {
    const queue = queueName('stuck');
    const client = await to.client(queue);
    await client.open(2);
    await client.call(f.confirmSelect(1), 'confirm.select-ok');
    confirmAllButOne(to);
    client.send(f.publish(1, queue, 'not confirmed'));
    await client.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
    await client.call(f.get(2, queue), 'basic.get-ok');
    await client.call(f.qos(2, 1), 'basic.qos-ok');
    await client.call(f.consume(2, queue, 'tag'), 'basic.consume-ok');
  });
});

describe('A channel on which the broker has refused a publish', () => {
  const to = relayed([], true);

  it('is lent to nobody else: RabbitMQ may go on to refuse there what it takes on a new one', async () => {
    const queue = queueName('refused');
    const first = await to.client(queue);
    await first.call(f.confirmSelect(1), 'confirm.select-ok');
    // as where the leader of a quorum queue was away when the channel first published to it
    const refusing = new Set<number>();
    let begun = false;
    to.relay.fromBroker = ({ name, channel, payload }) => {
      if (name !== 'basic.ack') return 'pass';
      if (!begun) refusing.add(channel);
      begun = true;
      return refusing.has(channel) ? f.nack(channel, Number(payload.readBigUInt64BE(4)), 0) : 'pass';
    };
    to.relay.fromProxy = ({ name, channel }) => {
      if (name === 'channel.open') refusing.delete(channel);
      return 'pass';
    };
    await first.call(f.publish(1, queue, 'refused'), 'basic.nack');
    await first.call(f.channelClose(1), 'channel.close-ok');
    const next = await to.login();
    await next.open(1);
    await next.call(f.confirmSelect(1), 'confirm.select-ok');
    next.send(f.publish(1, queue, 'taken'));
    const answer = await next.next(({ name }) => name.startsWith('basic.'));
    expect(answer?.name).to.equal('basic.ack');
  });
});
