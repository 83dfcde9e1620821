/** Publishers are moved from upstream to upstream, again and again: nothing is lost, nothing comes twice, order is kept. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { peopledBroker, proxyOnly, queueName } from '../support/fixture.ts';
import { MovingProxy } from '../support/moving-proxy.ts';
import { countUp, Numbering } from '../support/numbering.ts';
import { type RabbitMQ, until } from '../support/rabbitmq.ts';
import { closeOf } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

/** Two publishers of two channels with confirms, and one of a channel without. */
const KINDS: [name: string, channels: number, confirm: boolean][] = [
  ['confirmed', 2, true],
  ['also-confirmed', 2, true],
  ['plain', 1, false],
];
/** Messages of each of the five channels; AMQPROXY_MOVED is for all together. */
const MANY = Number(process.env.AMQPROXY_MOVED ?? 200_000) / 5;
const SOME = 12_000;

describe('Publishers that are moved again and again', function () {
  this.timeout(240_000);
  let broker: RabbitMQ;
  let relay: Relay;
  let to: MovingProxy;
  let names: string[];
  let clients: Numbering[];
  let published: Promise<unknown>;

  before(async function () {
    proxyOnly(this);
    broker = await peopledBroker();
  });
  beforeEach(async () => {
    relay = await Relay.start(broker.port);
    to = await MovingProxy.start(relay.url);
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    to?.end();
    await relay?.end();
  });

  /** All kinds begin to publish, and are moved. */
  async function begin(count: number): Promise<void> {
    names = KINDS.map(([kind]) => queueName(kind));
    clients = [];
    for (const [i, [, channels, confirm]] of KINDS.entries())
      clients.push(await Numbering.begin(to.port, names[i], channels, confirm));
    await to.open(3);
    to.move();
    published = Promise.all(clients.map((client, i) => client.publish(names[i], count)));
  }

  async function moved(times: number): Promise<void> {
    const { moves } = to;
    await until(`${times} moves`, () => to.moves >= moves + times, 60);
  }

  /** They publish to the end and leave, which is answered; then all is there. */
  async function finish(count: number): Promise<void> {
    await published;
    for (const [i, [, channels, confirm]] of KINDS.entries()) {
      if (confirm) await clients[i].allConfirmed();
      await clients[i].ask(f.connectionClose(), 'connection.close-ok', 60);
      for (let channel = 1; channel <= channels; channel++)
        expect(await countUp(broker, `${names[i]}-${channel}`, names[i])).to.equal(count);
    }
  }

  /** All hear that they are closed with this code; what is there is what they sent, from the first to one that may be any after the last confirmed. */
  async function cutOff(code: number): Promise<void> {
    for (const [i, [, channels]] of KINDS.entries()) {
      await until('the end', () => clients[i].told !== null || clients[i].ended, 30);
      expect(closeOf(clients[i].told!).code).to.equal(code);
      for (let channel = 1; channel <= channels; channel++) {
        const there = await countUp(broker, `${names[i]}-${channel}`, names[i]);
        expect(there).to.be.within(clients[i].confirmed[channel], clients[i].sent[channel]);
      }
    }
    await published;
  }

  it('lose nothing, and nothing of theirs comes twice or overtakes', async () => {
    await begin(MANY);
    await finish(MANY);
    expect(to.moves).to.be.above(MANY / 1000);
  });

  it('lose nothing in an alarm', async () => {
    await begin(SOME);
    for (let round = 0; round < 3; round++) {
      await moved(5);
      await broker.alarm(true);
      await until('blocked upstreams', () => [...to.proxy.registry.pools].some(pool => pool.alarm));
      await broker.alarm(false);
    }
    await finish(SOME);
  });

  it('lose nothing when all upstreams are given up for new ones', async () => {
    await begin(SOME);
    for (let round = 0; round < 3; round++) {
      await moved(5);
      to.proxy.reconnect();
      await to.open(3);
    }
    await finish(SOME);
  });

  it('hear of a lost upstream at once, and lose nothing that was confirmed', async () => {
    await begin(1_000_000);
    await moved(10);
    relay.cut();
    await cutOff(320);
  });

  it('are told in a drain, and lose nothing that was confirmed', async () => {
    await begin(1_000_000);
    await moved(10);
    const drained = to.proxy.drain();
    await cutOff(320);
    await drained;
  });
});
