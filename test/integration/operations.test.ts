/** What happens around the messages: heartbeats, back-pressure, a broker that goes away, stopping, reloading. */
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { expect } from 'chai';
import { Writer } from '../../src/amqp/frame.ts';
import { Authority } from '../support/certs.ts';
import { Crowd } from '../support/crowd.ts';
import { settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sharedBroker, sleep, until } from '../support/rabbitmq.ts';
import { closeOf, declareArgs, publish, RawClient } from '../support/raw-client.ts';

const closeArgs = new Writer().short(200).shortstr('').short(0).short(0).take();

describe('Heartbeats', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy;

  before(async () => {
    broker = await RabbitMQ.start({ conf: ['heartbeat = 2'] });
    proxy = await AmqProxy.start(broker.url);
  });
  after(async () => {
    await proxy.stop();
    await broker.stop();
  });

  it('a quiet client that sends heartbeats lives, and gets some', async () => {
    const client = await RawClient.start(proxy.port, { heartbeat: 1 });
    for (let i = 0; i < 10; i++) {
      await sleep(500);
      client.send(Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]));
    }
    expect(client.ended).to.equal(false);
    expect(client.frames.filter(f => f.name === 'heartbeat')).not.to.be.empty;
    client.destroy();
  });

  it('a silent client is closed after two intervals', async () => {
    const client = await RawClient.start(proxy.port, { heartbeat: 1 });
    await client.closed(10);
    expect(proxy.log).to.match(/Client closed: no heartbeat for 2 s/);
  });

  it('a consumer that stays silent for many intervals of the broker lives and gets its message', async () => {
    const client = await RawClient.start(proxy.port, { heartbeat: 0 });
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('silent'));
    await client.next('queue.declare-ok');
    client.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr('silent').shortstr('t').octet(2).long(0).take(),
    );
    await client.next('basic.consume-ok');
    await sleep(15_000);
    const other = await RawClient.start(proxy.port);
    await other.open(1);
    other.send(publish(1, 'silent', Buffer.from('still there?')));
    expect((await client.next('body'))!.payload.toString()).to.equal('still there?');
    expect(proxy.log).not.to.include('Upstream lost');
    client.destroy();
    other.destroy();
  });
});

describe('A slow broker', () => {
  it('pauses its publishers, and the proxy’s memory stays bounded', async () => {
    const broker = await sharedBroker();
    // a relay that stops passing on what comes from the proxy
    let stalled = false;
    const paused: Socket[] = [];
    const relay: Server = createServer(near => {
      const far = new (near.constructor as new () => Socket)();
      far.connect(broker.port, '127.0.0.1');
      near.on('data', chunk => {
        far.write(chunk);
        if (stalled) {
          near.pause();
          paused.push(near);
        }
      });
      far.pipe(near);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
    });
    await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve));
    const proxy = await AmqProxy.start(`amqp://127.0.0.1:${(relay.address() as { port: number }).port}`);
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('slow'));
    await client.next('queue.declare-ok');
    const before = proxy.rss;
    stalled = true;
    const one = publish(1, 'slow', Buffer.alloc(100_000));
    let sent = 0;
    // 400 MB are offered; what the kernel and the proxy do not take stays with the client
    for (; sent < 4000 && client.socket.writableLength < 50e6; sent++) {
      client.send(one);
      if (sent % 20 === 0) await sleep(1);
    }
    await until('the client to be paused', () => client.socket.writableLength > 40e6, 20);
    await sleep(500);
    expect(proxy.rss - before).to.be.below(100e6);
    stalled = false;
    for (const socket of paused) socket.resume();
    client.method(1, 'channel.close', closeArgs);
    await client.next('channel.close-ok', 60);
    const rows = await broker.list('list_queues', 'name', 'messages');
    expect(Number(rows.find(([name]) => name === 'slow')![1])).to.equal(sent);
    await broker.ctl('delete_queue', 'slow');
    client.destroy();
    await proxy.stop();
    relay.close();
  });
});

