/** The operator of a proxy with routes: who is on which, and other brokers for one of them alone. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { chromium, hasChromium } from '../support/chromium.ts';
import { peopledBroker, proxyOnly, queueName } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import { freePort } from '../support/ports.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

describe('The operator of routes', () => {
  let here: RabbitMQ;
  let there: RabbitMQ;
  let operator: Operator;
  let proxy: AmqProxy;
  const clients: RawClient[] = [];
  before(async function () {
    proxyOnly(this);
    this.timeout(180_000);
    [here, there] = await Promise.all([peopledBroker(), RabbitMQ.start()]);
  });
  beforeEach(async () => {
    operator = new Operator();
    // guest is known to both
    const route = ['[route eu]', 'users = guest', `upstream = ${there.url}`, '[route far]', 'vhosts = two'];
    const listen = ['[listen a]', 'address = 127.0.0.1', `port = ${await freePort()}`];
    proxy = await operator.start(null, [`upstream = ${here.url}`, ...route, ...listen]);
    await until('all to listen', () => proxy.log.includes('([listen a])'));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy?.stop();
  });
  after(() => there?.stop());

  const login = async (user = 'guest', secret = 'guest', vhost = '/'): Promise<RawClient> => {
    const client = await RawClient.start(proxy.port, { user, secret, vhost });
    clients.push(client);
    await client.open(1);
    return client;
  };
  const declare = (client: RawClient, queue = queueName()) =>
    client.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
  const consumer = async (...who: string[]): Promise<RawClient> => {
    const client = await login(...who);
    const queue = queueName();
    await declare(client, queue);
    await client.call(f.consume(1, queue), 'basic.consume-ok');
    return client;
  };
  const brokersOf = async (user: string): Promise<string[]> =>
    (await operator.rows('upstreams', `pool=${user}@*`)).map(({ broker }) => String(broker));
  const address = ({ port }: RabbitMQ): string => `127.0.0.1:${port}`;

  it('sees it of clients, pools, upstreams and brokers, on the page, too', async () => {
    await declare(await login());
    await declare(await login('alice', 'wonder'));
    for (const view of ['clients', 'pools', 'upstreams', 'brokers']) {
      const { out } = await operator.runWith({ COLUMNS: '250' }, 'show', view);
      expect(out.split('\n')[0], view).to.include('ROUTE');
      const rows = await operator.rows(view);
      expect(
        rows.map(({ route }) => route),
        view,
      ).to.include.members(['main', 'eu']);
      expect((await operator.rows(view, 'route=eu')).length, view).to.equal(1);
    }
    if (!hasChromium()) return;
    const dom = await chromium(`${proxy.http}/`, '--dump-dom');
    expect(dom.match(/<th>route<\/th>/g)).to.have.length(4);
  });

  it('switches one: its clients go to the other broker, those of the others stay where they are', async () => {
    const guest = await login();
    await declare(guest);
    const alice = await consumer('alice', 'wonder');
    expect(await brokersOf('guest')).to.deep.equal([address(there)]);
    const ended = await operator.run('switch', '--route', 'eu', here.url);
    expect(ended.err + ended.out).to.match(/is in use: \[route eu\] was paused for \d+\.\d\d s, \d+ waited/);
    await declare(guest);
    await until('the old upstreams to end', async () => !(await brokersOf('guest')).includes(address(there)));
    expect(await brokersOf('guest')).to.deep.equal([address(here)]);
    expect([guest.ended, alice.ended]).to.deep.equal([false, false]);
    const [row] = await operator.rows('config', 'key=route eu.upstream');
    expect(row).to.include({ value: here.url, source: 'console, until the next reload' });
    expect((await operator.rows('config', 'key=main.upstream'))[0].value).to.equal(here.url);
    expect((await operator.run('reload')).out).to.include(`[route eu] upstream ${here.url} -> ${there.url}`);
    await declare(await login());
    await until('it to be back', async () => (await brokersOf('guest')).includes(address(there)));
  });

  it('switches [main]: with it goes a route that has no brokers of its own, and no other', async () => {
    const guest = await consumer();
    const second = await RabbitMQ.start();
    try {
      await second.addUser('alice', 'wonder', '/');
      for (const vhost of ['two']) await second.ctl('add_vhost', vhost);
      await second.addUser('bob', 'builder', 'two');
      const [alice, bob] = [await login('alice', 'wonder'), await login('bob', 'builder', 'two')];
      const ended = await operator.run('switch', second.url);
      expect(ended.err + ended.out).to.match(/is in use: \[main\], \[route far\] was paused for /);
      for (const client of [alice, bob]) await declare(client);
      for (const user of ['alice', 'bob'])
        await until(user, async () => (await brokersOf(user)).join() === address(second));
      expect(await brokersOf('guest')).to.include(address(there));
      expect(guest.ended).to.equal(false);
    } finally {
      await second.stop();
    }
  });

  it('pauses nobody but the clients of the route that is switched', async () => {
    const holder = await consumer();
    const [guest, alice] = [await login(), await login('alice', 'wonder')];
    const switching = operator.run('switch', '--route', 'eu', here.url, '--timeout', '3');
    await until(
      'the pause',
      async () => (await operator.rows('pools', 'route=eu', 'state=paused')).length > 0,
    );
    guest.send(f.declare(1, queueName(), f.DURABLE));
    await declare(alice);
    // one whom no broker has seen yet
    await declare(await login('bob', 'builder', 'one'));
    expect((await operator.rows('pools', 'route=eu'))[0]).to.include({ state: 'paused', waiting: 1 });
    const ended = await switching;
    expect(ended.code).to.equal(1);
    expect(ended.err).to.match(
      /1 client holds on: c\d+ \(guest@\/, basic\.consume\); nothing has changed \(--force closes them\)/,
    );
    await guest.next('queue.declare-ok');
    expect(holder.ended).to.equal(false);
    expect(await brokersOf('guest')).to.include(address(there));
  });

  it('is told what cannot be', async () => {
    const own = /listening on (127\.0\.0\.1:\d+) \(\[listen a\]\)/.exec(proxy.log)![1];
    expect((await operator.run('switch', `amqp://${own}`)).err).to.match(
      /upstream is the proxy itself, which listens/,
    );
    expect((await operator.run('switch', '--route', 'us', here.url)).err).to.equal(
      'amqproxy: there is no route us: there are main, eu, far\n',
    );
    expect((await operator.run('switch', '--route', 'eu', there.url)).err).to.include(
      'that is where it is connected to',
    );
  });
});
