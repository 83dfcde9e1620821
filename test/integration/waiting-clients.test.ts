/** Clients that wait for something: those that hang up or fall silent meanwhile are seen and gone, as at a broker. */
import { expect } from 'chai';
import { PROTOCOL_HEADER } from '../../src/amqp/frame.ts';
import * as f from '../differential/frames.ts';
import { ready } from '../support/backlog.ts';
import { proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { FrameRelay } from '../support/frame-relay.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const MiB = 1024 * 1024;
/** Far below what they would wait for otherwise, in seconds. */
const SOON = 8;
const PATIENT = ['lease_timeout = 600', 'handshake_timeout = 600', 'connect_timeout = 600'];

/** How a client may leave without a word. */
const ENDS: Record<string, (client: RawClient) => unknown> = {
  'hang up': client => client.socket.end(),
  'are reset': client => client.socket.resetAndDestroy(),
};

describe('Clients that wait', () => {
  let relay: FrameRelay;
  let proxy: AmqProxy;
  const clients: RawClient[] = [];

  before(async function () {
    proxyOnly(this);
    await (await sharedBroker()).addUser('patient', 'waits', '/');
  });
  const start = async (...settings: string[]): Promise<void> => {
    relay = await FrameRelay.start((await sharedBroker()).port);
    proxy = await AmqProxy.withMetrics(relay.url, ['-c', settingsFile(...PATIENT, ...settings)]);
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy?.stop();
    await relay?.end();
  });

  const connect = async (): Promise<RawClient> => {
    const client = await RawClient.connect(proxy.port);
    clients.push(client);
    return client;
  };
  const login = async (options = {}): Promise<RawClient> => {
    const client = await RawClient.start(proxy.port, options);
    clients.push(client);
    await client.open(1);
    return client;
  };
  /** Has the only upstream, and keeps it. */
  const holder = async (): Promise<RawClient> => {
    const client = await login();
    await client.ask(f.declare(1, '', f.EXCLUSIVE), 'queue.declare-ok');
    return client;
  };
  const many = (n: number, one: () => Promise<RawClient>): Promise<RawClient[]> =>
    Promise.all(Array.from({ length: n }, one));

  const here = (): Promise<number> => proxy.metric('client_connections');
  /** Resolves once all bytes have gone to the proxy's kernel, and the proxy has answered somebody who asked later. */
  const taken = async (waiting: RawClient[]): Promise<void> => {
    await until('their bytes to go', () => waiting.every(client => client.socket.writableLength === 0));
    await here();
  };

  /** What clients may wait for, so that they are not read; `stays` of the others remain. */
  const WAITS: Record<string, { settings: string[]; stays: number; wait(): Promise<RawClient[]> }> = {
    'for a channel': {
      settings: ['max_upstreams = 1'],
      stays: 1,
      async wait() {
        await holder();
        const waiting = await many(20, login);
        for (const client of waiting) client.send(f.declare(1, queueName('waits')));
        return waiting;
      },
    },
    'for a channel to publish on': {
      settings: ['max_upstreams = 1'],
      stays: 1,
      async wait() {
        await holder();
        const waiting = await many(20, login);
        for (const client of waiting) client.send(f.publish(1, 'waits', Buffer.alloc(10_000)));
        return waiting;
      },
    },
    'for a private upstream': {
      settings: ['max_upstreams = 1'],
      stays: 1,
      async wait() {
        await holder();
        const waiting = await many(20, login);
        for (const client of waiting) client.send(f.txSelect(1));
        return waiting;
      },
    },
    'for an upstream at login (pool_mode = session)': {
      settings: ['max_upstreams = 1', 'pool_mode = session'],
      stays: 1,
      async wait() {
        await holder();
        const waiting = await many(20, connect);
        for (const client of waiting) {
          await client.ask(PROTOCOL_HEADER, 'connection.start');
          client.startOk({}, 'PLAIN', Buffer.from('\0guest\0guest'));
          await client.answered('connection.tune');
          client.tuneOk(100, 65536, 0);
          client.openVhost('/');
        }
        return waiting;
      },
    },
    'for a broker to judge their login': {
      settings: [],
      stays: 1,
      async wait() {
        await login();
        relay.fromBroker = frame => (frame.name === 'connection.tune' ? 'hold' : 'pass');
        const waiting = await many(20, connect);
        for (const client of waiting) {
          await client.ask(PROTOCOL_HEADER, 'connection.start');
          client.startOk({}, 'PLAIN', Buffer.from('\0patient\0waits'));
        }
        return waiting;
      },
    },
    'for a broker to greet': {
      settings: [],
      stays: 0,
      async wait() {
        relay.fromBroker = frame => (frame.name === 'connection.start' ? 'hold' : 'pass');
        const waiting = await many(20, connect);
        for (const client of waiting) client.send(PROTOCOL_HEADER);
        await until('them to be accepted', async () => (await here()) === 20);
        for (const client of waiting) client.startOk({}, 'PLAIN', Buffer.from('\0guest\0guest'));
        return waiting;
      },
    },
    'for the broker to answer the close of a channel that they open again': {
      settings: [],
      stays: 0,
      async wait() {
        relay.fromBroker = frame => (frame.name === 'channel.flow-ok' ? 'hold' : 'pass');
        const waiting = await many(20, login);
        for (const client of waiting) {
          await client.ask(f.declare(1, queueName('waits'), f.AUTO_DELETE), 'queue.declare-ok');
          client.send(f.channelClose(1), f.channelOpen(1));
        }
        return waiting;
      },
    },
    'for the broker to confirm what their promotion must not lose': {
      settings: [],
      stays: 0,
      async wait() {
        const waiting = await many(5, login);
        relay.fromBroker = frame => (frame.name === 'basic.ack' ? 'hold' : 'pass');
        for (const client of waiting) {
          await client.ask(f.confirmSelect(1), 'confirm.select-ok');
          client.send(f.publish(1, 'waits', 'x'), f.txSelect(1));
        }
        return waiting;
      },
    },
  };

  for (const [what, { settings, stays, wait }] of Object.entries(WAITS))
    for (const [how, end] of Object.entries(ENDS))
      it(`${what} and ${how} are gone at once`, async () => {
        await start(...settings);
        const waiting = await wait();
        await taken(waiting);
        expect(await here()).to.equal(stays + waiting.length);
        for (const client of waiting) end(client);
        await until('them to be gone', async () => (await here()) === stays, SOON);
      });

  it('and hang up in the middle of all they had to say are gone at once, others wait on and are served', async () => {
    await start('max_upstreams = 1');
    const first = await holder();
    const queue = queueName('waits');
    const [stays, goes] = await many(2, login);
    for (const client of [stays, goes]) client.send(f.declare(1, queue, f.DURABLE));
    for (let n = 0; n < 100; n++)
      for (const client of [stays, goes]) client.send(f.publish(1, queue, `${n}`));
    stays.send(f.declare(1, queue, f.DURABLE));
    goes.socket.end();
    await until('it to be gone', async () => (await here()) === 2, SOON);
    await first.ask(f.remove(1, ''), 'queue.delete-ok');
    await first.ask(f.connectionClose(), 'connection.close-ok');
    first.destroy();
    await stays.answered('queue.declare-ok', SOON);
    await stays.answered('queue.declare-ok', SOON);
    // the queue answers a declare before it has looked at all that was published before
    await until(
      'all it has published',
      async () => (await ready((await sharedBroker()).port, queue)) === 100,
      SOON,
    );
    await stays.ask(f.remove(1, queue), 'queue.delete-ok');
  });

  it('and fall silent are closed after two heartbeats, as if they were served', async () => {
    await start('max_upstreams = 1');
    await holder();
    const silent = await login({ heartbeat: 1 });
    silent.send(f.declare(1, queueName('waits')));
    await silent.closed(SOON);
  });

  it('and send without end are kept within a bound, and beside them who hangs up is seen', async () => {
    await start('max_upstreams = 1');
    await holder();
    const [floods, goes] = await many(2, login);
    const before = proxy.rss;
    for (const client of [floods, goes]) client.send(f.declare(1, queueName('waits')));
    const message = f.publish(1, 'waits', Buffer.alloc(100_000));
    for (let n = 0; n < 1000; n++) floods.send(message);
    await taken([goes]);
    goes.socket.end();
    await until('it to be gone', async () => (await here()) === 2, SOON);
    expect(floods.socket.writableLength, 'bytes that nobody has taken').to.be.above(50 * MiB);
    expect(proxy.rss - before, 'memory of the proxy').to.be.below(40 * MiB);
  });
});
