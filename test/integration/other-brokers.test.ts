/** Brokers that are not RabbitMQ: what they do otherwise hurts nobody, and what they can do more is to be had. */
import { expect } from 'chai';
import { decodeTable, encodeTable } from '../../src/amqp/table.ts';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import type { Frame } from '../support/frame.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf } from '../support/raw-client.ts';
import { relayed } from '../support/relayed.ts';

/** connection.start of a broker with this product name. */
function startOf({ payload }: Frame, product: string): Buffer {
  const end = 10 + payload.readUInt32BE(6);
  const properties = { ...decodeTable(payload, 6, end), product };
  return f.method(
    0,
    10,
    10,
    Buffer.concat([payload.subarray(4, 6), encodeTable(properties as never), payload.subarray(end)]),
  );
}

describe('A broker whose last declared queue is one for each connection', () => {
  const to = relayed();

  it('is told the name that a client means, never that of another', async () => {
    const named: (string | number)[] = [];
    to.relay.fromProxy = ({ name, args }) => {
      if (name === 'queue.delete' || name === 'queue.bind') named.push(...args.slice(1, 4));
      return 'pass';
    };
    const [one, other] = [queueName('default'), queueName('default')];
    const first = await to.client(one);
    const second = await to.client(other);
    first.send(f.bind(1, '', 'amq.direct'));
    await first.next('queue.bind-ok');
    await first.call(f.remove(1, ''), 'queue.delete-ok');
    expect(named).to.deep.equal([one, 'amq.direct', one, one, 0]);
    await second.call(f.declare(1, other, f.PASSIVE), 'queue.declare-ok');
    await second.call(f.remove(1, ''), 'queue.delete-ok');
  });

  it('and a client that has declared none hears so, whoever has', async () => {
    await to.client(queueName('default'));
    const client = await to.login();
    await client.open(1);
    const answer = await client.call(f.remove(1, ''), 'channel.close');
    expect(closeOf(answer!).text).to.equal('NOT_FOUND - no previously declared queue');
  });

  it('a name that the broker chooses is waited for', async () => {
    const client = await to.login();
    await client.open(1);
    client.send(f.declare(1, '', f.AUTO_DELETE), f.bind(1, '', 'amq.direct', 'key'), f.remove(1, ''));
    for (const answer of ['queue.declare-ok', 'queue.bind-ok', 'queue.delete-ok'])
      expect((await client.next(answer))?.name).to.equal(answer);
  });
});

describe('A broker that a method confuses', () => {
  const to = relayed();

  for (const [name, frame] of [
    ['access.request', f.method(1, 30, 10, f.w().shortstr('/data').octet(0).take())],
    ['basic.recover-async', f.method(1, 60, 100, Buffer.from([1]))],
  ] as const)
    it(`${name} costs nobody else a connection`, async () => {
      const neighbour = await to.client(queueName('neighbour'));
      neighbour.send(f.confirmSelect(1));
      await neighbour.next('confirm.select-ok');
      const client = await to.client(queueName('confused'));
      let confused = 0;
      to.relay.fromProxy = (sent, link) => {
        if (sent.name !== name) return 'pass';
        confused++;
        link.cut();
        return 'drop';
      };
      client.send(frame);
      await until('the broker to be confused', () => confused === 1);
      to.relay.release();
      await neighbour.call(f.publish(1, '', 'x'), 'basic.ack');
      expect(neighbour.ended).to.equal(false);
    });
});

describe('A broker that numbers answers to direct reply-to by 1', () => {
  const to = relayed(['max_upstreams = 1']);

  it('has its number passed as it is', async () => {
    const queue = queueName('tags');
    for (const n of [1, 2]) {
      const client = await to.client(queue);
      client.send(f.publish(1, queue, `${n}`));
      to.relay.fromBroker = ({ name, channel, payload }) => {
        if (name !== 'basic.get-ok') return 'pass';
        payload.writeBigUInt64BE(1n, 4);
        return f.method(channel, 60, 71, payload.subarray(4));
      };
      const answer = await client.call(f.get(1, queue), 'basic.get-ok');
      expect(answer?.args[0]).to.equal(1);
      await client.call(f.connectionClose(), 'connection.close-ok');
    }
  });
});

describe('A broker that can do what RabbitMQ cannot', () => {
  const to = relayed([], true);

  /** Makes it another product that answers these frames of the proxy. */
  const answers = (answer: (frame: Frame) => Buffer | null): void => {
    to.relay.fromBroker = frame => (frame.name === 'connection.start' ? startOf(frame, 'Other') : 'pass');
    to.relay.fromProxy = (frame, link) => {
      const bytes = answer(frame);
      if (bytes === null) return 'pass';
      link.toProxy(bytes);
      return 'drop';
    };
  };

  /** The proxy meets it: what clients get is that broker's word from then on. */
  const met = async (answer: (frame: Frame) => Buffer | null) => {
    await to.proxy.stop();
    answers(answer);
    const { relay } = to;
    const { AmqProxy } = await import('../support/proxy.ts');
    to.proxy = await AmqProxy.withMetrics(relay.url);
    return to.client(queueName('other'));
  };

  const CASES: Record<
    string,
    [ask: Buffer, of: (frame: Frame) => boolean, answer: (channel: number) => Buffer, name: string]
  > = {
    'channel.flow(active = false)': [
      f.channelFlow(1, false),
      ({ name, args }) => name === 'channel.flow' && args[0] === 0,
      channel => f.method(channel, 20, 21, Buffer.from([0])),
      'channel.flow-ok',
    ],
    'basic.recover(requeue = false)': [
      f.recover(1, false),
      ({ name, args }) => name === 'basic.recover' && args[0] === 0,
      channel => f.method(channel, 60, 111),
      'basic.recover-ok',
    ],
    'prefetch_size, which it refuses in its own way,': [
      f.qos(1, 10, false, 1000),
      ({ name, args }) => name === 'basic.qos' && args[0] === 1000,
      channel => f.channelClose(channel, 540, 'prefetch size'),
      'channel.close',
    ],
    'basic.publish(immediate)': [
      f.publish(1, 'nobody', 'x', { flags: f.IMMEDIATE }),
      ({ name, payload }) => name === 'basic.publish' && (payload.at(-1)! & f.IMMEDIATE) !== 0,
      channel =>
        Buffer.concat([
          f.method(
            channel,
            60,
            50,
            f.w().short(313).shortstr('NO_CONSUMERS').shortstr('').shortstr('nobody').take(),
          ),
          f.headerWith(channel, 1, 0),
          f.bodyFrame(channel, Buffer.from('x')),
        ]),
      'basic.return',
    ],
  };

  for (const [what, [ask, of, answer, name]] of Object.entries(CASES))
    it(`${what} is asked itself, on an upstream of the client's own`, async () => {
      let content = false;
      const client = await met(frame => {
        if (content && (frame.name === 'header' || frame.name === 'body')) return Buffer.alloc(0);
        if (!of(frame)) return null;
        content = true;
        return answer(frame.channel);
      });
      expect((await client.call(ask, name))?.name).to.equal(name);
      expect(await to.proxy.metric('promotions_total')).to.equal(1);
    });
});