describe('A reader that stops reading', () => {
  it('delays nobody, costs bounded memory, and gets everything in order when it wakes', async () => {
    const broker = await sharedBroker();
    const proxy = await AmqProxy.start(broker.url);
    const publisher = await connect(proxy.url, { noDelay: true });
    const channel = await publisher.createConfirmChannel();
    await channel.assertQueue('sleeper');
    await channel.assertQueue('canary');
    const reader = await RawClient.start(proxy.port);
    await reader.open(1);
    reader.socket.pause();
    reader.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr('sleeper').shortstr('t').octet(2).long(0).take(),
    );
    const before = proxy.rss;
    for (let i = 0; i < 1000; i++) {
      const body = Buffer.alloc(100_000);
      body.writeUInt32BE(i);
      channel.sendToQueue('sleeper', body);
      if (i % 50 === 49) await channel.waitForConfirms();
    }
    for (let i = 0; i < 200; i++) {
      channel.sendToQueue('canary', Buffer.from('tweet'));
      await channel.waitForConfirms();
      expect(await channel.get('canary', { noAck: true })).not.to.equal(false);
    }
    expect(proxy.rss - before).to.be.below(150e6);
    reader.socket.resume();
    for (let i = 0; i < 1000; i++) {
      const frame = await reader.next('body', 30);
      expect(frame!.payload.readUInt32BE(0)).to.equal(i);
    }
    reader.destroy();
    await publisher.close();
    await proxy.stop();
  });
});

describe('A memory alarm', () => {
  it('is told to publishers that asked, and does not stop consumers and their acks', async () => {
    const broker = await RabbitMQ.start();
    const proxy = await AmqProxy.start(broker.url);
    const consumer = await RawClient.start(proxy.port);
    await consumer.open(1);
    consumer.method(1, 'queue.declare', declareArgs('alarm'));
    await consumer.next('queue.declare-ok');
    const publisher = await RawClient.start(proxy.port, { capabilities: { 'connection.blocked': true } });
    const quiet = await RawClient.start(proxy.port);
    for (const client of [publisher, quiet]) {
      await client.open(1);
      client.send(...Array.from({ length: 10 }, () => publish(1, 'alarm', Buffer.from('m'))));
    }
    await until('20 messages', async () => (await broker.list('list_queues', 'messages')).flat()[0] === '20');
    await broker.ctl('set_vm_memory_high_watermark', '0.00001');
    publisher.send(publish(1, 'alarm', Buffer.from('late')));
    await publisher.next('connection.blocked');
    consumer.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr('alarm').shortstr('t').octet(0).long(0).take(),
    );
    for (let i = 1; i <= 20; i++) {
      await consumer.next('basic.deliver');
      consumer.method(1, 'basic.ack', new Writer().longlong(BigInt(i)).octet(0).take());
    }
    await until(
      'the acks to count',
      async () => (await broker.list('list_queues', 'messages')).flat()[0] === '0',
    );
    await broker.ctl('set_vm_memory_high_watermark', '0.6');
    await publisher.next('connection.unblocked');
    await consumer.next('basic.deliver');
    expect(quiet.frames.map(f => f.name)).to.deep.equal([]);
    for (const client of [consumer, publisher, quiet]) client.destroy();
    await proxy.stop();
    await broker.stop();
  });
});

