/** What an operator does to a running proxy, and that its clients notice no more than they must. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { peopledBroker, proxyOnly, queueName } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { closeOf, publish, RawClient } from '../support/raw-client.ts';

describe('The operator', () => {
  let operator: Operator;
  let proxy: AmqProxy;
  const clients: RawClient[] = [];
  const login = async (user = 'guest', secret = 'guest', vhost = '/'): Promise<RawClient> => {
    const client = await RawClient.start(proxy.port, { user, secret, vhost });
    clients.push(client);
    await client.open(1);
    return client;
  };
  const idOf = async (client: RawClient): Promise<string> => {
    const [row] = await operator.rows('clients', `address=127.0.0.1:${client.socket.localPort}`);
    return String(row.id);
  };
  /** Posts an act; what it answers, or the error that it says. */
  const act = async (
    name: string,
    args: string[] = [],
    options: Record<string, string> = {},
  ): Promise<string> => {
    const query = new URLSearchParams([
      ...args.map((arg): [string, string] => ['arg', arg]),
      ...Object.entries(options),
    ]);
    const { status, body } = await operator.ask('POST', `/${name}?${query}`);
    return status === 200 ? String(body.text) : `error: ${body.error}`;
  };
  before(function () {
    proxyOnly(this);
  });
  beforeEach(async () => {
    operator = new Operator();
    proxy = await operator.start((await peopledBroker()).url, ['lease_timeout = 2']);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.stop();
  });

  it('closes one client with 320 and the reason, and the log says who did', async () => {
    const [one, other] = [await login(), await login()];
    const id = await idOf(one);
    const ended = await operator.run('kill', id, '--reason', 'moved');
    expect(ended).to.deep.equal({ code: 0, out: `1 client closed: ${id}\n`, err: '' });
    expect(closeOf((await one.next('connection.close'))!)).to.include({
      code: 320,
      text: 'CONNECTION_FORCED - closed by the operator: moved',
    });
    expect(other.ended).to.equal(false);
    expect(proxy.log).to.match(
      new RegExp(`Console: kill: 1 client closed: ${id} by="?\\S+.* args=${id} reason=moved`),
    );
    expect((await operator.run('kill', 'c99999')).err).to.equal('amqproxy: there is no client c99999\n');
  });

  it('closes those that filters mean, and nobody else', async () => {
    const alice = await login('alice', 'wonder', 'one');
    const [bob, there] = [await login('bob', 'builder', 'one'), await login('bob', 'builder', 'two')];
    expect(await act('kill', ['user=bob', 'vhost=one'])).to.match(/^1 client closed/);
    await bob.next('connection.close');
    expect(alice.ended || there.ended).to.equal(false);
    expect(await act('kill', ['user=carol'])).to.equal('error: there is no such client');
    expect(await act('kill')).to.match(/^error: which clients\?/);
  });

  it('follows one client, whose way is then told at info', async () => {
    await proxy.stop();
    proxy = await operator.start((await peopledBroker()).url, [], ['--log-level', 'info']);
    const [one, other] = [await login(), await login()];
    const id = await idOf(one);
    await act('debug', [id]);
    for (const client of [one, other]) await client.call(f.declare(1, queueName()), 'queue.declare-ok');
    await until('its lease', () => proxy.log.includes('Lease'));
    expect(proxy.log.match(/^INFO Lease .*$/gm)).to.have.length(1);
    expect(proxy.log).to.match(new RegExp(`^INFO Lease id=${id} `, 'm'));
  });

  it('pauses a pool: leases wait, however long, and go on; other pools notice nothing', async () => {
    const alice = await login('alice', 'wonder', 'one');
    const bob = await login('bob', 'builder', 'one');
    await alice.call(f.declare(1, queueName()), 'queue.declare-ok');
    expect(await act('pause', ['alice@one'])).to.match(
      /^pool alice@one is paused: after .* s nothing is under way/,
    );
    alice.send(f.declare(1, queueName()));
    await bob.call(f.declare(1, queueName()), 'queue.declare-ok');
    const newcomer = await login('alice', 'wonder', 'one');
    // longer than lease_timeout
    await sleep(2700);
    expect((await operator.rows('pools', 'id=alice@one'))[0]).to.include({ state: 'paused', waiting: 1 });
    expect(await act('resume', ['alice@one'])).to.equal('pool alice@one goes on: 1 waited');
    await alice.next('queue.declare-ok');
    await newcomer.call(f.declare(1, queueName()), 'queue.declare-ok');
    expect([alice.ended, newcomer.ended]).to.deep.equal([false, false]);
  });

  it('pauses everything: logins that need the broker wait, too', async () => {
    expect(await act('pause')).to.match(/^everything is paused/);
    const late = RawClient.start(proxy.port, { user: 'bob', secret: 'builder', vhost: 'two' });
    await sleep(2700);
    expect(await operator.rows('upstreams')).to.deep.equal([]);
    await act('resume');
    clients.push(await late);
  });

  it('hears who holds on when a pause does not come to its end', async () => {
    const consumer = await login();
    const queue = queueName();
    await consumer.call(f.declare(1, queue), 'queue.declare-ok');
    await consumer.call(f.consume(1, queue), 'basic.consume-ok');
    const id = await idOf(consumer);
    const ended = await operator.run('pause', '--timeout', '0.3');
    expect(ended.code).to.equal(1);
    expect(ended.err).to.match(
      new RegExp(
        `everything is paused, but after 0\\.\\d s 1 client holds on: ${id} \\(guest@/, basic\\.consume\\)`,
      ),
    );
    expect(await act('resume')).to.match(/^everything goes on/);
    expect(consumer.ended).to.equal(false);
  });

  it('has publishers that never rest wait, without an error', async () => {
    const publisher = await login();
    const queue = queueName();
    await publisher.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
    let sent = 0;
    const timer = setInterval(() => {
      publisher.send(publish(1, queue, Buffer.from('x')));
      sent++;
    }, 5);
    try {
      expect(await act('pause', [], { timeout: '10' })).to.match(/^everything is paused/);
      const before = (await operator.rows('clients'))[0].published;
      await sleep(300);
      expect((await operator.rows('clients'))[0].published).to.equal(before);
      await act('resume');
    } finally {
      clearInterval(timer);
    }
    await publisher.call(f.channelClose(1), 'channel.close-ok');
    const [row] = await operator.rows('clients');
    expect(row.published).to.equal(sent);
  });

  it('reconnects: new leases get new upstreams, nobody hears of it', async () => {
    const client = await login();
    await client.call(f.declare(1, queueName()), 'queue.declare-ok');
    const [before] = await operator.rows('upstreams');
    expect(await act('reconnect', ['guest@/'])).to.equal('1 upstream of pool guest@/ will be made anew');
    await until('another upstream', async () => {
      await client.call(f.declare(1, queueName()), 'queue.declare-ok');
      const now = await operator.rows('upstreams');
      return now.length === 1 && now[0].id !== before.id;
    });
    expect(client.ended).to.equal(false);
  });

  it('changes a setting until the next reload, and hears what is wrong', async () => {
    expect(await act('set', ['max_clients', '7'])).to.equal('max_clients 0 -> 7, until the next reload');
    const [row] = await operator.rows('config', 'key=main.max_clients');
    expect(row).to.include({ value: '7', source: 'console, until the next reload' });
    expect(await act('set', ['max_klients', '7'])).to.equal(
      'error: there is no setting max_klients: did you mean max_clients?',
    );
    expect(await act('set', ['max_clients', 'many'])).to.match(
      /^error: max_clients = "many" is not a number: allowed is/,
    );
    expect(await act('set', ['pool_mode', 'session'])).to.match(
      /^error: pool_mode changes at the next restart only/,
    );
    expect(await act('reload')).to.include('max_clients 7 -> 0');
    expect((await operator.rows('config', 'key=main.max_clients'))[0].value).to.equal('0');
  });

  it('reloads and checks, with the mistakes as the answer', async () => {
    expect(await act('check')).to.equal('A reload would change nothing');
    appendFileSync(operator.file, '[main]\nmax_clients = 5\n');
    expect(await act('check')).to.equal('A reload would change max_clients 0 -> 5');
    expect((await operator.rows('config', 'key=main.max_clients'))[0].value).to.equal('0');
    expect((await operator.run('reload')).out).to.equal('Reloaded: max_clients 0 -> 5\n');
    writeFileSync(operator.file, '[main]\nmax_klients = 5\n');
    for (const name of ['check', 'reload']) {
      const ended = await operator.run(name);
      expect(ended.code).to.equal(1);
      expect(ended.err).to.equal(
        `amqproxy: ${operator.file}:2: unknown key max_klients in [main]: did you mean max_clients?\n`,
      );
    }
  });
});

