/** The numbers on /metrics against what clients and brokers have seen. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { PROTOCOL_HEADER, Writer } from '../../src/amqp/frame.ts';
import { queueName, settingsFile } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker, sleep, until } from '../support/rabbitmq.ts';
import { closeOf, declareArgs, publish, RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

const closeArgs = new Writer().short(200).shortstr('').short(0).short(0).take();

describe('Metrics', () => {
  let relay: Relay;
  let proxy: AmqProxy;
  let http: number;
  beforeEach(async () => {
    relay = await Relay.start((await sharedBroker()).port);
    http = await freePort();
    proxy = await AmqProxy.start(relay.url, ['-b', String(http)]);
  });
  afterEach(async () => {
    await proxy.stop();
    await relay.end();
  });

  /** Values by name, amqproxy_ taken off. */
  async function metrics(): Promise<Record<string, number>> {
    const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
    const lines = text.split('\n').filter(line => line.startsWith('amqproxy_'));
    return Object.fromEntries(
      lines.map(line => [line.slice(9, line.lastIndexOf(' ')), Number(line.split(' ').pop())]),
    );
  }

  it('count what has happened, bytes as they went over the wire', async () => {
    const clients: RawClient[] = [];
    const queue = queueName();
    for (let i = 0; i < 3; i++) {
      const client = await RawClient.start(proxy.port);
      clients.push(client);
      await client.open(1);
      client.method(1, 'queue.declare', declareArgs(queue));
      await client.next('queue.declare-ok');
      client.send(publish(1, queue, Buffer.from('kept')), publish(1, 'nowhere', Buffer.from('back'), '', 1));
      await client.next('basic.return');
      client.method(1, 'channel.close', closeArgs);
      await client.next('channel.close-ok');
    }
    await clients[0].open(2);
    clients[0].method(2, 'basic.get', new Writer().short(0).shortstr(queue).octet(1).take());
    await clients[0].next('basic.get-ok');
    await clients[0].next('body');
    const stranger = await RawClient.connect(proxy.port);
    clients.push(stranger);
    expect(closeOf((await stranger.login({ secret: 'wrong' }))!).code).to.equal(403);
    stranger.method(0, 'connection.close-ok');
    await stranger.closed();
    stranger.destroy();

    await until('the stranger to be gone', async () => (await metrics()).client_connections === 3);
    const seen = await metrics();
    expect(seen).to.include({
      client_connections: 3,
      client_connections_peak: 4,
      clients_accepted_total: 4,
      logins_total: 3,
      logins_reused_total: 2,
      logins_refused_total: 1,
      'clients_refused_total{reason="refused"}': 1,
      login_duration_seconds_count: 3,
      leases_total: 4,
      leases_reused_total: 3,
      messages_published_total: 6,
      messages_returned_total: 3,
      messages_delivered_total: 1,
      promotions_total: 1,
    });
    // a get moves the client to a private upstream: that is a wait, too
    expect(seen.lease_wait_seconds_count).to.equal(4);
    expect(seen.barrier_duration_seconds_count).to.equal(seen.barriers_total);
    const sum = (of: (client: RawClient) => number): number =>
      clients.reduce((n, client) => n + of(client), 0);
    expect(seen.client_received_bytes_total).to.equal(sum(client => client.socket.bytesWritten));
    expect(seen.client_sent_bytes_total).to.equal(sum(client => client.socket.bytesRead));
    for (const client of clients) client.destroy();
  });

  it('time a login from the protocol header on, what the broker takes to check it included', async () => {
    const client = await RawClient.connect(proxy.port);
    await client.call(PROTOCOL_HEADER, 'connection.start');
    relay.stop();
    client.startOk(undefined, 'PLAIN', Buffer.from('\0guest\0guest'));
    await sleep(300);
    relay.go();
    await client.next('connection.tune');
    client.tuneOk(2047, 131072, 0);
    client.openVhost('/');
    await client.next('connection.open-ok');
    expect((await metrics()).login_duration_seconds_sum).to.be.at.least(0.29);
    client.destroy();
  });

  it('count a refusal that the client is not told', async () => {
    const client = await RawClient.connect(proxy.port);
    expect(await client.login({ secret: 'wrong', capabilities: {} })).to.equal(null);
    expect(await metrics()).to.include({
      logins_refused_total: 1,
      'clients_refused_total{reason="refused"}': 1,
    });
    client.destroy();
  });

  it('count the bytes of upstreams', async () => {
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    const queue = queueName();
    client.method(1, 'queue.declare', declareArgs(queue));
    await client.next('queue.declare-ok');
    const before = await metrics();
    const [sent, received] = relay.bytesRead;
    client.send(publish(1, queue, Buffer.alloc(100_000)));
    client.method(1, 'channel.close', closeArgs);
    await client.next('channel.close-ok');
    const after = await metrics();
    const [sentNow, receivedNow] = relay.bytesRead;
    expect(sentNow - sent).to.be.above(100_000);
    expect(after.upstream_sent_bytes_total - before.upstream_sent_bytes_total).to.equal(sentNow - sent);
    expect(after.upstream_received_bytes_total - before.upstream_received_bytes_total).to.equal(
      receivedNow - received,
    );
    client.destroy();
  });

  for (const mode of ['shared', 'session'])
    it(`count a client that waits longer than lease_timeout once (pool_mode = ${mode})`, async () => {
      const file = settingsFile(`pool_mode = ${mode}`, 'max_upstreams = 1', 'lease_timeout = 0.5');
      await proxy.stop();
      proxy = await AmqProxy.start(relay.url, ['-b', String(http), '-c', file]);
      const first = await RawClient.start(proxy.port);
      await first.open(1);
      first.method(1, 'tx.select');
      await first.next('tx.select-ok');
      const second = await RawClient.connect(proxy.port);
      const answer = await second.login();
      if (mode === 'shared') {
        await second.open(1);
        second.method(1, 'queue.declare', declareArgs(queueName()));
      }
      const why = closeOf(mode === 'shared' ? (await second.next('connection.close'))! : answer!);
      expect(why.text).to.include('lease_timeout');
      const refused = Object.entries(await metrics()).filter(([name]) =>
        name.startsWith('clients_refused_total'),
      );
      expect(refused).to.deep.equal([['clients_refused_total{reason="lease_timeout"}', 1]]);
      first.destroy();
      second.destroy();
    });

  it('say which limit a client has met', async () => {
    const file = settingsFile('max_clients_per_user = 1');
    await proxy.stop();
    proxy = await AmqProxy.start(relay.url, ['-b', String(http), '-c', file]);
    const first = await RawClient.start(proxy.port);
    const refused = async (): Promise<string> => {
      const client = await RawClient.connect(proxy.port);
      const { text } = closeOf((await client.login())!);
      client.destroy();
      return text;
    };
    expect(await refused()).to.include('max_clients_per_user (1)');
    writeFileSync(file, '[main]\nmax_clients = 1\n');
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.log.includes('Reloaded'));
    await until('one client', async () => (await metrics()).client_connections === 1);
    expect(await refused()).to.include('max_clients (1)');
    expect(await metrics()).to.include({
      'clients_refused_total{reason="max_clients_per_user"}': 1,
      'clients_refused_total{reason="max_clients"}': 1,
      logins_refused_total: 2,
    });
    first.destroy();
  });
});
