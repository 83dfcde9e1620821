/** Channels that are open at the broker and wait for their next lease: what ends them is noticed, and they do not stay for ever. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Canary } from '../support/canary.ts';
import { Fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const ALICE = { user: 'alice', secret: 'wonder' };
/** The prefetch by which the broker knows the neighbour's channel. */
const NEIGHBOUR = 7;

/** The name of what comes next from the broker, having sent these frames. */
const answer = async (client: RawClient, ...frames: Buffer[]): Promise<string | undefined> => {
  client.send(...frames);
  return (await client.next(() => true))?.name;
};

describe('A parked channel', () => {
  const to = new Fixture();
  const clients: RawClient[] = [];
  before(function () {
    proxyOnly(this);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    if (to.proxy?.running) await to.stop();
  });

  const login = async (): Promise<RawClient> => {
    const client = await RawClient.start(to.port, ALICE);
    clients.push(client);
    return client;
  };
  const parked = (): Promise<number> => to.proxy.metric('channels_parked');

  /** Makes the broker close alice's channels, as for an ack of a delivery that never was; not those with this prefetch. */
  const closeChannels = (prefetch: number): Promise<string> =>
    to.broker.ctl(
      'eval',
      `[rabbit_channel:do(C, {'basic.ack', 99, false}) || C <- rabbit_channel:list_local(),
        [{user, <<"alice">>}, {prefetch_count, N}] <- [rabbit_channel:info(C, [user, prefetch_count])], N =/= ${prefetch}].`,
    );
  const channelsOfAlice = async (): Promise<number> =>
    (await to.broker.list('list_channels', 'pid', 'user')).filter(([, user]) => user === 'alice').length;

  /** A client whose channel 1 stays leased: it is never silent for long. */
  const neighbour = async (queue: string): Promise<RawClient> => {
    const client = await login();
    await client.open(1);
    await client.ask(f.qos(1, NEIGHBOUR), 'basic.qos-ok');
    await client.ask(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
    const timer = setInterval(() => client.send(f.rawFrame(8, 0, Buffer.alloc(0))), 300);
    client.socket.once('close', () => clearInterval(timer));
    return client;
  };

  /** What leaves a channel parked: what its lease begins with, the answer, and what it then does. */
  const LEASES: Record<string, [first: (queue: string) => Buffer, ok: string, then?: Buffer]> = {
    'that published': [queue => f.declare(1, queue, f.DURABLE), 'queue.declare-ok', f.publish(1, 'x', 'x')],
    'with confirms': [() => f.confirmSelect(1), 'confirm.select-ok'],
    'of an upstream that was private': [queue => f.get(1, queue), 'basic.get-empty'],
  };
  for (const [what, [first, ok, then]] of Object.entries(LEASES))
    it(`${what} and is closed by the broker is forgotten: the next client gets another, nobody hears of it`, async () => {
      await to.start();
      const queue = queueName('parked');
      const beside = await neighbour(queue);
      const earlier = await login();
      await earlier.open(1);
      await earlier.ask(first(queue), ok);
      if (then !== undefined) earlier.send(then);
      await earlier.ask(f.channelClose(1), 'channel.close-ok');
      await earlier.ask(f.connectionClose(), 'connection.close-ok');
      expect(await parked()).to.be.above(0);
      await closeChannels(NEIGHBOUR);
      await until('the broker to have closed it', async () => (await channelsOfAlice()) === 1);
      for (let n = 0; n < 3; n++) {
        const next = await login();
        await next.open(1);
        expect(await answer(next, first(queue))).to.equal(ok);
        expect(await answer(next, f.declare(1, queue, f.DURABLE))).to.equal('queue.declare-ok');
        expect(await answer(beside, f.declare(1, queue, f.DURABLE))).to.equal('queue.declare-ok');
      }
      await beside.ask(f.remove(1, queue), 'queue.delete-ok');
      expect(to.proxy.log).not.to.include('Upstream lost');
    });

  it('is closed after channel_lifetime: of a burst nothing stays, and a channel in use is left alone', async () => {
    await to.start(['-c', settingsFile('channel_lifetime = 1')]);
    const canary = await Canary.start(to.port, queueName('canary'));
    const queue = queueName('burst');
    const client = await login();
    for (let n = 1; n <= 50; n++) {
      await client.open(n);
      if (n % 2 === 0) await client.ask(f.confirmSelect(n), 'confirm.select-ok');
      await client.ask(f.declare(n, queue), 'queue.declare-ok');
    }
    await client.ask(f.connectionClose(), 'connection.close-ok');
    expect(await to.proxy.metric('channels_opened_total')).to.be.at.least(50);
    await until('nothing to be parked', async () => (await parked()) === 0);
    await until('the broker to know as much', async () => (await channelsOfAlice()) === 0);
    await canary.stop();
    expect(canary.complaints).to.deep.equal([]);
    expect(to.proxy.log).not.to.include('Upstream lost');
  });
});