describe('The operator of two brokers', () => {
  let operator: Operator;
  let proxy: AmqProxy;
  let other: RabbitMQ;
  before(async function () {
    proxyOnly(this);
    this.timeout(180_000);
    other = await RabbitMQ.start();
  });
  beforeEach(() => {
    operator = new Operator();
  });
  afterEach(() => proxy?.stop());
  after(() => other?.stop());

  const addresses = async (): Promise<string[]> =>
    (await operator.rows('upstreams')).map(({ broker }) => String(broker));

  it('drains one: its upstreams go, new ones come at the other; the last one cannot be drained', async () => {
    const first = await peopledBroker();
    proxy = await operator.start(`${first.url},${other.url}`);
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    await client.call(f.declare(1, queueName()), 'queue.declare-ok');
    const [address] = await addresses();
    const left = address === `127.0.0.1:${first.port}` ? other : first;
    expect((await operator.run('drain', address)).out).to.match(
      new RegExp(`^${address} gets no new upstreams; 1 upstream there`),
    );
    await until('it to be empty', async () => !(await addresses()).includes(address));
    for (let i = 0; i < 4; i++) {
      await client.call(f.declare(1, queueName()), 'queue.declare-ok');
      expect(await addresses()).to.deep.equal([`127.0.0.1:${left.port}`]);
      await operator.run('reconnect');
    }
    expect((await operator.rows('brokers', 'state=drained')).map(({ id }) => id)).to.deep.equal([address]);
    expect((await operator.run('drain', `127.0.0.1:${left.port}`)).err).to.include(
      'is the last broker that is left',
    );
    expect((await operator.run('undrain', address)).out).to.equal(`${address} is used again\n`);
    client.destroy();
  });

  it('switches under 50 clients a second, who notice nothing but one longer wait', async function () {
    this.timeout(120_000);
    const first = await peopledBroker();
    proxy = await operator.start(first.url);
    const queue = queueName();
    for (const broker of [first, other]) {
      const owner = await RawClient.start(broker.port);
      await owner.open(1);
      await owner.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
      owner.destroy();
    }
    let stopped = false;
    let longest = 0;
    const stays: Promise<string>[] = [];
    const stay = async (): Promise<string> => {
      const began = performance.now();
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      client.send(publish(1, queue, Buffer.from('x')), f.connectionClose());
      const end = await client.next(
        ({ name }) => name.endsWith('.close') || name === 'connection.close-ok',
        30,
      );
      client.destroy();
      longest = Math.max(longest, performance.now() - began);
      return end?.name ?? 'the connection ended';
    };
    const load = setInterval(() => stopped || stays.push(stay()), 20);
    try {
      await until('some to have come and gone', () => stays.length > 50);
      const ended = await operator.run('switch', other.url);
      expect(ended.err + ended.out).to.match(/is in use: everything was paused for \d+\.\d\d s, \d+ waited/);
      const sofar = stays.length;
      await until('more to come', () => stays.length > sofar + 50);
    } finally {
      stopped = true;
      clearInterval(load);
    }
    const ends = await Promise.all(stays);
    expect(new Set(ends)).to.deep.equal(new Set(['connection.close-ok']));
    expect(new Set(await addresses())).to.deep.equal(new Set([`127.0.0.1:${other.port}`]));
    const kept: number[] = [];
    for (const broker of [first, other]) kept.push((await broker.messages(queue))!);
    expect(kept[0] + kept[1]).to.equal(stays.length);
    expect(Math.min(...kept)).to.be.above(20);
    console.log(
      `      ${stays.length} clients, ${kept.join(' + ')} messages, longest stay ${Math.round(longest)} ms`,
    );
  });

  it('is told why a switch cannot be, and then nothing has changed', async () => {
    const first = await peopledBroker();
    proxy = await operator.start(first.url);
    const consumer = await RawClient.start(proxy.port);
    await consumer.open(1);
    const queue = queueName();
    await consumer.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
    await consumer.call(f.consume(1, queue), 'basic.consume-ok');
    const mistake = async (...args: string[]): Promise<string> => {
      const ended = await operator.run('switch', ...args);
      expect(ended.code).to.equal(1);
      return ended.err;
    };
    expect(await mistake('http://here')).to.match(/is not an AMQP URL: allowed is/);
    expect(await mistake('amqp://user:secret@127.0.0.1:1'))
      .to.match(/no broker can be reached: .*; nothing has changed/)
      .and.not.include('secret');
    expect(proxy.log).to.include('args=amqp://***@127.0.0.1:1').and.not.include('secret');
    expect(await mistake(first.url)).to.include('that is where it is connected to');
    expect(await mistake(other.url, '--timeout', '0.2')).to.match(
      /1 client holds on: c\d+ \(guest@\/, basic\.consume\); nothing has changed \(--force closes them\)/,
    );
    expect(await addresses()).to.deep.equal([`127.0.0.1:${first.port}`]);
    expect(consumer.ended).to.equal(false);
    expect((await operator.run('switch', other.url, '--timeout', '0.2', '--force')).out).to.include(
      '1 closed',
    );
    expect(closeOf((await consumer.next('connection.close'))!).code).to.equal(320);
    consumer.destroy();
  });
});
