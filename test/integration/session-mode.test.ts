/** pool_mode = session: each client has an upstream for itself for as long as it stays, whatever happens to that upstream. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sharedBroker, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

describe('pool_mode = session', () => {
  let broker: RabbitMQ;
  let relay: Relay;
  let proxy: AmqProxy;
  let queue: string;
  const clients: RawClient[] = [];

  before(async function () {
    proxyOnly(this);
    broker = await sharedBroker();
    queue = queueName('session');
  });
  const start = async (...settings: string[]): Promise<void> => {
    relay = await Relay.start(broker.port);
    proxy = await AmqProxy.withMetrics(relay.url, ['-c', settingsFile('pool_mode = session', ...settings)]);
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy?.stop();
    await relay?.end();
  });

  const login = async (): Promise<RawClient> => {
    const client = await RawClient.start(proxy.port);
    clients.push(client);
    await client.open(1);
    return client;
  };
  /** A client that has done something, and has nothing at stake: its channel is open, but unused. */
  const idle = async (): Promise<RawClient> => {
    const client = await login();
    await works(client);
    await client.ask(f.channelClose(1), 'channel.close-ok');
    await client.open(1);
    return client;
  };
  const works = async (client: RawClient): Promise<void> => {
    await client.ask(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
  };
  const shared = (): Promise<number> => proxy.metric('upstream_connections_shared');
  const ofTheirOwn = (): Promise<number> => proxy.metric('upstream_connections_private');

  /** How an upstream may be lost. */
  const LOSSES: Record<string, () => unknown> = {
    'by the network': () => relay.cut(),
    'by an operator at the broker': async () => {
      for (const [pid] of await broker.list('list_connections', 'pid'))
        await broker.ctl('close_connection', pid, 'maintenance');
    },
  };
  for (const [how, lose] of Object.entries(LOSSES))
    it(`gives clients that survive a loss ${how} an upstream of their own again`, async () => {
      await start();
      const three = [await idle(), await login(), await idle()];
      await lose();
      await until('the losses', async () => (await proxy.metric('upstreams_lost_total')) === 3);
      for (const client of three) await works(client);
      expect(await ofTheirOwn()).to.equal(3);
      expect(await shared()).to.equal(0);
      // and they stay apart
      for (const client of three) client.send(f.publish(1, queue, 'x'));
      for (const client of three) await works(client);
      expect(await ofTheirOwn()).to.equal(3);
    });

  it('gives a client whose broker was away an upstream of its own as soon as it is back', async () => {
    await start('lease_timeout = 60');
    const client = await idle();
    const { port } = relay;
    await relay.end();
    await until('the loss', async () => (await proxy.metric('upstreams_lost_total')) === 1);
    client.send(f.declare(1, queue, f.DURABLE));
    relay = await Relay.start(broker.port, port);
    await client.answered('queue.declare-ok', 20);
    expect(await ofTheirOwn()).to.equal(1);
  });
});
