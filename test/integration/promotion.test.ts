/** A client moves to a private upstream without noticing; what cannot move stays, or is refused in words. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Fixture, fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

/** A client with channel 1 open that has declared a queue there. */
async function start(to: { port: number }, queue: string): Promise<RawClient> {
  const client = await RawClient.start(to.port);
  await client.open(1);
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  return client;
}
const tagOf = async (client: RawClient, name = 'basic.deliver'): Promise<number> => {
  const { payload } = (await client.next(name))!;
  return Number(payload.readBigUInt64BE(name === 'basic.deliver' ? 5 + payload[4] : 4));
};

describe('Promotion to a private upstream', () => {
  const to = fixture();
  before(function () {
    proxyOnly(this);
  });

  it('takes prefetch, confirm numbers and the default queue of every clean channel along', async () => {
    const queue = queueName('moved');
    const client = await start(to, queue);
    await client.open(2);
    await client.call(f.declare(2, queue), 'queue.declare-ok');
    await client.call(f.confirmSelect(1), 'confirm.select-ok');
    for (let n = 1; n <= 3; n++) {
      client.send(f.publish(1, queue, `${n}`));
      expect(await tagOf(client, 'basic.ack')).to.equal(n);
    }
    await client.call(f.qos(2, 2), 'basic.qos-ok');
    await client.call(f.consume(2, '', 'tag'), 'basic.consume-ok');
    for (const n of [1, 2]) expect(await tagOf(client)).to.equal(n);
    client.send(f.publish(1, queue, '4'));
    expect(await tagOf(client, 'basic.ack')).to.equal(4);
    await client.call(f.bind(1, '', 'amq.fanout'), 'queue.bind-ok'); // the last declared one
    expect(client.frames.map(frame => frame.name)).to.deep.equal(['header', 'body', 'header', 'body']);
    client.send(f.ack(2, 2, true));
    for (const n of [3, 4]) expect(await tagOf(client)).to.equal(n);
    await client.call(f.connectionClose(), 'connection.close-ok');
    client.destroy();
  });

  it('is undone when the client leaves: its upstream serves the next, unless it carried what only its end undoes', async () => {
    const opened = (): Promise<number> => to.proxy.metric('upstreams_opened_total');
    const upstreams = (): Promise<number> => to.proxy.metric('upstream_connections');
    const visit = async (act: (client: RawClient) => Promise<unknown>): Promise<void> => {
      const client = await start(to, queueName('visit'));
      await act(client);
      await client.call(f.connectionClose(), 'connection.close-ok');
      client.destroy();
    };
    const consume = (client: RawClient): Promise<unknown> =>
      client.call(f.consume(1, ''), 'basic.consume-ok');
    await visit(consume);
    const before = await opened();
    for (let round = 0; round < 5; round++) await visit(consume);
    expect(await opened()).to.equal(before);
    for (const spends of [
      (client: RawClient) => client.call(f.declare(1, '', f.EXCLUSIVE), 'queue.declare-ok'),
      (client: RawClient) =>
        client.call(
          f.method(0, 10, 70, f.w().longstr('guest').shortstr('').take()),
          'connection.update-secret-ok',
        ),
    ]) {
      await visit(consume);
      const there = await upstreams();
      await visit(spends);
      await until('its upstream to be closed', async () => (await upstreams()) < there);
    }
  });

  it('is not held up by a channel that the broker closes meanwhile', async () => {
    const queue = queueName('closed');
    const client = await start(to, queue);
    await client.open(2);
    await client.call(f.confirmSelect(1), 'confirm.select-ok');
    client.send(f.publish(1, 'x', 'lost', { exchange: queueName('none') }), f.get(2, queue));
    await client.next('channel.close');
    expect(await client.next('basic.get-empty')).not.to.equal(null);
    client.destroy();
  });
});

