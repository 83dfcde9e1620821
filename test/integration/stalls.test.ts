/**
 * The proxy does not run for a while (a busy machine, a suspended one): what its peers did in time meanwhile counts when it
 * runs again, and nobody is taken for silent who was not.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import { sleep, until } from '../support/rabbitmq.ts';
import { closeOf, type Frame, RawClient } from '../support/raw-client.ts';
import type { Relayed } from '../support/relayed.ts';
import { relayedSideBySide } from '../support/side-by-side.ts';

const HEARTBEAT = f.rawFrame(8, 0, Buffer.alloc(0));
/** Longer than two heartbeats of a second, and than the time-outs set below. */
const STALL_MS = 4500;

const said = (frame: Frame | null): string =>
  frame === null ? 'the end' : frame.name.endsWith('.close') ? closeOf(frame).text : frame.name;

/** Stops the proxy for a while; meanwhile `act` is called again and again. */
async function stall(to: Relayed, act: () => void): Promise<void> {
  act();
  const acting = setInterval(act, 300);
  to.proxy.signal('SIGSTOP');
  try {
    await sleep(STALL_MS);
  } finally {
    clearInterval(acting);
    to.proxy.signal('SIGCONT');
  }
}

async function ofClients(to: Relayed, heartbeat: number): Promise<void> {
  const queue = queueName('stall');
  const clients: RawClient[] = [];
  for (let n = 0; n < 10; n++) {
    const client = await to.client(queue, { heartbeat });
    if (n % 2) await client.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
    clients.push(client);
  }
  await stall(to, () => {
    for (const client of clients) client.send(HEARTBEAT);
  });
  for (const client of clients) {
    client.send(f.declare(1, queue, f.DURABLE));
    expect(said(await client.next(({ name }) => name !== 'heartbeat'))).to.equal('queue.declare-ok');
  }
}

describe('A stall of the proxy', () => {
  describe('is not the silence', () => {
    relayedSideBySide([], {
      'of clients that sent a heartbeat every second': to => ofClients(to, 1),
      'of clients that sent a heartbeat every 2 s': to => ofClients(to, 2),
      'of a broker that sent its heartbeats': async to => {
        // the proxy is asked for one every second, the broker for none, and the relay sends what the broker would
        to.relay.fromBroker = ({ name }) =>
          name === 'connection.tune'
            ? f.method(0, 10, 30, f.w().short(2047).long(131072).short(1).take())
            : 'pass';
        to.relay.fromProxy = ({ name }) =>
          name === 'connection.tune-ok'
            ? f.method(0, 10, 31, f.w().short(2047).long(131072).short(0).take())
            : name === 'heartbeat'
              ? 'drop'
              : 'pass';
        const beat = (): void => {
          for (const link of to.relay.links) link.toProxy(HEARTBEAT);
        };
        const beating = setInterval(beat, 300);
        try {
          const queue = queueName('stall');
          const client = await to.client(queue);
          await client.call(f.consume(1, queue, 'tag'), 'basic.consume-ok');
          await stall(to, () => {});
          client.send(f.declare(1, queue, f.DURABLE));
          expect(said(await client.next(({ name }) => name !== 'heartbeat'))).to.equal('queue.declare-ok');
          expect(to.proxy.log).not.to.include('Upstream lost');
        } finally {
          clearInterval(beating);
        }
      },
    });
  });

  describe('does not use up', () => {
    relayedSideBySide(['handshake_timeout = 2', 'lease_timeout = 2', 'max_upstreams = 1'], {
      'the handshake_timeout of a client that went on in time': async to => {
        await to.client(queueName('stall'));
        const client = await to.connect();
        await client.call(Buffer.from('AMQP\0\0\x09\x01'), 'connection.start');
        let done = false;
        await stall(to, () => {
          if (!done) client.startOk({}, 'PLAIN', Buffer.from('\0guest\0guest'));
          done = true;
        });
        expect(said(await client.next(() => true))).to.equal('connection.tune');
        client.tuneOk(2047, 131072, 0);
        client.openVhost('/');
        expect(said(await client.next(() => true))).to.equal('connection.open-ok');
      },

      'the handshake_timeout of a broker that answered in time': async to => {
        to.relay.fromBroker = ({ name }) => (name === 'connection.tune' ? 'hold' : 'pass');
        const client = await to.connect();
        const answer = client.login().then(said);
        await until('the broker to be asked', () => to.relay.links[0]?.holding === 1);
        await stall(to, () => to.relay.release());
        expect(await answer).to.equal('connection.open-ok');
      },

      'the lease_timeout of a client that waits, when there is room by then': async to => {
        const holds = await to.login();
        await holds.open(1);
        await holds.call(f.txSelect(1), 'tx.select-ok');
        const waits = await to.login();
        await waits.open(1);
        waits.send(f.declare(1, queueName('stall')));
        (await RawClient.start(to.proxy.port)).destroy();
        let done = false;
        await stall(to, () => {
          if (!done) holds.send(f.connectionClose());
          done = true;
        });
        expect(said(await waits.next(() => true))).to.equal('queue.declare-ok');
      },
    });
  });
});
