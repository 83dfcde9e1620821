/**
 * A memory alarm begins while confirms are on their way to a client: for what it publishes from then on it has to move to an
 * upstream that the broker has stopped reading anyway, so that it blocks no other. It moves once all is confirmed, and is not
 * left in the dark when that can never be.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { ready } from '../support/backlog.ts';
import { queueName } from '../support/fixture.ts';
import type { Link } from '../support/frame-relay.ts';
import { countUp, Numbering } from '../support/numbering.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, type RawClient } from '../support/raw-client.ts';
import { relayed } from '../support/relayed.ts';

const TOLD = { capabilities: { 'connection.blocked': true } };
/** Messages before the alarm, and with those that wait for the move. */
const BEFORE = 5;
const ALL = 8;

describe('A publisher with confirms that has to move in an alarm', () => {
  // with one more client, an upstream is full
  const to = relayed(['max_upstream_channels = 2', 'lease_timeout = 3'], true);
  let name: string;
  let publisher: Numbering;
  let blocked: RawClient;
  let from: Link;
  let there: Link;
  /** Its publishes, by the link over which they went. */
  let published: Map<Link, number>;

  /** It has published, its confirms are on their way; an alarm has begun, and another client's upstream is blocked. */
  beforeEach(async () => {
    name = queueName('moves');
    publisher = await Numbering.begin(to.proxy.port, name, 1, true);
    let confirmed = 0;
    to.relay.fromBroker = ({ name, payload }) => {
      if (name !== 'basic.ack') return 'pass';
      confirmed = Math.max(confirmed, Number(payload.readBigUInt64BE(4)));
      return 'hold';
    };
    await publisher.publish(name, BEFORE);
    await until('the broker to have confirmed them', () => confirmed === BEFORE);
    await to.client(queueName('beside'));
    const elsewhere = queueName('elsewhere');
    blocked = await to.client(elsewhere, TOLD);
    [from, there] = to.relay.links;
    published = new Map([
      [from, 0],
      [there, 0],
    ]);
    await to.broker.alarm(true);
    await blocked.ask(f.publish(1, elsewhere, 'waits'), 'connection.blocked');
    to.relay.fromProxy = (frame, link) => {
      if (frame.name === 'basic.publish') published.set(link, published.get(link)! + 1);
      return 'pass';
    };
    await publisher.publish(name, ALL);
    // who logs in now is served when all that came before has been looked at
    await to.login();
    expect([...published.values()], 'publishes before all is confirmed').to.deep.equal([0, 0]);
    expect(publisher.confirmed[1]).to.equal(0);
  });
  afterEach(async () => {
    publisher?.destroy();
    await to.broker.alarm(false);
  });

  it('gets each confirm once, those that were on their way and those of the other upstream, by its own numbers', async () => {
    to.relay.fromBroker = null;
    from.release();
    await until('the move', () => published.get(there) === ALL - BEFORE);
    expect(publisher.confirmed[1]).to.equal(BEFORE);
    await to.broker.alarm(false);
    await publisher.allConfirmed();
    await blocked.answered('connection.unblocked');
    await publisher.publish(name, 2 * ALL);
    await publisher.allConfirmed();
    // nothing more is on its way
    await publisher.ask(f.declare(1, `${name}-1`, f.DURABLE), 'queue.declare-ok');
    expect(publisher.confirmed[1]).to.equal(2 * ALL);
    expect(published.get(from)).to.equal(0);
    expect(await countUp(to.broker, `${name}-1`, name)).to.equal(2 * ALL);
  });

  for (const [how, lose] of Object.entries<(link: Link) => void>({
    'the network dies': link => link.cut(),
    'the broker closes the connection': link =>
      link.toProxy(f.connectionClose(320, 'CONNECTION_FORCED - maintenance')),
    'it is not confirmed in time': () => {},
  }))
    it(`is told 320 when ${how} before that`, async () => {
      lose(from);
      await until('the end', () => publisher.told !== null || publisher.ended, 30);
      expect(closeOf(publisher.told!).code).to.equal(320);
      expect(published.get(there), 'publishes that went elsewhere').to.equal(0);
      await to.broker.alarm(false);
      expect(await ready(to.broker.port, `${name}-1`)).to.equal(BEFORE);
    });

  it('may come to a loss after that: it goes on, for nothing is at stake', async () => {
    to.relay.fromBroker = null;
    from.release();
    await until('the move', () => published.get(there) === ALL - BEFORE);
    from.cut();
    await to.broker.alarm(false);
    await publisher.allConfirmed();
    expect(publisher.told).to.equal(null);
    expect(await countUp(to.broker, `${name}-1`, name)).to.equal(ALL);
  });
});
