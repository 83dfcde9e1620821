/**
 * A broker that restarts forgets what is not durable. Whoever has declared such a thing hears 320, as when connected to the
 * broker itself, and declares it again; otherwise it would wait for ever on a queue that is not there (Celery's pidbox).
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { direct, Fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { RabbitMQ, until } from '../support/rabbitmq.ts';
import { closeOf, type Frame, RawClient } from '../support/raw-client.ts';

/** Bits of exchange.declare. */
const X_PASSIVE = 1;
const X_DURABLE = 2;
const X_AUTO_DELETE = 4;
const X_NO_WAIT = 16;

type Act = (client: RawClient, name: string) => Promise<unknown>;
const declares =
  (flags: number): Act =>
  (client, name) =>
    client.ask(f.declare(1, name, flags), 'queue.declare-ok');
const declaresExchange =
  (flags: number, type = 'fanout'): Act =>
  (client, name) =>
    client.ask(f.declareExchange(1, name, type, flags), 'exchange.declare-ok');
const pause: Act = (client, name) =>
  client.ask(f.declare(1, `${name}-durable`, f.DURABLE), 'queue.declare-ok');

/** What a restart of the broker ends, as far as the one who declared it can see. */
const FORGOTTEN: Record<string, Act> = {
  'a queue that is not durable': declares(0),
  'a queue that the broker has named': client => client.ask(f.declare(1, ''), 'queue.declare-ok'),
  'an auto-delete queue': declares(f.AUTO_DELETE),
  'a durable auto-delete queue': declares(f.DURABLE | f.AUTO_DELETE),
  'an exclusive queue': declares(f.EXCLUSIVE),
  'an exchange that is not durable': declaresExchange(0),
  'an auto-delete exchange': declaresExchange(X_AUTO_DELETE),
  'a durable auto-delete exchange': declaresExchange(X_DURABLE | X_AUTO_DELETE),
  'a queue that is not durable, without waiting for the answer': async (client, name) => {
    client.send(f.declare(1, name, f.NO_WAIT));
    await pause(client, name);
  },
  'an exchange that is not durable, without waiting for the answer': async (client, name) => {
    client.send(f.declareExchange(1, name, 'direct', X_NO_WAIT));
    await pause(client, name);
  },
  'a queue that is not durable, on a channel that it has closed': async (client, name) => {
    await declares(0)(client, name);
    await client.ask(f.channelClose(1), 'channel.close-ok');
    await client.open(1);
  },
  'a queue that is not durable, a while ago': async (client, name) => {
    await declares(0)(client, name);
    for (let n = 0; n < 3; n++) await pause(client, `${name}-${n}`);
    await client.ask(f.channelClose(1), 'channel.close-ok');
    await client.open(1);
    await pause(client, name);
  },
  'a queue that is not durable, before it was promoted': async (client, name) => {
    await declares(0)(client, name);
    await client.ask(f.get(1, name), 'basic.get-empty');
  },
};

/** What it does not end. */
const KEPT: Record<string, Act> = {
  nothing: async () => {},
  'a durable queue and a durable exchange': async (client, name) => {
    await declares(f.DURABLE)(client, name);
    await declaresExchange(X_DURABLE)(client, name);
  },
  'by name, passively, what others have declared': async (client, name) => {
    const other = await RawClient.start(client.socket.remotePort!);
    await other.open(1);
    await declares(0)(other, name);
    await declaresExchange(0)(other, name);
    await declares(f.PASSIVE)(client, name);
    await declaresExchange(X_PASSIVE)(client, name);
    other.destroy();
  },
};

const MODES = { shared: [], session: ['pool_mode = session'] };

