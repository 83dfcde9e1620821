/** Clients that publish as fast as they can, and their neighbours. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { peopledBroker, proxyOnly } from '../support/fixture.ts';
import { Flood } from '../support/flood.ts';
import { Operator } from '../support/operator.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { sleep, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

describe('Who publishes as fast as it can', function () {
  this.timeout(120_000);
  const operator = new Operator();
  let proxy: AmqProxy;
  let floods: Flood[];
  let others: RawClient[];

  before(function () {
    proxyOnly(this);
  });
  beforeEach(() => {
    floods = [];
    others = [];
  });
  afterEach(async () => {
    for (const client of [...floods, ...others]) client.destroy();
    await proxy.stop();
  });

  async function start(...settings: string[]): Promise<void> {
    proxy = await operator.start((await peopledBroker()).url, settings);
  }
  async function flood(count: number): Promise<void> {
    for (let i = 0; i < count; i++) floods.push(await Flood.begin(proxy.port));
  }
  /** A client comes, publishes a message, and leaves. */
  async function visit(): Promise<void> {
    const client = await RawClient.start(proxy.port);
    others.push(client);
    await client.open(1);
    client.send(f.publish(1, 'nowhere', 'hello'));
    await client.ask(f.connectionClose(), 'connection.close-ok', 30);
    client.destroy();
  }
  const apart = (): Promise<number> => proxy.metric('clients_apart');
  const upstreams = (): Promise<number> => proxy.metric('upstream_connections');

  it('has an upstream to itself while others come, and nothing moves for that', async () => {
    await start();
    await flood(1);
    await until('a busy upstream', async () => (await proxy.metric('upstreams_busy')) === 1);
    await until(
      'another one for the others',
      async () => {
        await visit();
        return (await upstreams()) === 2;
      },
      30,
    );
    for (let i = 0; i < 20; i++) await visit();
    expect([await apart(), await proxy.metric('moves_total')]).to.deep.equal([1, 0]);
    expect(await upstreams()).to.be.within(2, 3);
    const { out } = await operator.run('show', 'upstreams', '--json');
    const rows = JSON.parse(out) as { state: string; apart: number }[];
    expect(rows.reduce((n, row) => n + row.apart, 0)).to.equal(1);
    expect(rows.find(row => row.apart === 1)?.state).to.equal('busy');
  });

  it('is parted from others that do, each on an upstream of its own', async () => {
    await start();
    await flood(3);
    await until('three clients apart', async () => (await apart()) === 3, 30);
    await until('three busy upstreams', async () => (await proxy.metric('upstreams_busy')) === 3, 30);
    expect(await upstreams()).to.be.within(3, 4);
    for (const client of floods) client.destroy();
    await until('none', async () => (await apart()) === 0);
    await until('nothing busy', async () => (await proxy.metric('upstreams_busy')) === 0, 30);
  });

  it('is not refused, nor is anybody else, where there is no room for more upstreams', async () => {
    await start('max_upstreams = 2');
    await flood(4);
    for (let i = 0; i < 10; i++) await visit();
    await until('some apart', async () => (await apart()) > 0, 30);
    for (let i = 0; i < 10; i++) await visit();
    expect(await upstreams()).to.be.at.most(2);
    for (const client of floods) expect(client.frames.map(({ name }) => name)).to.deep.equal([]);
  });

  it('does not move for each burst, and gives its upstream up when it has stopped', async () => {
    await start();
    await flood(2);
    await until('both apart', async () => (await apart()) === 2, 30);
    await until('two busy upstreams', async () => (await proxy.metric('upstreams_busy')) === 2, 30);
    const before = await proxy.metric('moves_total');
    const there = await upstreams();
    for (let burst = 0; burst < 3; burst++) {
      for (const client of floods) client.stop();
      await sleep(700);
      for (const client of floods) client.go();
      await sleep(700);
    }
    expect([await proxy.metric('moves_total'), await upstreams()]).to.deep.equal([before, there]);
    for (const client of floods) client.stop();
    await until('none apart', async () => (await apart()) === 0, 40);
    expect(floods.some(client => client.ended)).to.equal(false);
  });
});

describe('Many who publish little', function () {
  this.timeout(120_000);
  const operator = new Operator();
  let proxy: AmqProxy;
  let clients: RawClient[] = [];
  before(async function () {
    proxyOnly(this);
    proxy = await operator.start((await peopledBroker()).url);
  });
  after(() => proxy?.stop());

  afterEach(() => {
    for (const client of clients) client.destroy();
  });

  async function arrive(): Promise<void> {
    clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.start(proxy.port)));
    for (const client of clients) await client.open(1);
  }
  /** Ten messages a second each. */
  async function work(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      for (const client of clients) client.send(f.publish(1, 'nowhere', 'x'.repeat(1024)));
      await sleep(100);
    }
  }

  it('need no more than two upstreams, and stay where they are', async () => {
    await arrive();
    await work(30);
    expect(await proxy.metric('upstream_connections')).to.be.at.most(2);
    expect(await proxy.metric('moves_total')).to.equal(0);
    for (const client of clients) await client.ask(f.connectionClose(), 'connection.close-ok', 30);
  });

  it('stay where they are when those move who fill the upstream', async () => {
    await arrive();
    const working = work(50);
    await sleep(500);
    const floods = [await Flood.begin(proxy.port), await Flood.begin(proxy.port)];
    try {
      await until('both apart', async () => (await proxy.metric('clients_apart')) === 2, 30);
      await working;
      expect(await proxy.metric('moves_total')).to.be.at.most(floods.length);
    } finally {
      for (const client of floods) client.destroy();
    }
  });
});
