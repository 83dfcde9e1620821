/**
 * Clients that take nothing of what is sent to them, but send heartbeats: RabbitMQ cuts them after its send time-out, and
 * so does the proxy. They would hold their messages for ever.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { drop, fill, ready } from '../support/backlog.ts';
import { Canary } from '../support/canary.ts';
import { direct, Fixture, queueName, settingsFile } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const SIZE = 100_000;
const COUNT = 400;
const HEARTBEAT = f.rawFrame(8, 0, Buffer.alloc(0));
/** RabbitMQ waits 30 s. Through the proxy it would cut the upstream then, if only so much waits that it has noticed. */
const PATIENCE = direct ? 45 : 15;

/** Each leaves more waiting for the client than the kernel takes. `holds`: all of it is back when the client is gone. */
interface Sleeper {
  settings?: string[];
  holds: boolean;
  begin(client: RawClient, queue: string): Promise<unknown>;
}
const SLEEPERS: Record<string, Sleeper> = {
  'a consumer': {
    holds: true,
    begin: (client, queue) => client.ask(f.consume(1, queue), 'basic.consume-ok'),
  },
  'a consumer that does not ack': {
    holds: false,
    begin: (client, queue) => client.ask(f.consume(1, queue, '', f.NO_ACK), 'basic.consume-ok'),
  },
  'a consumer on a shared upstream': {
    settings: ['consumers = shared', 'client_buffer = 64MiB'],
    holds: true,
    async begin(client, queue) {
      await client.ask(f.qos(1, COUNT), 'basic.qos-ok');
      await client.ask(f.consume(1, queue), 'basic.consume-ok');
    },
  },
  'one that gets': {
    holds: true,
    async begin(client, queue) {
      for (let n = 0; n < COUNT; n++) client.send(f.get(1, queue, false));
    },
  },
  'one whose messages are returned': {
    holds: true,
    async begin(client) {
      const message = f.publish(1, 'nowhere', Buffer.alloc(SIZE), { flags: f.MANDATORY });
      for (let n = 0; n < COUNT; n++) client.send(message);
    },
  },
  'one in session mode': {
    settings: ['pool_mode = session'],
    holds: true,
    begin: (client, queue) => client.ask(f.consume(1, queue), 'basic.consume-ok'),
  },
};

describe('A client that takes nothing of what is sent to it', () => {
  const to = new Fixture();
  const clients: RawClient[] = [];
  let queues: string[] = [];
  let canary: Canary;
  afterEach(async () => {
    await canary?.stop();
    for (const client of clients.splice(0)) client.destroy();
    for (const queue of queues) await drop(to.broker.port, queue);
    if (!direct) await to.stop();
  });

  /** A client that sends heartbeats, and ends when they are not taken any more. */
  const login = async (): Promise<RawClient> => {
    const client = await RawClient.start(to.port, { heartbeat: 5 });
    clients.push(client);
    const timer = setInterval(() => client.send(HEARTBEAT), 500);
    client.socket.once('close', () => clearInterval(timer));
    await client.open(1);
    return client;
  };

  for (const [who, { settings = [], holds, begin }] of Object.entries(SLEEPERS))
    it(`is cut after send_timeout: ${who}; neighbours notice nothing, one that reads slowly stays`, async () => {
      await to.start(['-c', settingsFile('send_timeout = 2', ...settings)]);
      queues = [queueName('asleep'), queueName('slow')];
      const [queue, slowly] = queues;
      for (const one of queues) await fill(to.broker.port, one, COUNT, SIZE);
      canary = await Canary.start(to.port, queueName('canary'));

      const slow = await login();
      await slow.ask(f.qos(1, COUNT), 'basic.qos-ok');
      await slow.ask(f.consume(1, slowly), 'basic.consume-ok');
      slow.socket.on('data', () => {
        slow.socket.pause();
        setTimeout(() => slow.socket.resume(), 50);
      });
      const sleeper = await login();
      await begin(sleeper, queue);
      sleeper.socket.pause();

      await until('it to be cut', () => sleeper.ended, PATIENCE);
      expect(sleeper.wasReset, 'reset').to.equal(true);
      if (holds)
        await until('its messages to be back', async () => (await ready(to.broker.port, queue)) === COUNT);
      if (!direct) expect(to.proxy.log).to.match(/Client closed: .*send_timeout/);
      expect(slow.ended, 'one that reads slowly has been cut').to.equal(false);
      await canary.stop();
      expect(canary.complaints).to.deep.equal([]);
    });
});
