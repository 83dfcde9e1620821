/** Many clients at once, each doing one of the things that leave a channel dirty, or dying: everyone sees only its own. */
import { expect } from 'chai';
import { Writer } from '../../src/amqp/frame.ts';
import { direct, fixture, queueName, settingsFile } from '../support/fixture.ts';
import { closeOf, declareArgs, publish, RawClient } from '../support/raw-client.ts';

const WORKERS = 24;
const ROUNDS = 40;

/** A small seeded generator (mulberry32), so that a failing run can be had again with AMQPROXY_TEST_SEED. */
function randomizer(seed: number): (below: number) => number {
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

const MODES = {
  'as installed': [],
  'consumers = shared': ['consumers = shared'],
  session: ['pool_mode = session'],
};

for (const [mode, settings] of Object.entries(direct ? { 'no proxy': [] } : MODES))
  describe(`A crowd of ${WORKERS} clients, ${mode}`, () => {
    const to = fixture(settings.length > 0 ? ['-c', settingsFile(...settings)] : []);

    it(`of which each does ${ROUNDS} random things and some die sees only its own`, async function () {
      this.timeout(180_000);
      const seed = Number(process.env.AMQPROXY_TEST_SEED ?? Date.now() % 1e9);
      const worker = async (number: number): Promise<void> => {
        const random = randomizer(seed + number);
        let queue = queueName('crowd');
        for (let round = 0; round < ROUNDS; round++) {
          const client = await RawClient.start(to.port);
          await client.open(1);
          // a queue of its own: what an earlier round left unacked may come back to the old one at any time
          client.method(1, 'queue.delete', args().short(0).shortstr(queue).octet(0).take());
          await answer(client, 'queue.delete-ok');
          queue = queueName('crowd');
          client.method(1, 'queue.declare', declareArgs(queue));
          await answer(client, 'queue.declare-ok');
          const names = Object.keys(ACTS);
          const name = names[random(names.length)];
          try {
            await ACTS[name](client, queue, random);
            const end = random(4);
            if (end === 0) {
              const part = publish(1, queue, Buffer.alloc(1 + random(300)));
              client.send(part.subarray(0, 1 + random(part.length - 1)));
              client.destroy();
              continue;
            }
            if (end > 1) {
              client.method(1, 'channel.close', closeArgs);
              expect(await client.next('channel.close-ok')).not.to.equal(null);
            }
            client.method(0, 'connection.close', closeArgs);
            expect(await client.next('connection.close-ok')).not.to.equal(null);
          } catch (error) {
            throw new Error(
              `seed ${seed}, client ${number}, round ${round}, ${name}: ${(error as Error).message}`,
            );
          }
          client.destroy();
        }
      };
      await Promise.all(Array.from({ length: WORKERS }, (_, number) => worker(number)));
    });
  });
