/**
 * Clients that are given up: their connections are reset, as RabbitMQ does. After a mere end of the connection the next
 * write still seems to succeed, and a client that only writes (PHP) believes that its message is with the broker.
 */
import { expect } from 'chai';
import { PROTOCOL_HEADER } from '../../src/amqp/frame.ts';
import * as f from '../differential/frames.ts';
import { Fixture, fixture, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { RawClient } from '../support/raw-client.ts';
import { sideBySide } from '../support/side-by-side.ts';

/** RabbitMQ waits up to 30 s for connection.close-ok. */
const PATIENCE = 45;

describe('A client that is given up is reset, so that its next write fails', () => {
  const to = fixture(['-c', settingsFile('handshake_timeout = 1')]);
  const clients: RawClient[] = [];
  after(() => {
    for (const client of clients) client.destroy();
  });

  const kept = (client: RawClient): RawClient => {
    clients.push(client);
    return client;
  };
  const connect = async (): Promise<RawClient> => kept(await RawClient.connect(to.port));
  const start = async (heartbeat = 0): Promise<RawClient> => {
    const client = kept(await RawClient.start(to.port, { heartbeat }));
    await client.open(1);
    await client.ask(f.declare(1, queueName('given-up'), f.AUTO_DELETE), 'queue.declare-ok');
    return client;
  };

  /** Who is given up, and for what. */
  const CASES: Record<string, () => Promise<RawClient>> = {
    'a publisher that was silent for two heartbeats': async () => {
      const client = await start(1);
      client.send(f.publish(1, 'nowhere', 'x'));
      return client;
    },
    'a consumer that was silent for two heartbeats': async () => {
      const client = await start(1);
      await client.ask(f.consume(1, ''), 'basic.consume-ok');
      return client;
    },
    'one without a channel that was silent for two heartbeats': async () =>
      kept(await RawClient.start(to.port, { heartbeat: 1 })),
    'one that says nothing': connect,
    'one that does not go on with its handshake': async () => {
      const client = await connect();
      client.send(PROTOCOL_HEADER);
      await client.answered('connection.start');
      return client;
    },
    'one that does not answer connection.close': async () => {
      const client = await start();
      client.send(f.declare(2, 'on a channel that is not open'));
      await client.next('connection.close');
      return client;
    },
    'one that sends a method nobody knows': async () => {
      const client = await start();
      client.send(f.method(1, 60, 999));
      return client;
    },
  };
  const isReset = async (gives: () => Promise<RawClient>): Promise<void> => {
    const client = await gives();
    await client.closed(PATIENCE);
    expect(client.wasReset, 'reset').to.equal(true);
  };
  sideBySide(
    Object.fromEntries(Object.entries(CASES).map(([who, gives]) => [who, () => isReset(gives)] as const)),
  );

  for (const [how, signals] of Object.entries({
    'when term_timeout is over': ['SIGTERM'],
    'at a second signal': ['SIGTERM', 'SIGTERM'],
  } as const))
    it(`one that stays while the proxy drains, ${how}`, async function () {
      proxyOnly(this);
      const local = new Fixture();
      await local.start(['-c', settingsFile(`term_timeout = ${signals.length === 1 ? 1 : 600}`)]);
      const client = kept(await RawClient.start(local.port));
      for (const signal of signals) {
        local.proxy.signal(signal);
        if (!client.ended) await client.next('connection.close', 1).catch(() => {});
      }
      await client.closed();
      expect(await local.proxy.exited()).to.equal(0);
      expect(client.wasReset, 'reset').to.equal(true);
    });
});
