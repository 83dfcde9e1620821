/** What a client may do in one lease: each thing leaves a channel in another state. */
import { expect } from 'chai';
import { Writer } from '../../src/amqp/frame.ts';
import { queueName } from './fixture.ts';
import { closeOf, declareArgs, publish, RawClient } from './raw-client.ts';

/** A small seeded generator (mulberry32), so that a failing run can be had again with AMQPROXY_TEST_SEED. */
export function randomizer(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const args = (): Writer => new Writer();
const closeArgs = args().short(200).shortstr('').short(0).short(0).take();
const getArgs = (queue: string, noAck: boolean): Buffer =>
  args()
    .short(0)
    .shortstr(queue)
    .octet(noAck ? 1 : 0)
    .take();

/** Waits for `name`; whatever else the broker has said first is the error. */
async function answer(client: RawClient, name: string): Promise<Buffer> {
  const frame = await client.next(() => true, 30);
  if (frame?.name !== name) {
    const said = frame?.name.endsWith('.close') ? ` ${closeOf(frame).text}` : '';
    throw new Error(`${frame?.name ?? 'the end'}${said} instead of ${name}`);
  }
  return frame.payload;
}

/** What a lease may do. Each leaves or ends with the channel open, having seen nothing but its own. */
const ACTS: Record<
  string,
  (client: RawClient, queue: string, random: (n: number) => number) => Promise<void>
> = {
  async confirms(client, queue, random) {
    client.method(1, 'confirm.select', Buffer.from([0]));
    await answer(client, 'confirm.select-ok');
    for (let n = 1n; n <= 1 + random(5); n++) {
      client.send(publish(1, queue, Buffer.from('confirm')));
      expect((await answer(client, 'basic.ack')).readBigUInt64BE(4)).to.equal(n);
    }
  },
  async gets(client, queue, random) {
    const mine = `get ${random(1e9)}`;
    client.send(publish(1, queue, Buffer.from(mine)));
    client.method(1, 'basic.get', getArgs(queue, false));
    const payload = await answer(client, 'basic.get-ok');
    expect(payload.readBigUInt64BE(4)).to.equal(1n);
    await answer(client, 'header');
    expect((await answer(client, 'body')).toString()).to.equal(mine);
    if (random(2) === 0) client.method(1, 'basic.ack', args().longlong(1n).octet(0).take());
  },
  async consumes(client, queue, random) {
    if (random(2) === 0) {
      client.method(1, 'basic.qos', args().long(0).short(1).octet(random(2)).take());
      await answer(client, 'basic.qos-ok');
    }
    const mine = `consume ${random(1e9)}`;
    client.method(1, 'basic.consume', args().short(0).shortstr(queue).shortstr('me').octet(0).long(0).take());
    await answer(client, 'basic.consume-ok');
    client.send(publish(1, queue, Buffer.from(mine)));
    expect((await answer(client, 'basic.deliver')).readBigUInt64BE(4 + 3)).to.equal(1n);
    await answer(client, 'header');
    expect((await answer(client, 'body')).toString()).to.equal(mine);
    if (random(2) === 0) client.method(1, 'basic.ack', args().longlong(1n).octet(0).take());
  },
  async transacts(client, queue, random) {
    client.method(1, 'tx.select');
    await answer(client, 'tx.select-ok');
    client.send(publish(1, queue, Buffer.from('tx')));
    if (random(2) === 0) {
      client.method(1, 'tx.rollback');
      await answer(client, 'tx.rollback-ok');
    }
  },
  async returns(client, queue) {
    client.send(publish(1, `${queue}-nobody`, Buffer.from(queue), '', 1));
    await answer(client, 'basic.return');
    await answer(client, 'header');
    expect((await answer(client, 'body')).toString()).to.equal(queue);
  },
  async errs(client, queue) {
    client.send(publish(1, queue, Buffer.from('x'), `${queue}-no-exchange`));
    expect(closeOf((await client.next('channel.close'))!).text).to.include(`${queue}-no-exchange`);
    client.method(1, 'channel.close-ok');
    await client.open(1);
  },
  async owns(client, queue) {
    client.method(1, 'queue.declare', declareArgs(`${queue}-own`, 4));
    await answer(client, 'queue.declare-ok');
  },
  async publishes(client, queue, random) {
    for (let n = random(20); n >= 0; n--) client.send(publish(1, queue, Buffer.alloc(random(5000), n)));
  },
};

/**
 * One client's short stay: it does something at random with a queue of its own, and leaves politely or dies. Its last one,
 * `old`, is removed first: what an earlier stay left unacked may come back to that at any time. Returns the new one's name;
 * fails, naming the act, when the client sees anything but what is its own.
 */
export async function visit(port: number, old: string, random: (below: number) => number): Promise<string> {
  const queue = queueName('visit');
  const names = Object.keys(ACTS);
  const name = names[random(names.length)];
  const client = await RawClient.start(port);
  try {
    await client.open(1);
    client.method(1, 'queue.delete', args().short(0).shortstr(old).octet(0).take());
    await answer(client, 'queue.delete-ok');
    client.method(1, 'queue.declare', declareArgs(queue));
    await answer(client, 'queue.declare-ok');
    await ACTS[name](client, queue, random);
    const end = random(4);
    if (end === 0) {
      const part = publish(1, queue, Buffer.alloc(1 + random(300)));
      client.send(part.subarray(0, 1 + random(part.length - 1)));
      return queue;
    }
    if (end > 1) {
      client.method(1, 'channel.close', closeArgs);
      await answer(client, 'channel.close-ok');
    }
    client.method(0, 'connection.close', closeArgs);
    await answer(client, 'connection.close-ok');
    return queue;
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`);
  } finally {
    client.destroy();
  }
}
