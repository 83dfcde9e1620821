/** Several processes that take clients from the same sockets, and are one to the service manager and to everybody else. */
import { appendFileSync } from 'node:fs';
import { BoundSocket } from 'node:net';
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Crew, isThere } from '../support/crew.ts';
import { proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { FrameRelay } from '../support/frame-relay.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker, until } from '../support/rabbitmq.ts';
import { closeOf, publish, RawClient } from '../support/raw-client.ts';
import { ServiceManager } from '../support/service-manager.ts';

/** Publishes a message and gets it back, on a channel of its own. */
async function works(client: RawClient, channel = 1): Promise<void> {
  const queue = queueName('workers');
  await client.open(channel);
  await client.ask(f.declare(channel, queue), 'queue.declare-ok');
  client.send(publish(channel, queue, Buffer.from('x')));
  await client.ask(f.get(channel, queue), 'basic.get-ok');
  await client.ask(f.remove(channel, queue), 'queue.delete-ok');
  await client.ask(f.channelClose(channel), 'channel.close-ok');
}

describe('Several workers', () => {
  let crew: Crew;
  before(function () {
    proxyOnly(this);
  });
  beforeEach(() => {
    crew = new Crew();
  });
  afterEach(() => crew.stop());

  it('take clients from the same port, each on upstreams of its own', async () => {
    await crew.start((await sharedBroker()).url);
    const clients = await crew.oneOnEach();
    for (const client of clients) await works(client);
    const upstreams = await crew.rows('upstreams');
    expect(new Set(upstreams.map(({ worker }) => worker))).to.deep.equal(new Set([1, 2]));
    const rows = [...upstreams, ...(await crew.rows('clients'))];
    expect(new Set(rows.map(({ id }) => id)).size, 'names are of one only').to.equal(rows.length);
  });

  it('lose the clients of one that dies, nobody else notices, and another takes its place', async () => {
    const proxy = await crew.start((await sharedBroker()).url);
    const [first, second] = await crew.oneOnEach();
    const pids = crew.pids;
    expect(pids).to.have.length(2);
    // children are listed in the order in which they were started
    process.kill(pids[1], 'SIGKILL');
    await second.closed();
    await works(first);
    expect(first.ended).to.equal(false);
    // while it is replaced, too, nobody is refused
    await works(await crew.login());
    await until('the worker to be counted', async () => (await proxy.metric('worker_restarts_total')) === 1);
    await crew.allThere();
    expect(proxy.log).to.match(
      new RegExp(
        `WARN Worker 2 \\(pid ${pids[1]}\\) has ended by SIGKILL: its \\d+ clients? (is|are) lost, another takes its place`,
      ),
    );
    const [, again] = await crew.oneOnEach();
    await works(again);
    await works(first);
    const logins = await proxy.metric('logins_total');
    expect(logins, 'what the lost one has counted stays').to.be.at.least(4);
  });

  it('are drained by SIGTERM to the main process; signals to themselves do nothing', async () => {
    const proxy = await crew.start((await sharedBroker()).url, [], ['--log-level', 'info']);
    const clients = await crew.oneOnEach();
    for (const client of clients) {
      await client.open(1);
      const queue = queueName('workers');
      await client.ask(f.declare(1, queue, f.EXCLUSIVE), 'queue.declare-ok');
      await client.ask(f.consume(1, queue, 'c'), 'basic.consume-ok');
    }
    const { pids } = crew;
    for (const pid of pids)
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(pid, signal);
    const closes = clients.map(async client => {
      const close = closeOf((await client.next('connection.close'))!);
      client.send(f.connectionCloseOk());
      client.socket.end();
      return close.code;
    });
    for (const client of clients) await client.ask(f.channelOpen(2), 'channel.open-ok');
    proxy.signal('SIGTERM');
    expect(await Promise.all(closes)).to.deep.equal([320, 320]);
    expect(await proxy.exited()).to.equal(0);
    expect(pids.filter(isThere)).to.deep.equal([]);
  });

  it('end at once at a second signal', async () => {
    const proxy = await crew.start((await sharedBroker()).url);
    const clients = await crew.oneOnEach();
    for (const client of clients) {
      await client.open(1);
      const queue = queueName('workers');
      await client.ask(f.declare(1, queue, f.EXCLUSIVE), 'queue.declare-ok');
      await client.ask(f.consume(1, queue, 'c'), 'basic.consume-ok');
    }
    const { pids } = crew;
    proxy.signal('SIGTERM');
    for (const client of clients) await client.next('connection.close');
    // they do not answer it
    expect(proxy.running).to.equal(true);
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
    for (const client of clients) await client.closed();
    expect(pids.filter(isThere)).to.deep.equal([]);
  });

  it('all go by the settings after a reload', async () => {
    const proxy = await crew.start((await sharedBroker()).url);
    const clients = await crew.oneOnEach();
    appendFileSync(crew.file, '[main]\nlog_connections = yes\nworkers = 3\n');
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.log.includes('Reloaded: log_connections no -> yes'));
    expect(proxy.log).to.include('workers changes at the next restart only (2 -> 3)');
    for (const client of await crew.oneOnEach()) client.destroy();
    for (const worker of [1, 2])
      await until(`worker ${worker} to log who comes`, async () => {
        const events = await crew.rows('events', 'Client connected');
        return events.some(({ facts }) => (facts as unknown as { worker: number }).worker === worker);
      });
    for (const client of clients) await works(client);
  });

  it('say once what each of them finds out of a broker', async () => {
    const relay = await FrameRelay.start((await sharedBroker()).port);
    const said = (level: string, what: string): number =>
      crew.proxy.log.split('\n').filter(line => line.startsWith(`${level} Broker`) && line.includes(what))
        .length;
    try {
      relay.fromProxy = ({ name }) => (name === 'channel.flow' ? 'drop' : 'pass');
      await crew.start(relay.url, [], ['--log-level', 'debug']);
      await crew.oneOnEach();
      expect(said('DEBUG', 'does not answer channel.flow')).to.equal(2);
      expect(said('WARN', 'does not answer channel.flow')).to.equal(1);
      await relay.end();
      await until('both to know it', () => said('DEBUG', 'is down: ') === 2);
      const again = await FrameRelay.start((await sharedBroker()).port, relay.port);
      try {
        await until('both to know that, too', () => said('DEBUG', 'is up again after ') === 2, 20);
        await until('the word of it', () => said('WARN', 'is up again after ') > 0);
        expect(said('WARN', 'is down: ')).to.equal(1);
        expect(said('WARN', 'is up again after ')).to.equal(1);
      } finally {
        await again.end();
      }
    } finally {
      await crew.proxy?.stop();
    }
  });

  it('end when the main process is killed', async () => {
    const proxy = await crew.start((await sharedBroker()).url);
    const clients = await crew.oneOnEach();
    const { pids } = crew;
    proxy.signal('SIGKILL');
    for (const client of clients) {
      await client.next('connection.close');
      client.destroy();
    }
    await until('the workers to end', () => !pids.some(isThere));
  });

  it('are one to the service manager, which is told nothing while one of them is stuck', async () => {
    const manager = await ServiceManager.start();
    const file = settingsFile('workers = 2');
    const proxy = await AmqProxy.start((await sharedBroker()).url, ['-c', file], {
      NOTIFY_SOCKET: manager.socket,
      WATCHDOG_USEC: '1000000',
    });
    try {
      await until('READY', () => manager.count('READY=1') === 1);
      await until('the watchdog to be fed', () => manager.count('WATCHDOG=1') >= 2);
      expect(manager.heard).to.match(/^STATUS=\d+ clients, .*; 2 workers/m);
      const { pid } = proxy.process;
      const stuck = new Crew();
      stuck.proxy = proxy;
      expect(pid).to.be.a('number');
      const [one] = stuck.pids;
      process.kill(one, 'SIGSTOP');
      let fed = -1;
      await until(
        'the watchdog to be fed no more',
        async () => {
          const before = fed;
          fed = manager.count('WATCHDOG=1');
          await new Promise(resolve => setTimeout(resolve, 1500));
          return before === fed;
        },
        30,
      );
      process.kill(one, 'SIGCONT');
      await until('the watchdog to be fed again', () => manager.count('WATCHDOG=1') > fed);
      proxy.signal('SIGTERM');
      expect(await proxy.exited()).to.equal(0);
      expect(manager.count('READY=1')).to.equal(1);
      expect(manager.heard).to.match(/^STOPPING=1$/m);
    } finally {
      await proxy.stop();
      manager.stop();
    }
  });

  it('take clients from sockets that are handed over', async () => {
    const socket = new BoundSocket({ host: '127.0.0.1' });
    const settings = settingsFile('workers = 2', 'log_connections = yes');
    const { url } = await sharedBroker();
    const proxy = await AmqProxy.onSockets([socket.fd()], ['amqp'], url, ['-c', settings]);
    try {
      await until('both to run', () => proxy.log.includes('2 workers take clients'));
      for (let n = 0; n < 40; n++) {
        const client = await RawClient.start(proxy.port);
        await works(client);
        client.destroy();
      }
      const names = new Set(
        [...proxy.log.matchAll(/Client connected id=c(\d+)/g)].map(([, n]) => (Number(n) - 1) % 2),
      );
      expect(names.size, 'workers that have taken one').to.equal(2);
      proxy.signal('SIGTERM');
      expect(await proxy.exited()).to.equal(0);
    } finally {
      await proxy.stop();
      socket.close();
    }
  });
});
