/** What the integration tests share: one broker with some users and vhosts, and a proxy in front of it per suite. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import amqp, { type ChannelModel } from 'amqplib';
import { tempDir } from './cleanup.ts';
import { AmqProxy } from './proxy.ts';
import { type RabbitMQ, sharedBroker } from './rabbitmq.ts';

/** AMQPROXY_TEST_DIRECT=1 runs the tests that make sense there straight against RabbitMQ: it shows what they should expect. */
export const direct = process.env.AMQPROXY_TEST_DIRECT === '1';

/** Marks a suite or test that is about the proxy itself. */
export const proxyOnly = (context: Mocha.Context): void => {
  if (direct) context.skip();
};

let people: Promise<void> | null = null;

async function addPeople(broker: RabbitMQ): Promise<void> {
  for (const vhost of ['one', 'two', 'closed']) await broker.ctl('add_vhost', vhost);
  await broker.addUser('alice', 'wonder', '/', 'one', 'two');
  await broker.addUser('bob', 'builder', '/', 'one', 'two');
}

/** The shared broker, with the users alice and bob. */
export async function peopledBroker(): Promise<RabbitMQ> {
  const broker = await sharedBroker();
  await (people ??= addPeople(broker));
  return broker;
}

export class Fixture {
  broker!: RabbitMQ;
  proxy!: AmqProxy;
  /** Where clients connect. */
  port = 0;

  /** Starts the shared broker if need be, and a proxy with these flags in front of it. */
  async start(args: string[] = [], broker?: RabbitMQ, env: NodeJS.ProcessEnv = {}): Promise<void> {
    this.broker = broker ?? (await peopledBroker());
    if (direct) {
      this.port = this.broker.port;
      return;
    }
    this.proxy = await AmqProxy.withMetrics(this.broker.url, args, env);
    this.port = this.proxy.port;
  }

  async stop(): Promise<void> {
    if (direct || this.proxy === undefined) return; // it may not have started
    const { running } = this.proxy;
    await this.proxy.stop();
    if (!running && this.proxy.exitCode !== 0)
      throw new Error(`amqproxy ended by itself:\n${this.proxy.log}`);
  }

  /** A URL for a client library. */
  url(user = 'guest', secret = 'guest', vhost = '/'): string {
    return `amqp://${user}:${secret}@127.0.0.1:${this.port}/${encodeURIComponent(vhost)}`;
  }

  /** An amqplib connection through the proxy; its errors are left to what waits on it. */
  async connect(user = 'guest', secret = 'guest', vhost = '/', query = ''): Promise<ChannelModel> {
    return ignoringErrors(await amqp.connect(`${this.url(user, secret, vhost)}${query}`));
  }

  /** An amqplib connection to the broker itself, to look at what the proxy has done. */
  async toBroker(vhost = '/'): Promise<ChannelModel> {
    return ignoringErrors(
      await amqp.connect(`amqp://guest:guest@127.0.0.1:${this.broker.port}/${encodeURIComponent(vhost)}`),
    );
  }
}

function ignoringErrors(connection: ChannelModel): ChannelModel {
  connection.on('error', () => {});
  return connection;
}

let names = 0;
/** A queue name nobody else uses. */
export const queueName = (what = 'queue'): string => `${what}-${process.pid}-${++names}`;

/** A file with these lines in its [main] section, gone when the process ends. */
export function settingsFile(...lines: string[]): string {
  const file = join(tempDir('settings'), 'amqproxy.ini');
  writeSettings(file, ...lines);
  return file;
}

/** The same into a file that is there. */
export const writeSettings = (file: string, ...lines: string[]): void =>
  writeFileSync(file, `[main]\n${lines.join('\n')}\n`);

/** Registers before and after hooks of a suite that needs a proxy started with `args`. */
export function fixture(args: string[] = [], env: NodeJS.ProcessEnv = {}): Fixture {
  const shared = new Fixture();
  before(function () {
    this.timeout(120_000);
    return shared.start(args, undefined, env);
  });
  after(() => shared.stop());
  return shared;
}
