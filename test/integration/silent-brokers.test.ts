/** Brokers that owe an answer and fall silent, or only seem to. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import { sleep, until } from '../support/rabbitmq.ts';
import { closeOf } from '../support/raw-client.ts';
import { type Relayed, relayed } from '../support/relayed.ts';
import { relayedSideBySide } from '../support/side-by-side.ts';

describe('Silence of a broker', () => {
  /** As a firewall does that forgets the connections that are there; new ones work. */
  const forget = (to: Relayed): void => {
    const last = Math.max(...to.relay.links.map(({ number }) => number));
    to.relay.fromBroker = (_frame, { number }) => (number <= last ? 'drop' : 'pass');
    to.relay.fromProxy = to.relay.fromBroker;
  };

  relayedSideBySide([], {
    'where an answer is due, on a dead upstream: it is given up in seconds, those on it hear 320, others have long been served elsewhere':
      async to => {
        const client = await to.client(queueName('silent'));
        const idle = await to.login();
        forget(to);
        client.send(f.channelClose(1));
        await until('it to be suspected', async () => {
          const other = await to.login();
          await other.open(1);
          other.send(f.declare(1, queueName('silent'), f.DURABLE));
          return other.next('queue.declare-ok', 1).catch(() => null);
        });
        const end = await client.next('connection.close', 15);
        expect(closeOf(end!).code).to.equal(320);
        expect(closeOf(end!).text).to.match(/the broker owes an answer and has been silent for \d+ s/);
        await idle.open(1);
        await idle.call(f.declare(1, queueName('silent'), f.DURABLE), 'queue.declare-ok');
      },

    'where an answer is due is none on an upstream that it has blocked': async to => {
      const client = await to.client(queueName('silent'));
      const [link] = to.relay.links;
      link.toProxy(f.method(0, 10, 60, f.w().shortstr('low on memory').take()));
      to.relay.fromProxy = ({ name }) => (name.startsWith('channel.') ? 'hold' : 'pass');
      client.send(f.channelClose(1));
      await until('the close to be held', () => link.holding > 0);
      await sleep(12_000);
      to.relay.release();
      link.toProxy(f.method(0, 10, 61));
      expect((await client.next('channel.close-ok'))?.name).to.equal('channel.close-ok');
    },

    'on one channel, because of what was done there, does not end the upstream': async to => {
      const client = await to.client(queueName('silent'));
      const [link] = to.relay.links;
      let held = 0;
      to.relay.fromBroker = ({ name, channel }) => {
        if (name !== 'channel.flow-ok' || (held !== 0 && channel !== held)) return 'pass';
        held = channel;
        return 'hold';
      };
      client.send(f.channelClose(1));
      await until('the answer to be held', () => link.holding > 0);
      await sleep(12_000);
      to.relay.release();
      expect((await client.next('channel.close-ok'))?.name).to.equal('channel.close-ok');
    },

    'on one upstream takes no parked channel of the others away from clients while it is looked into':
      async to => {
        const bob = { user: 'bob', secret: 'builder' };
        const queue = queueName('silent');
        const first = await to.client(queue, bob);
        await first.ask(f.channelClose(1), 'channel.close-ok');
        const other = to.relay.links.at(-1);
        const seen: string[] = [];
        to.relay.fromProxy = ({ name }, link) => {
          if (link === other) seen.push(name);
          return 'pass';
        };
        const silent = await to.client(queue);
        to.relay.fromBroker = ({ name }) => (name === 'channel.flow-ok' ? 'hold' : 'pass');
        silent.send(f.channelClose(1));
        await until('the other upstream to be asked', () => seen.includes('channel.flow'));
        const next = await to.login(bob);
        await next.open(1);
        next.send(f.publish(1, queue, 'one'), f.channelClose(1));
        await until('it to be published there', () => seen.includes('basic.publish'));
        to.relay.release();
        expect((await next.next('channel.close-ok'))?.name).to.equal('channel.close-ok');
        expect(seen).not.to.include('channel.open');
      },

    'on one channel for good is borne for a minute: who waits there hears 320, neighbours stay, and the upstream goes when the last of them has left':
      async to => {
        const clients = [0, 1, 2, 3].map(() => to.client(queueName('silent')));
        const [neighbour, waiting, gone, patient] = await Promise.all(clients);
        expect(to.relay.connections).to.equal(1);
        const [link] = to.relay.links;
        // the broker is as if it had not been asked
        const mute = new Set<number>();
        const forgets = new Set<number>();
        to.relay.fromProxy = ({ name, channel, payload }, { number }) => {
          if (number !== link.number) return 'pass';
          if (name === 'queue.declare' && payload.includes('mute')) mute.add(channel);
          if (name === 'queue.declare' && payload.includes('forgets')) forgets.add(channel);
          if (name === 'channel.flow' && forgets.delete(channel)) return 'drop';
          return mute.has(channel) && (name === 'channel.flow' || name === 'channel.close') ? 'drop' : 'pass';
        };
        const declare = (what: string): Buffer => f.declare(1, queueName(what), f.DURABLE | f.NO_WAIT);
        waiting.send(declare('mute'), f.channelClose(1));
        gone.send(declare('mute'), f.channelClose(1));
        patient.send(declare('forgets'), f.channelClose(1));
        await until('the channels to be silent', () => mute.size === 2);
        gone.destroy();
        const busy = setInterval(() => neighbour.send(f.qos(1, 1)), 500);
        try {
          const end = await waiting.next('connection.close', 120);
          expect(closeOf(end!).code).to.equal(320);
          expect(closeOf(end!).text).to.match(/the broker has not answered the close of a channel for \d+ s/);
        } finally {
          clearInterval(busy);
        }
        expect((await patient.next('channel.close-ok'))?.name).to.equal('channel.close-ok');
        await neighbour.ask(f.declare(1, queueName('silent'), f.DURABLE), 'queue.declare-ok');
        neighbour.send(f.connectionClose());
        await until('the upstream to be given up', () => !to.relay.links.includes(link), 10);
        expect(await to.proxy.metric('channels_leased')).to.equal(0);
        expect(to.proxy.log).to.match(/WARN Upstream .*does not answer on channel \d+/);
      },

    'as a whole is found out in seconds by who is owed no answer, too: who consumes, and who waits for confirms':
      async to => {
        const consumer = await to.client(queueName('silent'));
        const queue = queueName('silent');
        await consumer.ask(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
        await consumer.ask(f.consume(1, queue, 'c'), 'basic.consume-ok');
        const publisher = await to.client(queueName('silent'));
        await publisher.ask(f.confirmSelect(1), 'confirm.select-ok');
        to.relay.fromBroker = () => 'drop';
        publisher.send(f.publish(1, queue, 'lost'));
        const ends = await Promise.all([consumer, publisher].map(one => one.next('connection.close', 20)));
        for (const end of ends) {
          expect(closeOf(end!).code).to.equal(320);
          expect(closeOf(end!).text).to.match(/has been silent for \d+ s/);
        }
      },
  });
});

describe('upstream_heartbeat', () => {
  const to = relayed(['upstream_heartbeat = 1']);

  it('holds although the broker offers none', async () => {
    let beats = 0;
    let agreed = 0;
    to.relay.fromBroker = frame => {
      if (frame.name !== 'connection.tune') return 'pass';
      const { payload } = frame;
      payload.writeUInt16BE(0, 10);
      return f.method(0, 10, 30, payload.subarray(4));
    };
    to.relay.fromProxy = frame => {
      if (frame.name === 'heartbeat') beats++;
      if (frame.name === 'connection.tune-ok') agreed = Number(frame.args[2]);
      return 'pass';
    };
    await to.client(queueName('beats'));
    expect(agreed).to.equal(1);
    await until('a heartbeat', () => beats > 0);
  });
});
