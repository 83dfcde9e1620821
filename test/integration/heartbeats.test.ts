/** Each side on its own clock: who is quiet lives, who is silent is closed. */
import { expect } from 'chai';
import { Writer } from '../../src/amqp/frame.ts';
import { direct, Fixture, proxyOnly } from '../support/fixture.ts';
import { RabbitMQ, until } from '../support/rabbitmq.ts';
import { declareArgs, publish, RawClient } from '../support/raw-client.ts';

const HEARTBEAT = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);
const MINUTE = 60_000;

describe('Heartbeats, with a broker that asks for one every 2 seconds', () => {
  const proxied = new Fixture();
  let broker: RabbitMQ;
  /** A consumer that sends nothing but heartbeats from before the first test to the last. */
  let consumer: RawClient;
  let since: number;

  before(async function () {
    this.timeout(120_000);
    broker = await RabbitMQ.start({ conf: ['heartbeat = 2'] });
    await proxied.start(['--idle-connection-timeout', '0'], broker);
    consumer = await RawClient.start(proxied.port, { heartbeat: 2 });
    answerHeartbeats(consumer);
    await consumer.open(1);
    consumer.method(1, 'queue.declare', declareArgs('quiet'));
    await consumer.next('queue.declare-ok');
    consumer.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr('quiet').shortstr('').octet(2).long(0).take(),
    );
    await consumer.next('basic.consume-ok');
    since = Date.now();
  });

  const answering = new Set<NodeJS.Timeout>();
  after(async () => {
    for (const timer of answering) clearInterval(timer);
    consumer?.destroy();
    await proxied.stop();
    await broker.stop();
  });

  function answerHeartbeats(client: RawClient): void {
    answering.add(setInterval(() => client.ended || client.send(HEARTBEAT), 500));
  }

  /** Resolves when a client of the broker itself that sends nothing has been given up: three intervals at least. */
  const silenceNoticedByBroker = async (): Promise<void> => {
    const silent = await RawClient.start(broker.port, { heartbeat: 2 });
    await silent.closed(30);
  };

  it('a client that sends only heartbeats lives', async () => {
    const client = await RawClient.start(proxied.port, { heartbeat: 1 });
    answerHeartbeats(client);
    for (let n = 0; n < 6; n++) expect(await client.next('heartbeat')).not.to.equal(null);
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('quiet'));
    expect(await client.next('queue.declare-ok')).not.to.equal(null);
    client.destroy();
  });

  it('a client that falls silent is closed', async () => {
    const client = await RawClient.start(proxied.port, { heartbeat: 1 });
    await client.closed(30);
    expect(client.frames.some(frame => frame.name === 'heartbeat')).to.equal(true);
  });

  it('a client that falls silent while it consumes is closed, and its messages go back', async () => {
    const client = await RawClient.start(proxied.port, { heartbeat: 1 });
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('held'));
    await client.next('queue.declare-ok');
    client.send(publish(1, 'held', Buffer.from('x')));
    client.method(
      1,
      'basic.consume',
      new Writer().short(0).shortstr('held').shortstr('').octet(0).long(0).take(),
    );
    await client.next('basic.deliver');
    await client.closed(30);
    await until('the message to be ready again', async () =>
      (await broker.list('list_queues', 'name', 'messages_ready')).some(
        ([name, ready]) => name === 'held' && ready === '1',
      ),
    );
  });

  it('a client that asked for none may stay silent', async () => {
    const client = await RawClient.start(proxied.port, { heartbeat: 0 });
    await silenceNoticedByBroker();
    await client.open(1);
    client.method(1, 'queue.declare', declareArgs('quiet'));
    expect(await client.next('queue.declare-ok')).not.to.equal(null);
    expect(client.frames.map(frame => frame.name)).not.to.include('heartbeat');
    client.destroy();
  });

  it('an upstream nobody uses lives', async function () {
    if (direct) proxyOnly(this);
    const pids = async (): Promise<string> =>
      (await broker.list('list_connections', 'pid')).flat().sort().join();
    const before = await pids();
    expect(before).not.to.equal('');
    await silenceNoticedByBroker();
    expect(await pids()).to.equal(before);
  });

  it('a broker that hangs is noticed, its clients hear of it, and later ones are served again', async function () {
    if (direct) proxyOnly(this);
    this.timeout(120_000);
    const hanging = await RabbitMQ.start({ conf: ['heartbeat = 2'] });
    const local = new Fixture();
    try {
      await local.start([], hanging);
      const busy = await RawClient.start(local.port);
      await busy.open(1);
      busy.method(1, 'confirm.select', Buffer.from([0]));
      await busy.next('confirm.select-ok');
      hanging.freeze();
      await until('the broker to stand still', () => hanging.frozen);
      busy.send(publish(1, 'quiet', Buffer.from('x')));
      const end = await busy.next('connection.close', 30);
      expect(end?.payload.readUInt16BE(4)).to.equal(320);
      busy.destroy();
      hanging.thaw();
      await until('a login', async () => {
        const client = await RawClient.connect(local.port);
        const answer = await client.login();
        client.destroy();
        return answer?.name === 'connection.open-ok';
      });
    } finally {
      hanging.thaw();
      await local.stop();
      await hanging.stop();
    }
  });

  it('a consumer that gets no message for a minute still gets the next', async function () {
    this.timeout(2 * MINUTE);
    await until('a minute to pass', () => Date.now() - since > MINUTE || consumer.ended, 70);
    expect(consumer.ended).to.equal(false);
    const sender = await RawClient.start(broker.port);
    await sender.open(1);
    sender.send(publish(1, 'quiet', Buffer.from('at last')));
    await consumer.next('basic.deliver');
    expect((await consumer.next('body'))!.payload.toString()).to.equal('at last');
    sender.destroy();
  });
});
