/** Clients that agreed on a larger frame_max than the broker they are led to takes: it has been restarted with a smaller one. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { proxyOnly } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const QUEUE = 'frames';

describe('A broker with a smaller frame_max than clients were offered', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy;
  let neighbour: RawClient;
  let clients: RawClient[];

  before(async function () {
    proxyOnly(this);
    this.timeout(120_000);
    broker = await RabbitMQ.start();
    proxy = await AmqProxy.start(broker.url);
    clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.start(proxy.port)));
    for (const client of clients) await client.open(1);
    await broker.halt();
    appendFileSync(join(broker.dir, 'rabbit.conf'), 'frame_max = 16384\n');
    await broker.run();
    neighbour = clients[0];
    await neighbour.call(f.declare(1, QUEUE), 'queue.declare-ok');
    await neighbour.call(f.confirmSelect(1), 'confirm.select-ok');
  });
  after(async () => {
    for (const client of clients ?? []) client.destroy();
    await proxy?.stop();
    await broker?.stop();
  });
  afterEach(async () => {
    neighbour.send(f.publish(1, 'nobody', 'alive'));
    expect((await neighbour.next(() => true))?.name).to.equal('basic.ack');
  });

  const numbers = (size: number): Buffer =>
    Buffer.from(Array.from({ length: size }, (_, n) => (n * 7) >>> 3));

  /** Publishes messages in one write, and gets them back. */
  const roundTrip = async (client: RawClient, bodies: Buffer[]): Promise<void> => {
    client.send(...bodies.map(body => f.publish(1, QUEUE, body)));
    for (const body of bodies) {
      await client.call(f.get(1, QUEUE), 'basic.get-ok');
      await client.next('header');
      const got: Buffer[] = [];
      for (let left = body.length; left > 0; left -= got.at(-1)!.length)
        got.push((await client.next('body'))!.payload);
      expect(Buffer.concat(got).equals(body)).to.equal(true);
    }
  };

  it('gets their body frames in pieces it takes, small messages as they are', () =>
    roundTrip(clients[1], [131064, 5, 16384, 100_000, 16376, 16377].map(numbers)));

  it('gets a message too large to be held back in such pieces', () =>
    roundTrip(clients[2], [numbers(3_000_000)]));

  it('never sees a header too large for it: the client hears 501', async () => {
    const [, , , client] = clients;
    const key = Buffer.from(f.text('long', 'h'.repeat(20_000)));
    client.send(f.publishMethod(1, QUEUE), f.headerWith(1, 0, 0x2000, f.table(key)));
    const why = closeOf((await client.next('connection.close'))!);
    expect(why.code).to.equal(501);
    expect(why.text).to.match(/^FRAME_ERROR - type 2, .*\{frame_too_large,\d+,16376\}$/);
  });

  it('never sees a method too large for it either', async () => {
    const [, , , , client] = clients;
    client.send(f.declare(1, 'x', 0, f.table(f.text('x-long', 'h'.repeat(20_000)))));
    expect(closeOf((await client.next('connection.close'))!).code).to.equal(501);
  });
});
