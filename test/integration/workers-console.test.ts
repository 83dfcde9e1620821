/** What is seen and done over all workers together: console, metrics, and limits. */
import { appendFileSync } from 'node:fs';
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Crew } from '../support/crew.ts';
import { peopledBroker, proxyOnly, queueName } from '../support/fixture.ts';
import { sharedBroker, sleep, until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

describe('The console of several workers', () => {
  const crew = new Crew();
  let clients: RawClient[];
  let url: string;
  before(async function () {
    proxyOnly(this);
    ({ url } = await peopledBroker());
    await crew.start(url, ['lease_timeout = 5']);
    clients = await crew.oneOnEach();
    await until('all others to have left', async () => (await crew.rows('clients')).length === 2);
    for (const client of clients) await client.open(1);
  });
  after(() => crew.stop());

  /** It has a lease; a durable queue would be there on another broker, too, as far as the proxy knows. */
  const declare = (client: RawClient): Promise<unknown> =>
    client.ask(f.declare(1, queueName('crew'), f.DURABLE), 'queue.declare-ok');

  it('shows the clients and upstreams of all, and pools and brokers as one', async () => {
    for (const client of clients) await declare(client);
    expect((await crew.rows('clients')).map(({ worker }) => worker)).to.have.members([1, 2]);
    expect((await crew.rows('clients', 'worker=2')).length).to.equal(1);
    const [pool, ...others] = await crew.rows('pools');
    expect(others).to.deep.equal([]);
    expect(pool).to.include({ id: 'guest@/', clients: 2, leased: 2 });
    expect(pool.upstreams).to.be.at.least(2);
    const brokers = await crew.rows('brokers');
    expect(brokers.length).to.equal(1);
    expect(brokers[0]).to.include({ state: 'up', upstreams: pool.upstreams });
    expect((await crew.rows('config', 'workers'))[0]).to.include({ value: '2' });
    expect((await crew.rows('stats')).map(({ span }) => span)).to.deep.equal(['10 s', 'minute', 'hour']);
    const { body, status } = await crew.ask('GET', '/show/clients?filter=nothing%3D1');
    expect([status, String(body.error)]).to.satisfy(
      ([code, text]: [number, string]) => code === 400 && /^there is no column nothing/.test(text),
    );
    const { total, rows } = (await crew.ask('GET', '/show/clients?limit=1')).body;
    expect([total, (rows as unknown[]).length]).to.deep.equal([2, 1]);
  });

  it('adds up the metrics of all', async () => {
    const { proxy } = crew;
    await until('a round of reports', async () => (await proxy.metric('client_connections')) === 2);
    expect(await proxy.metric('workers')).to.equal(2);
    expect(await proxy.metric('worker_restarts_total')).to.equal(0);
    expect(await proxy.metric('pool_clients{user="guest",vhost="/"}')).to.equal(2);
    expect(await proxy.metric('buffer_limit_bytes{buffer="client_buffer"}')).to.equal(1048576);
    const text = await (await fetch(`${proxy.http}/metrics`)).text();
    expect(text).to.match(/^amqproxy_identity_info\{.*\} 1$/m);
    expect(text).to.match(/^amqproxy_broker_up\{.*\} 1$/m);
    expect(text).to.match(/^amqproxy_login_duration_seconds_count \d+$/m);
    expect(Number(/^process_start_time_seconds (\d+)$/m.exec(text)![1])).to.be.closeTo(
      Date.now() / 1000,
      300,
    );
    const logins = Number(/^amqproxy_logins_total (\d+)$/m.exec(text)![1]);
    expect(Number(/^amqproxy_login_duration_seconds_count (\d+)$/m.exec(text)![1])).to.equal(logins);
  });

  it('follows and closes clients wherever they are', async () => {
    const gone = await crew.oneOnEach();
    const ids = [];
    for (const client of gone) ids.push(String((await crew.rowOf(client)).id));
    expect((await crew.run('debug', ids[1])).out).to.match(new RegExp(`^${ids[1]} is followed`));
    expect((await crew.run('kill', 'c999999')).err).to.equal('amqproxy: there is no client c999999\n');
    const { out } = await crew.run('kill', ...ids, '--reason', 'moved');
    expect(out).to.match(/^2 clients closed: c\d+, c\d+\n$/);
    for (const client of gone)
      expect(closeOf((await client.next('connection.close'))!).text).to.equal(
        'CONNECTION_FORCED - closed by the operator: moved',
      );
    expect((await crew.run('kill', 'user=nobody')).err).to.equal('amqproxy: there is no such client\n');
  });

  it('pauses and resumes all', async () => {
    const paused = await crew.run('pause');
    expect(paused.out).to.match(/^everything is paused: after [\d.]+ s nothing is under way\n$/);
    for (const client of clients) client.send(f.declare(1, queueName('crew'), f.DURABLE));
    await until('both to wait', async () => (await crew.rows('clients', 'state=waiting')).length === 2);
    expect((await crew.run('resume')).out).to.equal('everything goes on: 2 waited\n');
    for (const client of clients) await client.answered('queue.declare-ok');
  });

  it('pauses a pool in those workers, too, that do not have it yet', async () => {
    const { proxy } = crew;
    const alice = { user: 'alice', secret: 'wonder', vhost: 'one' };
    (await crew.login(alice)).destroy();
    await until('the pool', async () => (await crew.rows('pools', 'id=alice@one')).length === 1);
    expect((await crew.run('pause', 'alice@one')).out).to.match(/^pool alice@one is paused: /);
    const waiting: Promise<RawClient>[] = [];
    await until('clients of both to wait', async () => {
      if (waiting.length < 40) waiting.push(RawClient.start(proxy.port, alice));
      // those who need no new upstream are let in, and wait with their first method
      for (const client of clients) expect(client.ended).to.equal(false);
      const rows = await crew.rows('clients', 'user=alice');
      return new Set(rows.map(({ worker }) => worker)).size === 2;
    });
    const held = await Promise.all(
      waiting.map(async login => {
        const client = await Promise.race([login, sleep(100).then(() => null)]);
        if (client === null) return true;
        await client.open(1);
        client.send(f.declare(1, queueName('crew'), f.DURABLE));
        return (
          (await Promise.race([client.answered('queue.declare-ok'), sleep(100).then(() => null)])) === null
        );
      }),
    );
    expect(held, 'each of them waits').to.not.include(false);
    await declare(clients[0]);
    expect((await crew.run('resume', 'alice@one')).out).to.match(/^pool alice@one goes on: \d+ waited\n$/);
    for (const client of await Promise.all(waiting)) client.destroy();
  });

  it('makes all upstreams anew, and goes to another broker', async () => {
    const before = (await crew.rows('upstreams')).map(({ id }) => id);
    expect((await crew.run('reconnect')).out).to.match(/^\d+ upstreams of everything will be made anew\n$/);
    for (const client of clients) await declare(client);
    await until('the old ones to have gone', async () => {
      const now = (await crew.rows('upstreams')).map(({ id }) => id);
      return !now.some(id => before.includes(id));
    });
    const other = url.replace('127.0.0.1', 'localhost');
    const { out, err } = await crew.run('switch', other);
    expect(out, err).to.match(/is in use: everything was paused for [\d.]+ s, \d+ waited/);
    for (const client of clients) await declare(client);
    const upstreams = await crew.rows('upstreams');
    expect(upstreams.every(({ broker }) => String(broker).startsWith('localhost'))).to.equal(true);
  });

  it('sets what can change live on all', async () => {
    expect((await crew.run('set', 'log_connections', 'yes')).out).to.match(
      /no -> yes, until the next reload/,
    );
    const seen = async (worker: number): Promise<boolean> => {
      const events = (await crew.rows('events', 'Client connected')) as unknown as {
        facts: { worker: number };
      }[];
      return events.some(({ facts }) => facts.worker === worker);
    };
    await crew.oneOnEach();
    for (const worker of [1, 2]) expect(await seen(worker), `worker ${worker}`).to.equal(true);
    expect((await crew.run('set', 'workers', '3')).err).to.match(/at the next restart only/);
  });

  it('keeps a pause when a worker is replaced', async () => {
    await crew.run('pause');
    process.kill(crew.pids[1], 'SIGKILL');
    await until('it to be replaced', async () => (await crew.proxy.metric('worker_restarts_total')) === 1);
    await crew.allThere();
    const { proxy } = crew;
    const waiting: Promise<RawClient>[] = [];
    await until('clients of both to wait', async () => {
      if (waiting.length < 40) waiting.push(RawClient.start(proxy.port));
      const rows = await crew.rows('clients', 'state=logging in');
      return new Set(rows.map(({ worker }) => worker)).size === 2;
    });
    await crew.run('resume');
    for (const client of await Promise.all(waiting)) client.destroy();
  });
});

describe('Limits of several workers', () => {
  before(function () {
    proxyOnly(this);
  });

  /** Where max_clients is 7: seven that come at once are let in, more are refused. All of them leave. */
  const sevenAtOnce = async (crew: Crew): Promise<void> => {
    const all = await Promise.all(Array.from({ length: 7 }, () => crew.login()));
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const one = await RawClient.connect(crew.proxy.port);
        const close = closeOf((await one.login())!);
        expect([close.code, close.text]).to.deep.equal([
          530,
          'NOT_ALLOWED - amqproxy has max_clients (7) clients already',
        ]);
        one.destroy();
      }),
    );
    for (const client of all) client.destroy();
    await until('them to be gone', async () => (await crew.rows('clients')).length === 0);
  };

  it('on clients hold for all together, and nobody is refused while there is room, in a burst either', async () => {
    const crew = new Crew();
    try {
      const proxy = await crew.start((await sharedBroker()).url, ['max_clients = 7']);
      for (let round = 0; round < 4; round++) await sevenAtOnce(crew);
      expect(await proxy.metric('clients_limit')).to.equal(7);
    } finally {
      await crew.stop();
    }
  });

  it('on clients that a reload has set do so from the first client on', async () => {
    for (let round = 0; round < 3; round++) {
      const crew = new Crew();
      try {
        const proxy = await crew.start((await sharedBroker()).url);
        appendFileSync(crew.file, '[main]\nmax_clients = 7\n');
        proxy.signal('SIGHUP');
        await until('the reload', () => proxy.log.includes('Reloaded: max_clients 0 -> 7'));
        await sevenAtOnce(crew);
      } finally {
        await crew.stop();
      }
    }
  });

  it('on clients leave room for a worker that takes the place of another', async () => {
    const crew = new Crew();
    try {
      const proxy = await crew.start((await sharedBroker()).url, ['max_clients = 7']);
      for (let round = 1; round <= 3; round++) {
        process.kill(crew.pids[0], 'SIGKILL');
        await until(
          'the worker to be counted',
          async () => (await proxy.metric('worker_restarts_total')) === round,
        );
        // one after the other: those that the new one takes are not refused
        for (let n = 0; n < 20; n++) {
          const client = await crew.login();
          client.destroy();
        }
        await crew.allThere();
      }
    } finally {
      await crew.stop();
    }
  });

  it('on upstreams are divided', async () => {
    const crew = new Crew();
    try {
      await crew.start((await sharedBroker()).url, ['max_upstreams_total = 3', 'lease_timeout = 0.5']);
      for (let n = 0; n < 12; n++) {
        const client = await crew.login().catch(() => null);
        if (client === null) continue;
        await client.open(1);
        client.send(f.declare(1, '', f.EXCLUSIVE));
      }
      await until('the upstreams to be taken', async () => (await crew.rows('upstreams')).length === 3);
      const rows = await crew.rows('upstreams');
      expect(rows.filter(({ worker }) => worker === 1).length).to.equal(2);
      expect(rows.filter(({ worker }) => worker === 2).length).to.equal(1);
    } finally {
      await crew.stop();
    }
  });
});