describe('What a broker forgets', () => {
  let broker: RabbitMQ;
  before(async function () {
    this.timeout(120_000);
    broker = await RabbitMQ.start();
  });
  after(() => broker?.stop());

  for (const [mode, settings] of Object.entries(direct ? { 'no proxy': [] } : MODES))
    describe(`A restart of the broker (pool_mode = ${mode})`, () => {
      const to = new Fixture();
      const clients = new Map<string, RawClient>();
      /** How each has ended, before the broker is back. */
      const ends = new Map<string, Frame | null>();

      before(async () => {
        await to.start(['-c', settingsFile(...settings)], broker);
        for (const [what, act] of Object.entries({ ...FORGOTTEN, ...KEPT })) {
          const client = await RawClient.start(to.port);
          clients.set(what, client);
          await client.open(1);
          await act(client, queueName('topology'));
          expect(client.frames.map(frame => frame.name)).to.deep.equal([]);
          if (mode !== 'session') continue;
          // there a channel that has been used would be at stake as well
          await client.ask(f.channelClose(1), 'channel.close-ok');
          await client.open(1);
        }
        if (mode === 'shared')
          await until('idle leases to end', async () => {
            const shared = await to.proxy.metric('channels_leased');
            return shared <= 2; // those of the exclusive queue and the get are on private upstreams
          });
        await broker.halt();
        await Promise.all(
          Object.keys(FORGOTTEN).map(async what => {
            const end = await clients
              .get(what)!
              .next('connection.close')
              .catch(() => null);
            ends.set(what, end);
          }),
        );
        await broker.run();
      });
      after(async () => {
        for (const client of clients.values()) client.destroy();
        await to.stop();
      });

      for (const what of Object.keys(FORGOTTEN))
        it(`is told with 320 to one who has declared ${what}`, () => {
          const end = ends.get(what);
          expect(end?.name).to.equal('connection.close');
          expect(closeOf(end!).code).to.equal(320);
        });

      for (const what of direct ? [] : Object.keys(KEPT))
        it(`ends nobody who has declared ${what}`, async () => {
          const client = clients.get(what)!;
          expect(client.ended).to.equal(false);
          await client.ask(f.declare(1, 'works again', f.DURABLE), 'queue.declare-ok');
          expect(client.frames.map(frame => frame.name)).to.deep.equal([]);
        });
    });

  describe('A loss of the broker, and one who has declared a queue that is not durable', () => {
    const to = new Fixture();
    const clients: RawClient[] = [];

    before(async function () {
      proxyOnly(this);
      await broker.addUser('later', 'x', '/');
    });
    afterEach(async () => {
      for (const client of clients.splice(0)) client.destroy();
      if (!direct) await to.stop();
    });

    const declarer = async (): Promise<RawClient> => {
      const client = await RawClient.start(to.port);
      clients.push(client);
      await client.open(1);
      await client.ask(f.declare(1, queueName('topology')), 'queue.declare-ok');
      return client;
    };

    it('is told with 320, even if nobody has used an upstream for longer than idle_connection_timeout', async () => {
      await to.start(['-c', settingsFile('idle_connection_timeout = 1')], broker);
      const client = await declarer();
      await until('its lease to end', async () => (await to.proxy.metric('channels_leased')) === 0);
      // idle after it, and so too long after it
      const later = await RawClient.start(to.port, { user: 'later', secret: 'x' });
      await later.ask(f.connectionClose(), 'connection.close-ok');
      await until('an upstream to be closed', async () =>
        (await broker.list('list_connections', 'user')).every(([user]) => user !== 'later'),
      );
      await broker.halt();
      const end = await client.next('connection.close').catch(() => null);
      await broker.run();
      expect(end?.name).to.equal('connection.close');
      expect(closeOf(end!).code).to.equal(320);
    });

    it('goes on when it is another upstream that is lost', async () => {
      await to.start([], broker);
      const client = await declarer();
      await until('its lease to end', async () => (await to.proxy.metric('channels_leased')) === 0);
      const [[first]] = await broker.list('list_connections', 'pid');
      // so that the next has to have another
      const busy = await declarer();
      const timer = setInterval(() => busy.send(f.publish(1, 'nowhere', 'x')), 300);
      const other = await declarer();
      await other.ask(f.txSelect(1), 'tx.select-ok');
      for (const [pid] of await broker.list('list_connections', 'pid'))
        if (pid !== first) await broker.ctl('close_connection', pid, 'this one only');
      await other.next('connection.close');
      clearInterval(timer);
      for (const one of [client, busy])
        await one.ask(f.declare(1, queueName('topology')), 'queue.declare-ok');
      expect(client.frames.map(frame => frame.name)).to.deep.equal([]);
    });
  });
});
