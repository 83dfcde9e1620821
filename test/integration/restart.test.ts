/** A restart while short clients come and go, on a socket that the service manager keeps open (amqproxy.socket). */
import { BoundSocket } from 'node:net';
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { ready } from '../support/backlog.ts';
import { proxyOnly, queueName } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sharedBroker, sleep } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';
import { shortLife } from '../support/short-life.ts';

const CLIENTS = 1200;
/** Milliseconds between two of them: 500 a second, if the machine can. */
const PACE_MS = 2;

describe('A restart behind a kept socket', () => {
  let broker: RabbitMQ;
  let socket: BoundSocket;
  const proxies: AmqProxy[] = [];

  before(async function () {
    proxyOnly(this);
    broker = await sharedBroker();
    socket = new BoundSocket({ host: '127.0.0.1' });
  });
  after(async () => {
    for (const proxy of proxies) await proxy.stop();
    socket?.close();
  });

  const start = async (): Promise<AmqProxy> => {
    const proxy = await AmqProxy.onSockets([socket.fd()], ['amqp'], broker.url);
    proxies.push(proxy);
    return proxy;
  };

  it(`refuses and closes none of ${CLIENTS} short clients; who consumes hears 320 at once`, async () => {
    const old = await start();
    const queue = queueName();
    const consumer = await RawClient.start(old.port);
    await consumer.ask(f.channelOpen(1), 'channel.open-ok');
    await consumer.ask(f.declare(1, queue), 'queue.declare-ok');
    const events = queueName();
    await consumer.ask(f.declare(1, events), 'queue.declare-ok');
    await consumer.ask(f.consume(1, events, 'events'), 'basic.consume-ok');
    const told = consumer.next('connection.close', 60).then(close => {
      consumer.send(f.connectionCloseOk());
      consumer.socket.end();
      return closeOf(close!).code;
    });
    const lives: Promise<string>[] = [];
    let restarted: Promise<AmqProxy> | undefined;
    for (let n = 0; n < CLIENTS; n++) {
      lives.push(shortLife(old.port, queue));
      if (n === CLIENTS / 3) {
        old.signal('SIGTERM');
        restarted = old.exited().then(code => {
          expect(code).to.equal(0);
          return start();
        });
      }
      await sleep(PACE_MS);
    }
    await restarted;
    expect(await told).to.equal(320);
    const ends = new Map<string, number>();
    for (const end of await Promise.all(lives)) ends.set(end, (ends.get(end) ?? 0) + 1);
    expect(Object.fromEntries(ends)).to.deep.equal({ served: CLIENTS });
    expect(await ready(old.port, queue)).to.equal(CLIENTS);
  });
});
