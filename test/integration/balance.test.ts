/** A broker that is back gets its share of the upstreams. */
import { expect } from 'chai';
import { peopledBroker, proxyOnly } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { declareArgs, RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

const PEOPLE = [
  ['alice', 'wonder', '/'],
  ['alice', 'wonder', 'one'],
  ['bob', 'builder', '/'],
  ['bob', 'builder', 'one'],
] as const;

describe('A broker that was away', () => {
  let broker: RabbitMQ;
  before(async function () {
    proxyOnly(this);
    broker = await peopledBroker();
  });

  it('gets upstreams within a minute of being back, and no client notices', async () => {
    const away = await freePort();
    const there = await Relay.start(broker.port);
    const proxy = await AmqProxy.withMetrics(`${there.url},amqp://127.0.0.1:${away}`);
    let visits = 0;
    const failures: string[] = [];
    const visit = async ([user, secret, vhost]: (typeof PEOPLE)[number]): Promise<void> => {
      try {
        const client = await RawClient.start(proxy.port, { user, secret, vhost });
        await client.open(1);
        client.method(1, 'queue.declare', declareArgs('balance', 8));
        await client.answered('queue.declare-ok');
        client.method(0, 'connection.close', Buffer.from([0, 200, 0, 0, 0, 0, 0]));
        await client.answered('connection.close-ok');
        client.destroy();
        visits++;
      } catch (error) {
        failures.push((error as Error).message);
      }
    };
    for (const who of PEOPLE) await visit(who);
    const before = there.connections;
    expect(before).to.be.at.least(PEOPLE.length);
    const back = await Relay.start(broker.port, away);
    await until(
      'upstreams to the one that is back',
      async () => {
        for (const who of PEOPLE) await visit(who);
        await sleep(100);
        return back.connections >= 2;
      },
      60,
    );
    expect(failures).to.deep.equal([]);
    expect(visits).to.be.above(PEOPLE.length);
    expect(proxy.log).to.match(/INFO Upstream ends with its last lease: 127\.0\.0\.1:\d+ has fewer/);
    await proxy.stop();
    await Promise.all([there.end(), back.end()]);
  });
});