describe('A broker that restarts', () => {
  it('idle clients live on and work again; busy ones get 320 and can reconnect; nothing hangs', async () => {
    const broker = await RabbitMQ.start();
    const proxy = await AmqProxy.start(broker.url);
    const setup = await RawClient.start(proxy.port);
    await setup.open(1);
    setup.method(1, 'queue.declare', declareArgs('durable', 2));
    await setup.next('queue.declare-ok');
    const idle = await Promise.all(Array.from({ length: 5 }, () => RawClient.start(proxy.port)));
    for (const client of idle) await client.open(1);
    const quiet = await RawClient.start(proxy.port);
    await quiet.open(1);
    quiet.send(publish(1, 'durable', Buffer.from('before')));
    await sleep(2500); // its lease is given back
    const busy = await RawClient.start(proxy.port);
    await busy.open(1);
    busy.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr('durable').shortstr('t').octet(0).long(0).take(),
    );
    await busy.next('basic.deliver');
    await broker.halt();
    const why = closeOf((await busy.next('connection.close'))!);
    expect(why.code).to.equal(320);
    await broker.run();
    for (const client of [...idle, quiet]) {
      expect(client.ended).to.equal(false);
      client.send(publish(1, 'durable', Buffer.from('after')));
      client.method(1, 'channel.close', closeArgs);
      await client.next('channel.close-ok', 15);
    }
    const again = await RawClient.start(proxy.port);
    await again.open(1);
    again.method(1, 'queue.declare', declareArgs('durable', 2));
    await again.next('queue.declare-ok');
    for (const client of [setup, ...idle, quiet, busy, again]) client.destroy();
    await proxy.stop();
    await broker.stop();
  });
});

describe('Stopping', () => {
  let broker: RabbitMQ;
  before(async () => {
    broker = await sharedBroker();
  });

  it('SIGTERM sends busy clients connection.close 320, then ends with 0', async () => {
    const proxy = await AmqProxy.start(broker.url);
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('stopping'));
    await client.next('queue.declare-ok');
    proxy.signal('SIGTERM');
    const why = closeOf((await client.next('connection.close'))!);
    expect(why).to.include({ code: 320, text: 'CONNECTION_FORCED - amqproxy is shutting down' });
    client.method(0, 'connection.close-ok');
    await client.closed();
    expect(await proxy.exited()).to.equal(0);
  });

  it('SIGTERM waits term_client_close_timeout for clients to leave by themselves', async () => {
    const proxy = await AmqProxy.start(broker.url, ['--term-client-close-timeout', '30']);
    const client = await RawClient.start(proxy.port);
    await client.open(1);
    proxy.signal('SIGTERM');
    await until('the drain to begin', () => proxy.log.includes('SIGTERM'));
    client.send(publish(1, 'stopping', Buffer.from('last words')));
    client.method(0, 'connection.close', closeArgs);
    await client.next('connection.close-ok');
    expect(client.frames.map(f => f.name)).not.to.include('connection.close');
    client.destroy();
    expect(await proxy.exited()).to.equal(0);
  });

  it('SIGTERM ends clients that do not answer after term_timeout', async () => {
    const proxy = await AmqProxy.start(broker.url, ['--term-timeout', '1']);
    const client = await RawClient.start(proxy.port);
    proxy.signal('SIGTERM');
    await client.next('connection.close');
    expect(await proxy.exited()).to.equal(0);
  });

  it('a second SIGTERM ends it at once', async () => {
    const proxy = await AmqProxy.start(broker.url, ['--term-client-close-timeout', '600']);
    const client = await RawClient.start(proxy.port);
    proxy.signal('SIGTERM');
    await until('the drain to begin', () => proxy.log.includes('SIGTERM'));
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
    await client.closed();
  });
});