describe('Consumers on shared upstreams', () => {
  const to = new Fixture();
  before(async function () {
    proxyOnly(this);
    await to.start(['-c', settingsFile('consumers = shared')]);
  });
  after(() => to.proxy && to.stop());

  /** A client whose channel 1 consumes, prefetch 2, and has been sent two of four messages. */
  const consumer = async (queue: string): Promise<RawClient> => {
    const client = await start(to, queue);
    for (let n = 1; n <= 4; n++) client.send(f.publish(1, queue, `${n}`));
    await client.call(f.qos(1, 2), 'basic.qos-ok');
    await client.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
    for (const n of [1, 2]) expect(await tagOf(client)).to.equal(n);
    return client;
  };

  it('stay, with what is unacked, when another channel of the client is promoted', async () => {
    const queue = queueName('stays');
    const client = await consumer(queue);
    await client.open(2);
    await client.call(f.declare(2, '', f.EXCLUSIVE), 'queue.declare-ok');
    client.send(f.ack(1, 2, true));
    for (const n of [3, 4]) expect(await tagOf(client)).to.equal(n);
    client.send(f.ack(1, 4, true), f.publish(1, queue, '5'), f.publish(2, queue, '6'));
    for (const n of [5, 6]) expect(await tagOf(client)).to.equal(n);
    client.destroy();
  });

  for (const [what, frames] of Object.entries({
    'a get': (queue: string) => f.get(1, queue),
    'an exclusive queue': () => f.declare(1, '', f.EXCLUSIVE),
    'a transaction': () => f.txSelect(1),
    'a consumer without a bound': (queue: string) => f.consume(1, queue, 'other', f.NO_ACK),
    'a message that cannot be held back': (queue: string) => f.publish(1, queue, Buffer.alloc(3_000_000)),
  }))
    it(`${what} on the same channel ends this channel with 406, and nothing else`, async () => {
      const queue = queueName('rooted');
      const client = await consumer(queue);
      await client.open(2);
      client.send(frames(queue));
      const why = closeOf((await client.next(frame => frame.name.endsWith('close')))!);
      expect(why.text).to.match(/^PRECONDITION_FAILED - .* needs another upstream .*consumers = shared/);
      client.send(f.channelCloseOk(1), f.channelOpen(1));
      await client.next('channel.open-ok');
      for (let n = 1; n <= 4; n++) {
        await client.call(f.get(2, queue), 'basic.get-ok');
        await until('the message', () => client.frames.some(({ payload }) => payload.toString() === `${n}`));
      }
      await client.call(f.remove(1, queue), 'queue.delete-ok');
      client.destroy();
    });

  /** Ways in which a cancel may be counted that takes no consumer away. */
  const CANCELS: Record<string, (client: RawClient, queue: string, tag: string) => Promise<unknown>> = {
    'the broker cancelled because its queue went, and the client as well': async (client, queue, tag) => {
      const other = await start(to, queue);
      await other.ask(f.remove(1, queue), 'queue.delete-ok');
      other.destroy();
      await client.answered('basic.cancel');
      await client.ask(f.cancel(1, tag), 'basic.cancel-ok');
    },
    'was cancelled, and a client that was not told cancels as well': async (client, queue, tag) => {
      const other = await start(to, queue);
      await other.ask(f.remove(1, queue), 'queue.delete-ok');
      other.destroy();
      await client.ask(f.cancel(1, tag), 'basic.cancel-ok');
    },
    'the client cancelled twice': async (client, _queue, tag) => {
      for (let n = 0; n < 2; n++) await client.ask(f.cancel(1, tag), 'basic.cancel-ok');
    },
    'the client cancelled twice, by the tag that the broker made': async (client, _queue, tag) => {
      for (let n = 0; n < 2; n++) await client.ask(f.cancel(1, tag), 'basic.cancel-ok');
    },
    'the client cancelled twice without waiting': async (client, _queue, tag) => {
      client.send(f.cancel(1, tag, true), f.cancel(1, tag, true));
    },
    'never was': async client => {
      for (const tag of ['nobody', 'no one']) await client.ask(f.cancel(1, tag), 'basic.cancel-ok');
    },
  };
  for (const [which, cancels] of Object.entries(CANCELS))
    it(`stay when the client is promoted, beside a consumer that ${which}`, async () => {
      const [gone, stays] = [queueName('gone'), queueName('stays')];
      const told = which.startsWith('the broker');
      const client = await RawClient.start(to.port, { capabilities: { consumer_cancel_notify: told } });
      await client.open(1);
      await client.open(2);
      for (const queue of [gone, stays]) await client.ask(f.declare(1, queue), 'queue.declare-ok');
      await client.ask(f.qos(1, 2), 'basic.qos-ok');
      const tag = which.includes('made') ? '' : 'first';
      const begun = await client.ask(f.consume(1, gone, tag), 'basic.consume-ok');
      await client.ask(f.consume(1, stays, 'second'), 'basic.consume-ok');
      await cancels(client, gone, begun.args[0] as string);
      await client.ask(f.declare(2, '', f.EXCLUSIVE), 'queue.declare-ok');
      client.send(f.publish(2, stays, 'still there'));
      await client.answered('basic.deliver');
      client.send(f.ack(1, 1), f.remove(2, stays), f.remove(2, gone));
      for (let n = 0; n < 2; n++) await client.answered('queue.delete-ok');
      client.destroy();
    });

  it('once cancelled and acked hold nothing up: the channel moves, its delivery tags go on', async () => {
    const queue = queueName('cancelled');
    const client = await consumer(queue);
    client.send(f.nack(1, 1, 0), f.reject(1, 2, false));
    for (const n of [3, 4]) expect(await tagOf(client)).to.equal(n);
    await client.call(f.cancel(1, 'tag'), 'basic.cancel-ok');
    client.send(f.ack(1, 0, true), f.publish(1, queue, '5'));
    await client.call(f.get(1, queue, false), 'basic.get-ok').then(got => {
      expect(got!.payload.readBigUInt64BE(4)).to.equal(5n);
    });
    client.send(f.ack(1, 5));
    await client.call(f.declare(1, queue), 'queue.declare-ok');
    client.destroy();
  });
});
