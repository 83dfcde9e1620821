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

/** A client's stay: its channel and its queue. */
interface Stay {
  client: RawClient;
  channel: number;
  queue: string;
  random: (below: number) => number;
}

const ask = async (stay: Stay, method: string, args: Buffer, name = `${method}-ok`): Promise<Buffer> => {
  stay.client.method(stay.channel, method, args);
  return answer(stay.client, name);
};

/** What makes a broker close the channel, and what its text then says. */
const OFFENCES: ((stay: Stay) => string)[] = [
  ({ client, channel, queue }) => {
    client.send(publish(channel, queue, Buffer.from('x'), `${queue}-no-exchange`));
    return `${queue}-no-exchange`;
  },
  ({ client, channel, queue }) => {
    client.method(channel, 'queue.declare', declareArgs(`${queue}-missing`, 1));
    return `${queue}-missing`;
  },
  ({ client, channel }) => {
    client.method(channel, 'basic.ack', args().longlong(4242n).octet(0).take());
    return 'unknown delivery tag 4242';
  },
];

/** What a lease may do. Each leaves or ends with the channel open, having seen nothing but its own. */
const ACTS: Record<string, (stay: Stay) => Promise<void>> = {
  async confirms(stay) {
    await ask(stay, 'confirm.select', Buffer.from([0]));
    for (let n = 1n; n <= 1 + stay.random(5); n++) {
      stay.client.send(publish(stay.channel, stay.queue, Buffer.from('confirm')));
      expect((await answer(stay.client, 'basic.ack')).readBigUInt64BE(4)).to.equal(n);
    }
  },
  async gets(stay) {
    const { client, channel, queue, random } = stay;
    const mine = `get ${random(1e9)}`;
    client.send(publish(channel, queue, Buffer.from(mine)));
    expect((await ask(stay, 'basic.get', getArgs(queue, false))).readBigUInt64BE(4)).to.equal(1n);
    await answer(client, 'header');
    expect((await answer(client, 'body')).toString()).to.equal(mine);
    if (random(2) === 0) client.method(channel, 'basic.ack', args().longlong(1n).octet(0).take());
  },
  async consumes(stay) {
    const { client, channel, queue, random } = stay;
    if (random(2) === 0) await ask(stay, 'basic.qos', args().long(0).short(1).octet(random(2)).take());
    const mine = `consume ${random(1e9)}`;
    await ask(stay, 'basic.consume', args().short(0).shortstr(queue).shortstr('me').octet(0).long(0).take());
    client.send(publish(channel, queue, Buffer.from(mine)));
    expect((await answer(client, 'basic.deliver')).readBigUInt64BE(4 + 3)).to.equal(1n);
    await answer(client, 'header');
    expect((await answer(client, 'body')).toString()).to.equal(mine);
    if (random(2) === 0) client.method(channel, 'basic.ack', args().longlong(1n).octet(0).take());
  },
  async transacts(stay) {
    await ask(stay, 'tx.select', Buffer.alloc(0));
    stay.client.send(publish(stay.channel, stay.queue, Buffer.from('tx')));
    if (stay.random(2) === 0) await ask(stay, 'tx.rollback', Buffer.alloc(0));
  },
  async returns({ client, channel, queue }) {
    client.send(publish(channel, `${queue}-nobody`, Buffer.from(queue), '', 1));
    await answer(client, 'basic.return');
    await answer(client, 'header');
    expect((await answer(client, 'body')).toString()).to.equal(queue);
  },
  async errs(stay) {
    const { client, channel, queue, random } = stay;
    // from a private upstream, which takes a message as it comes
    if (random(2) === 0)
      await ask(
        stay,
        'basic.consume',
        args().short(0).shortstr(queue).shortstr('me').octet(0).long(0).take(),
      );
    const text = OFFENCES[random(OFFENCES.length)](stay);
    // the rest of this message comes when the channel is closed
    const next = random(2) === 0 ? publish(channel, queue, Buffer.alloc(1000)) : Buffer.alloc(0);
    const sent = random(next.length + 1);
    client.send(next.subarray(0, sent));
    const frame = await client.next(({ name }) => name.endsWith('.close'), 30);
    if (frame?.name !== 'channel.close')
      throw new Error(`${frame?.name ?? 'the end'} instead of channel.close`);
    expect(closeOf(frame).text).to.include(text);
    client.send(next.subarray(sent));
    client.method(channel, 'channel.close-ok');
    await client.open(channel);
  },
  async owns(stay) {
    await ask(stay, 'queue.declare', declareArgs(`${stay.queue}-own`, 4));
  },
  async publishes({ client, channel, queue, random }) {
    for (let n = random(20); n >= 0; n--) client.send(publish(channel, queue, Buffer.alloc(random(5000), n)));
  },
};

export interface VisitOptions {
  tls?: boolean;
  /** Names of acts that nobody does. */
  without?: string[];
}

/** The numbers of most channels; then the highest, and any. */
const channelOf = (random: (below: number) => number): number =>
  [1, 1, 1, 2, 2046, 2047, 1 + random(2047)][random(7)];

/**
 * One client's short stay: it does something at random with a queue of its own, and leaves politely or dies. Its last one,
 * `old`, is removed first: what an earlier stay left unacked may come back to that at any time. Returns the new one's name;
 * fails, naming the act, when the client sees anything but what is its own.
 */
export async function visit(
  port: number,
  old: string,
  random: (below: number) => number,
  { tls = false, without = [] }: VisitOptions = {},
): Promise<string> {
  const queue = queueName('visit');
  const names = Object.keys(ACTS).filter(name => !without.includes(name));
  const name = names[random(names.length)];
  const client = await RawClient.start(port, { tls });
  const stay: Stay = { client, channel: channelOf(random), queue, random };
  const { channel } = stay;
  try {
    await client.open(channel);
    await ask(stay, 'queue.delete', args().short(0).shortstr(old).octet(0).take());
    await ask(stay, 'queue.declare', declareArgs(queue));
    await ACTS[name](stay);
    const end = random(4);
    if (end === 0) {
      const part = publish(channel, queue, Buffer.alloc(1 + random(300)));
      client.send(part.subarray(0, 1 + random(part.length - 1)));
      return queue;
    }
    if (end > 1) await ask(stay, 'channel.close', closeArgs);
    client.method(0, 'connection.close', closeArgs);
    await answer(client, 'connection.close-ok');
    return queue;
  } catch (error) {
    throw new Error(`${name} on channel ${channel}: ${(error as Error).message}`);
  } finally {
    client.destroy();
  }
}