describe('Reloading', () => {
  it('applies what can change, names what cannot, and a bad file changes nothing', async () => {
    const broker = await sharedBroker();
    const file = join(broker.dir, 'reload.ini');
    writeFileSync(file, '[main]\nclose = barrier\n');
    const proxy = await AmqProxy.start(broker.url, ['-c', file]);
    const client = await RawClient.start(proxy.port);
    writeFileSync(file, '[main]\nclose = instant\npool_mode = session\n');
    proxy.signal('SIGHUP');
    await until('the reload', () => proxy.log.includes('Reloaded: close'));
    expect(proxy.log).to.include('pool_mode changes at the next restart only');
    writeFileSync(file, '[main]\n\nclose = sometimes\n');
    proxy.signal('SIGHUP');
    await until('the refusal', () => proxy.log.includes(`${file}:3: close = "sometimes"`));
    await client.open(1);
    client.destroy();
    await proxy.stop();
  });

  it('of another broker, under load: no client is lost, new leases go there, the old upstreams end', async () => {
    const [from, to] = await Promise.all([RabbitMQ.start(), RabbitMQ.start()]);
    const file = settingsFile(`upstream = ${from.url}`);
    const proxy = AmqProxy.spawn(['-l', '127.0.0.1', '-p', '0', '-b', '0', '-c', file]);
    await until('it to listen', () => /listening on 127\.0\.0\.1:(\d+)/.test(proxy.log));
    proxy.port = Number(/listening on 127\.0\.0\.1:(\d+)/.exec(proxy.log)![1]);
    const own = async (broker: RabbitMQ): Promise<number> =>
      (await broker.list('list_connections', 'client_properties')).filter(row =>
        row.join().includes('amqproxy'),
      ).length;
    const messages = async (broker: RabbitMQ): Promise<number> =>
      (await broker.list('list_queues', 'messages')).flat().reduce((sum, n) => sum + Number(n), 0);

    const crowd = new Crowd(proxy.url, 50, 200);
    await until('the load', () => crowd.published > 500);
    for (let i = 1; i <= 5; i++) {
      writeFileSync(file, `[main]\nupstream = ${from.url}\nmax_clients = ${1000 + i}\n`);
      proxy.signal('SIGHUP');
      await until(`reload ${i}`, () => proxy.log.includes(`-> ${1000 + i}`));
    }
    writeFileSync(file, `[main]\nupstream = ${to.url}\n`);
    proxy.signal('SIGHUP');
    await until('the old upstreams to end', async () => (await own(from)) === 0, 30);
    const before = await messages(to);
    await until('messages to the new broker', async () => (await messages(to)) > before);
    await crowd.leave();
    expect((await messages(from)) + (await messages(to))).to.equal(crowd.published);
    expect(proxy.log).not.to.match(/Client closed|Upstream lost|refused/);
    await proxy.stop();
    await Promise.all([from.stop(), to.stop()]);
  });

  it('of certificates that do not match changes nothing', async () => {
    const authority = new Authority();
    const [one, two] = ['one', 'two'].map(name => authority.sign(name, 'DNS:localhost'));
    const listen = (cert: string, key: string): string => `[listen]\ntls_cert = ${cert}\ntls_key = ${key}`;
    const file = settingsFile(listen(one.cert, one.key));
    const proxy = await AmqProxy.start('amqp://127.0.0.1:1', ['-c', file]);
    writeFileSync(file, `${listen(one.cert, two.key)}\n`);
    proxy.signal('SIGHUP');
    await until('the refusal', () => /Reload failed.*is not the key of tls_cert/.test(proxy.log));
    expect(proxy.running).to.equal(true);
    await proxy.stop();
  });
});

describe('Idle upstreams', () => {
  it('are closed after idle_connection_timeout, but for min_upstreams', async () => {
    const broker = await sharedBroker();
    const file = join(broker.dir, 'idle.ini');
    for (const [min, left] of [
      [0, 0],
      [1, 1],
    ]) {
      writeFileSync(file, `[main]\nidle_connection_timeout = 1\nmin_upstreams = ${min}\n`);
      const proxy = await AmqProxy.start(broker.url, ['-c', file]);
      const own = async (): Promise<number> =>
        (await broker.list('list_connections', 'client_properties')).filter(row =>
          row.join().includes('amqproxy'),
        ).length;
      const others = await own();
      const client = await RawClient.start(proxy.port);
      client.destroy();
      await until('the upstream to open', async () => (await own()) === others + 1);
      await sleep(3000);
      await until(`${left} upstreams`, async () => (await own()) === others + left);
      await proxy.stop();
      await until('the end', async () => (await own()) === others);
    }
  });
});
