/** Routes: one proxy before two clusters, of which each knows vhosts and users of its own. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Crowd } from '../support/crowd.ts';
import { peopledBroker, proxyOnly, queueName, settingsFile, writeSettings } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, until } from '../support/rabbitmq.ts';
import { closeOf, declareArgs, type LoginOptions, publish, RawClient } from '../support/raw-client.ts';

describe('Routes', () => {
  let here: RabbitMQ;
  let there: RabbitMQ;
  let operator: Operator;
  let proxy: AmqProxy;

  before(async function () {
    proxyOnly(this);
    this.timeout(180_000);
    [here, there] = await Promise.all([peopledBroker(), RabbitMQ.start()]);
    for (const vhost of ['shop', 'one']) await there.ctl('add_vhost', vhost);
    // the same name with another secret, and one that the first cluster does not know
    await there.addUser('alice', 'elsewhere', 'shop', 'one');
    await there.addUser('carol', 'christmas', 'shop', 'one', '/');
  });
  after(() => there?.stop());
  beforeEach(() => {
    operator = new Operator();
  });
  afterEach(() => proxy?.stop());

  const start = async (main: string[], ...routes: string[]): Promise<void> => {
    proxy = await operator.start(null, [...main, ...routes]);
  };
  /** What a client hears that logs in: welcome, the text of a refusal, or the end. */
  const login = async (options: LoginOptions): Promise<string> => {
    const client = await RawClient.connect(proxy.port);
    try {
      const answer = await client.login(options);
      if (answer === null) return 'the end';
      return answer.name === 'connection.open-ok' ? 'welcome' : closeOf(answer).text;
    } finally {
      client.destroy();
    }
  };
  const declareAndPublish = async (options: LoginOptions, queue: string): Promise<void> => {
    const client = await RawClient.start(proxy.port, options);
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs(queue));
    await client.answered('queue.declare-ok');
    client.send(publish(1, queue, Buffer.from('hello')));
    client.method(1, 'channel.close', Buffer.from([0, 200, 0, 0, 0, 0, 0]));
    await client.answered('channel.close-ok');
    client.destroy();
  };

  describe('by vhost', () => {
    const shop = { user: 'alice', secret: 'elsewhere', vhost: 'shop' };
    const home = { user: 'alice', secret: 'wonder', vhost: '/' };
    beforeEach(() =>
      start([`upstream = ${here.url}`], '[route shop]', 'vhosts = shop', `upstream = ${there.url}`),
    );

    it('lead each client to its cluster, and nothing of one is seen in the other', async () => {
      for (let i = 0; i < 2; i++) {
        await declareAndPublish(shop, 'route-shop');
        await declareAndPublish(home, 'route-home');
      }
      expect(await there.messages('route-shop', 'shop')).to.equal(2);
      expect(await here.messages('route-home', '/')).to.equal(2);
      expect(await there.messages('route-home', '/')).to.equal(null);
      const pools = await operator.rows('pools');
      expect(pools.map(({ id, route }) => `${id} ${route}`).sort()).to.deep.equal([
        'alice@/ main',
        'alice@shop shop',
      ]);
    });

    it('leave each login to the cluster of its vhost alone, with that cluster’s words', async () => {
      const before = await here.accepted();
      const said = here.log.length;
      expect(await login(shop)).to.equal('welcome');
      expect(await login({ ...shop, secret: 'wonder' })).to.match(
        /^ACCESS_REFUSED - Login was refused using/,
      );
      expect(await login({ ...shop, secret: 'wonder', capabilities: {} })).to.equal('the end');
      expect(await login({ ...shop, user: 'carol', secret: 'christmas' })).to.equal('welcome');
      expect(await here.accepted()).to.equal(before);
      expect(here.log.slice(said)).not.to.match(/user 'carol'|PLAIN login refused: user 'alice'/);
      expect(await login({ ...home, secret: 'elsewhere' })).to.match(/^ACCESS_REFUSED/);
      // what is proven at one cluster opens no door at the other
      expect(await login(home)).to.equal('welcome');
      expect(await login({ ...shop, secret: 'wonder' })).to.match(/^ACCESS_REFUSED/);
    });

    it('say the broker’s words for a vhost that it does not know', async () => {
      expect(await login({ ...home, vhost: 'shopping' })).to.match(/^NOT_ALLOWED - .*shopping/);
    });

    it('are in the metrics as a label', async () => {
      expect(await login(shop)).to.equal('welcome');
      expect(await proxy.metric(`broker_up{upstream="127.0.0.1:${there.port}",route="shop"}`)).to.equal(1);
      expect(await proxy.metric(`broker_up{upstream="127.0.0.1:${here.port}"}`)).to.equal(1);
    });

    it('are shown by the console, with where each setting comes from', async () => {
      const brokers = await operator.rows('brokers');
      expect(brokers.map(({ id, route }) => [id, route])).to.deep.equal([
        [`127.0.0.1:${here.port}`, 'main'],
        [`127.0.0.1:${there.port}`, 'shop'],
      ]);
      const [vhosts] = await operator.rows('config', 'key=route shop.vhosts');
      expect(vhosts).to.include({ value: 'shop', live: 'live' });
      expect(vhosts.source).to.match(/amqproxy\.ini:\d+$/);
    });
  });

  describe('by user', () => {
    it('lead a user to another cluster, whatever the vhost; a wrong secret is refused at the login', async () => {
      await start([`upstream = ${here.url}`], '[route carol]', 'users = car*', `upstream = ${there.url}`);
      expect(await login({ user: 'carol', secret: 'christmas', vhost: 'one' })).to.equal('welcome');
      expect(await login({ user: 'alice', secret: 'wonder', vhost: 'one' })).to.equal('welcome');
      const client = await RawClient.connect(proxy.port);
      client.send(Buffer.from('AMQP\0\0\x09\x01'));
      await client.next('connection.start');
      client.startOk(undefined, 'PLAIN', Buffer.from('\0carol\0wrong'));
      const answer = await client.next(frame => /^connection\.(tune|close)$/.test(frame.name));
      expect(answer?.name).to.equal('connection.close');
      client.destroy();
    });
  });

  it('without an upstream in [main]: whom none fits is refused with 530', async () => {
    await start([], '[route one]', 'vhosts = one', `upstream = ${here.url}`);
    expect(await login({ user: 'alice', secret: 'wonder', vhost: 'one' })).to.equal('welcome');
    expect(await login({ user: 'alice', secret: 'wonder', vhost: '/' })).to.equal(
      "NOT_ALLOWED - no route takes user 'alice' to vhost '/'",
    );
  });

  it('of which one leads nowhere now: the others work, /readyz names it', async () => {
    const port = await freePort();
    await start(
      [`upstream = ${here.url}`],
      '[route gone]',
      'vhosts = shop',
      `upstream = amqp://127.0.0.1:${port}`,
    );
    const readyz = async (query = ''): Promise<[number, string]> => {
      const response = await fetch(`${proxy.http}/readyz${query}`);
      return [response.status, await response.text()];
    };
    await until('it to be known', async () => (await readyz('?route=gone'))[0] === 503);
    expect(await readyz()).to.deep.equal([200, 'OK\nroute gone: not ready\n']);
    expect(await readyz('?route=main')).to.deep.equal([200, 'OK\n']);
    expect((await readyz('?route=other'))[0]).to.equal(404);
    expect(await login({})).to.equal('welcome');
    expect(await login({ vhost: 'shop' })).to.match(
      new RegExp(
        `^CONNECTION_FORCED - no broker can be reached: 127\\.0\\.0\\.1:${port}: connection refused`,
      ),
    );
  });

  it('have limits of their own', async () => {
    await start(
      [`upstream = ${here.url}`],
      '[route one]',
      'vhosts = one',
      'max_clients = 2',
      'max_clients_per_user = 1',
    );
    const alice = { user: 'alice', secret: 'wonder' };
    const bob = { user: 'bob', secret: 'builder' };
    const first = await RawClient.start(proxy.port, { ...alice, vhost: 'one' });
    expect(await login({ ...alice, vhost: 'one' })).to.equal(
      "NOT_ALLOWED - user 'alice' has max_clients_per_user (1) of [route one] clients already",
    );
    const second = await RawClient.start(proxy.port, { ...bob, vhost: 'one' });
    expect(await login({ ...bob, vhost: 'one' })).to.equal(
      'NOT_ALLOWED - [route one] has max_clients (2) clients already',
    );
    const elsewhere = await RawClient.start(proxy.port, { ...alice, vhost: '/' });
    for (const client of [first, second, elsewhere]) client.destroy();
    await until('room', async () => (await login({ ...alice, vhost: 'one' })) === 'welcome');
  });

  it('of which one is full: who waits for it to have room holds up nobody on another', async () => {
    await start([`upstream = ${here.url}`], '[route one]', 'vhosts = one', 'max_upstreams_total = 1');
    const consumer = await RawClient.start(proxy.port, { user: 'alice', secret: 'wonder', vhost: 'one' });
    await consumer.open(1);
    const queue = queueName();
    await consumer.call(f.declare(1, queue), 'queue.declare-ok');
    await consumer.call(f.consume(1, queue), 'basic.consume-ok');
    let waits = true;
    const waiting = login({ user: 'bob', secret: 'builder', vhost: 'one' }).then(said => {
      waits = false;
      return said;
    });
    await until('bob to wait', async () => (await operator.rows('clients', 'user=bob')).length === 1);
    expect(await login({ user: 'alice', secret: 'wonder', vhost: '/' })).to.equal('welcome');
    expect(waits).to.equal(true);
    expect(await waiting).to.match(/max_upstreams_total/);
    consumer.destroy();
  });

  it('that come with a reload take their clients over, and give them back: none is lost', async () => {
    await start([`upstream = ${here.url}`]);
    const own = async (broker: RabbitMQ): Promise<number> =>
      (await broker.list('list_connections', 'client_properties')).filter(row =>
        row.join().includes('amqproxy'),
      ).length;
    const crowd = new Crowd(proxy.url, 5, 20);
    await until('the load', () => crowd.published > 100);
    const admin = ['[admin]', `socket = ${operator.socket}`];
    writeSettings(
      operator.file,
      `upstream = ${here.url}`,
      '[route all]',
      'users = guest',
      `upstream = ${there.url}`,
      ...admin,
    );
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.log.includes('Reloaded: [route all] is new'));
    await until(
      'all upstreams to be there',
      async () => (await own(here)) === 0 && (await own(there)) > 0,
      30,
    );
    writeSettings(operator.file, `upstream = ${here.url}`, ...admin);
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.log.includes('Reloaded: [route all] is gone'));
    await until(
      'all upstreams to be back',
      async () => (await own(there)) === 0 && (await own(here)) > 0,
      30,
    );
    await crowd.leave();
    expect(proxy.log).not.to.match(/Client closed|Upstream lost|refused/);
  });

  it('are printed by --check-config --as, and what cannot be ends it with 78', async () => {
    const check = async (...lines: string[]): Promise<[number, string]> => {
      const file = settingsFile('upstream = amqp://a', '[route eu]', 'vhosts = eu-*', ...lines);
      const program = AmqProxy.spawn(['-c', file, '--check-config', '--as', 'app@x.example@eu-1']);
      const code = await program.exited();
      return [code, program.log.replaceAll(`${file}:`, '')];
    };
    const [code, text] = await check('upstream = amqps://b');
    expect(code).to.equal(0);
    expect(text).to.match(/^; app@x\.example@eu-1 takes \[route eu\] \(3\): amqps:\/\/b:5671$/m);
    const [bad, why] = await check('[route us]', 'vhosts = eu-1');
    expect(bad).to.equal(78);
    expect(why).to.match(
      /6: vhosts = "eu-1" can never be reached: \[route eu\] \(3\) before it takes all that/,
    );
  });
});
