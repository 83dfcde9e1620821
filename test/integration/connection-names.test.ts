/** What a client calls its connection is what the broker's own tools call the upstream that it has for itself. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { peopledBroker, proxyOnly, queueName } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

/** Longer than any broker takes. */
const ENDLESS = 'x'.repeat(100 * 1024);

describe("The connection's name at the broker", () => {
  let broker: RabbitMQ;
  let operator: Operator;
  let proxy: AmqProxy;
  const clients: RawClient[] = [];
  before(async function () {
    proxyOnly(this);
    broker = await peopledBroker();
  });
  const start = async (...settings: string[]): Promise<void> => {
    operator = new Operator();
    proxy = await operator.start(broker.url, settings);
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy?.stop();
  });

  const login = async (title?: string): Promise<RawClient> => {
    const client = await RawClient.start(proxy.port, title === undefined ? {} : { title });
    clients.push(client);
    await client.open(1);
    return client;
  };
  const consume = async (client: RawClient): Promise<void> => {
    const queue = queueName();
    await client.ask(f.declare(1, queue), 'queue.declare-ok');
    await client.ask(f.consume(1, queue), 'basic.consume-ok');
  };
  const consumer = async (title?: string): Promise<RawClient> => {
    const client = await login(title);
    await consume(client);
    return client;
  };
  const leave = async (client: RawClient): Promise<void> => {
    await client.ask(f.connectionClose(), 'connection.close-ok');
    client.destroy();
  };
  /** connection_name of each connection, by the name that the broker gives it. */
  const names = async (): Promise<Map<string, string>> =>
    new Map(
      (await broker.list('list_connections', 'name', 'client_properties')).map(([name, properties]) => [
        name,
        /\{"connection_name","((?:[^"\\]|\\.)*)"\}/.exec(properties)?.[1] ?? '',
      ]),
    );
  const called = async (title: string): Promise<number> =>
    [...(await names()).values()].filter(name => name === title).length;
  /** Those that are called as the proxy calls them. */
  const ours = async (): Promise<number> =>
    [...(await names()).values()].filter(name => /^amqproxy \S+: guest@\/ #\d+$/.test(name)).length;

  it('is that of a consumer, and of who has an exclusive queue; who shares one has ours', async () => {
    await start();
    await consumer('orders worker');
    const exclusive = await login('rpc');
    await exclusive.ask(f.declare(1, queueName(), f.EXCLUSIVE), 'queue.declare-ok');
    const publisher = await login('publisher');
    await publisher.ask(f.declare(1, queueName()), 'queue.declare-ok');
    await consumer();
    expect(
      [...(await names()).values()].map(name => name.replace(/#\d+|amqproxy [^:]+/g, '…')).sort(),
    ).to.deep.equal(['orders worker', 'rpc', '…: guest@/ …', '…: guest@/ …']);
  });

  it('leads from the broker to the client, and back', async () => {
    await start();
    await consumer('orders worker');
    const [[way]] = [...(await names())].filter(([, name]) => name === 'orders worker');
    const [client, ...others] = await operator.rows('clients', `at_broker=${way}`);
    expect(others).to.deep.equal([]);
    expect(client).to.include({ name: 'orders worker', state: 'private' });
    expect(await operator.rows('clients', way)).to.have.length(1);
    const [upstream] = await operator.rows('upstreams', `name=${way}`);
    expect(upstream).to.include({ id: client.upstream, holder: client.id, title: 'orders worker' });
    expect((await operator.rows('upstreams', String(client.id)))[0].name).to.equal(way);
  });

  it('lets who closes it at the broker by its name reach the client that has it', async () => {
    await start();
    const [one, two] = [await consumer('one'), await consumer('two')];
    const rows = await broker.list('list_connections', 'pid', 'client_properties');
    const [pid] = rows.find(([, properties]) => properties.includes('{"connection_name","one"}'))!;
    await broker.ctl('close_connection', pid, 'by its name');
    expect(closeOf((await one.next('connection.close'))!)).to.deep.include({
      code: 320,
      text: 'CONNECTION_FORCED - by its name',
    });
    expect(two.ended).to.equal(false);
  });

  it('is kept for another client of that name for a moment, and nobody else gets it', async () => {
    await start();
    await leave(await consumer('worker'));
    const before = await proxy.metric('upstreams_opened_total');
    await consumer('worker');
    expect(await proxy.metric('upstreams_opened_total')).to.equal(before);
    await leave(clients.at(-1)!);
    const publisher = await login('publisher');
    await publisher.ask(f.declare(1, queueName()), 'queue.declare-ok');
    const [shared] = await operator.rows('upstreams', 'state=shared');
    expect(shared.title).to.match(/^amqproxy /);
    await consumer('another');
    await consumer();
    expect(await called('another')).to.equal(1);
    expect((await operator.rows('clients', 'name=')).map(({ private: why }) => why)).to.deep.equal([
      'basic.consume',
    ]);
    await until('the one that nobody came for to be closed', async () => (await called('worker')) === 0, 20);
  });

  it('is that of each client where pool_mode = session, of the first one, too', async () => {
    await start('pool_mode = session');
    await login('first');
    expect([...(await names()).values()]).to.deep.equal(['first']);
    await login('second');
    await login();
    expect([await called('first'), await called('second'), await ours()]).to.deep.equal([1, 1, 1]);
    await leave(clients[0]);
    await login('first');
    expect([...(await names()).values()]).to.have.length(3);
  });

  it('is that of hundreds who come at once', async () => {
    await start();
    const titles = Array.from({ length: 200 }, (_, i) => `worker ${i}`);
    await Promise.all(titles.map(consumer));
    const there = [...(await names()).values()];
    expect(titles.filter(title => !there.includes(title))).to.deep.equal([]);
    const rows = await operator.rows('upstreams', 'state=private');
    const clientsThere = new Map((await operator.rows('clients')).map(({ id, name }) => [id, name]));
    for (const { holder, title } of rows) expect(title).to.equal(clientsThere.get(holder));
  });

  it('is another one rather than none, where no more upstreams may be opened', async () => {
    await start('max_upstreams = 1', 'lease_timeout = 5');
    await leave(await consumer('one'));
    await leave(await consumer('two'));
    const publisher = await login();
    await publisher.ask(f.declare(1, queueName()), 'queue.declare-ok');
    expect(await proxy.metric('upstreams_opened_total')).to.equal(1);
  });

  it('is another one where max_upstreams_total leaves no room', async () => {
    await start('max_upstreams_total = 1', 'lease_timeout = 5');
    await leave(await consumer('one'));
    await leave(await consumer('two'));
    const publisher = await login();
    await publisher.ask(f.declare(1, queueName()), 'queue.declare-ok');
    expect(await proxy.metric('upstreams_opened_total')).to.equal(1);
  });

  it('is another one where the broker lets in no more, or cannot be reached any more', async () => {
    await start('lease_timeout = 30');
    await broker.ctl('set_vhost_limits', '-p', 'closed', '{"max-connections": 1}');
    await broker.ctl('set_permissions', '-p', 'closed', 'alice', '.*', '.*', '.*');
    try {
      const limited = await RawClient.start(proxy.port, {
        user: 'alice',
        secret: 'wonder',
        vhost: 'closed',
        title: 'limited',
      });
      clients.push(limited);
      await limited.open(1);
      await consume(limited);
    } finally {
      await broker.ctl('clear_permissions', '-p', 'closed', 'alice');
      await broker.ctl('clear_vhost_limits', '-p', 'closed');
    }
    await proxy.stop();
    const relay = await Relay.start(broker.port);
    operator = new Operator();
    proxy = await operator.start(relay.url, ['lease_timeout = 30']);
    const client = await login('worker');
    await client.ask(f.declare(1, queueName()), 'queue.declare-ok');
    relay.refuse();
    await consume(client);
    await relay.end();
  });

  const HOSTILE: [what: string, title: string, seen: RegExp][] = [
    [
      'that steers a terminal or forges a line',
      '\x1b]0;owned\x07\nother 127.0.0.1 \u202e',
      /^ \]0;owned {2}other 127\.0\.0\.1 {2}$/,
    ],
    ['in another script', 'обработчик 用户', /^обработчик 用户$/],
    ['that is long', 'y'.repeat(300), /^y{128}$/],
    ['of blanks', ' \n ', /^amqproxy /],
  ];
  for (const [what, title, seen] of HOSTILE)
    it(`may be one ${what}`, async () => {
      await start();
      await consumer(title);
      const [{ title: own }] = await operator.rows('upstreams', 'state=private');
      expect(own).to.match(seen);
      // and the broker tells it as that of a client without a proxy
      const direct = await RawClient.start(broker.port, { title: String(own) });
      clients.push(direct);
      const listed = [...(await names())];
      const [, same] = listed.find(([way]) => way.startsWith(`127.0.0.1:${direct.socket.localPort} `))!;
      expect(listed.filter(([, name]) => name === same)).to.have.length(2);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
      expect(broker.log).not.to.match(/[\x00-\x09\x0b-\x1f\u202e]|^other 127/m);
    });

  it('that is endless costs nobody but who has it anything', async () => {
    await start();
    const endless = await RawClient.connect(proxy.port);
    clients.push(endless);
    expect(await endless.login({ title: ENDLESS })).to.satisfy(
      (frame: unknown) => frame === null || closeOf(frame as never).code === 501,
    );
    const long = await RawClient.start(proxy.port, { title: 'z'.repeat(60_000) });
    clients.push(long);
    await long.open(1);
    await consume(long);
    expect(await called('z'.repeat(128))).to.equal(1);
    await consumer('worker');
  });

  it('is ours where a long secret leaves no room for it', async () => {
    await start();
    const secret = 's'.repeat(3300);
    await broker.addUser('token', secret, '/');
    try {
      const client = await RawClient.start(proxy.port, { user: 'token', secret, title: 't'.repeat(120) });
      clients.push(client);
      await client.open(1);
      await consume(client);
      const [{ title }] = await operator.rows('upstreams', 'state=private');
      expect(title).to.match(/^amqproxy \S+: token@\//);
    } finally {
      await broker.ctl('delete_user', 'token');
    }
  });
});
