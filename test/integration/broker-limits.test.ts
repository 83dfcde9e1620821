/**
 * Limits of the broker that count channels or connections of a user or vhost. It refuses by closing the whole connection;
 * through the proxy that is felt by the one who is over the limit, and what only lies in reserve never uses it up.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { Fixture, proxyOnly, queueName } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const MAX_CHANNELS = 8;

describe('A limit of the broker', () => {
  const to = new Fixture();
  const clients: RawClient[] = [];
  const timers: NodeJS.Timeout[] = [];
  let user: string;
  let queue: string;
  before(function () {
    proxyOnly(this);
  });
  afterEach(async () => {
    for (const timer of timers.splice(0)) clearInterval(timer);
    for (const client of clients.splice(0)) client.destroy();
    if (to.proxy !== undefined) await to.stop();
  });

  /** A user of its own with these limits. */
  const limited = async (limits: Record<string, number>): Promise<void> => {
    await to.start();
    user = queueName('limited');
    queue = queueName('limits');
    await to.broker.addUser(user, 'x', '/', 'one', 'two');
    await to.broker.ctl('set_user_limits', user, JSON.stringify(limits));
  };
  const login = async (vhost = '/', name = user): Promise<RawClient> => {
    const client = await RawClient.start(to.port, { user: name, secret: 'x', vhost });
    clients.push(client);
    return client;
  };
  const declare = (channel: number): Buffer => f.declare(channel, queue, f.AUTO_DELETE);
  /** The name of what comes next for a client on this channel or its connection; the words of a close. */
  const answer = async (client: RawClient, channel: number): Promise<string | undefined> => {
    const frame = await client.next(({ channel: its }) => its === channel || its === 0, 20);
    return frame?.name === 'connection.close' ? closeOf(frame).text : frame?.name;
  };
  /** Opens and uses the first of these channels; gives what the last was answered. */
  const use = async (client: RawClient, from: number, to: number): Promise<string | undefined> => {
    let last: string | undefined;
    for (let n = from; n <= to; n++) {
      await client.open(n);
      client.send(declare(n));
      last = await answer(client, n);
      if (n < to) expect(last, `channel ${n}`).to.equal('queue.declare-ok');
    }
    return last;
  };
  /** Never silent for long: all its channels stay leased. */
  const keepsBusy = (client: RawClient): void => {
    timers.push(setInterval(() => client.send(f.rawFrame(8, 0, Buffer.alloc(0))), 300));
  };
  const leave = async (client: RawClient): Promise<void> => {
    await client.ask(f.connectionClose(), 'connection.close-ok');
    client.destroy();
  };
  const OVER = /^NOT_ALLOWED - number of channels opened for user '.*' has reached the maximum .* \(8\)/;
  /** The proxy hears of the limit from one who is over it. */
  const learn = async (): Promise<void> => {
    const over = await login();
    keepsBusy(over);
    expect(await use(over, 1, MAX_CHANNELS + 1)).to.match(OVER);
    over.destroy();
  };

  it('on channels, once it is known, is told to the one who is over it, and nobody else notices', async () => {
    await limited({ 'max-channels': MAX_CHANNELS });
    await learn();
    const lost = await to.proxy.metric('upstreams_lost_total');
    for (let round = 0; round < 2; round++) {
      const neighbour = await login();
      const idle = await login();
      keepsBusy(neighbour);
      await neighbour.open(1);
      await neighbour.ask(f.confirmSelect(1), 'confirm.select-ok');
      await neighbour.ask(f.publish(1, 'nowhere', 'before'), 'basic.ack');
      const over = await login();
      keepsBusy(over);
      expect(await use(over, 1, MAX_CHANNELS)).to.match(OVER);
      await neighbour.ask(f.publish(1, 'nowhere', 'after'), 'basic.ack');
      over.destroy();
      expect(await use(idle, 1, 1)).to.equal('queue.declare-ok');
      for (const client of [neighbour, idle]) await leave(client);
    }
    expect(await to.proxy.metric('upstreams_lost_total')).to.equal(lost);
  });

  /** One client after a burst: what it does first, and the answer. */
  interface Late {
    vhost?: string;
    /** Somebody else has a lease on the upstream of the burst. */
    beside?: boolean;
    burst(channel: number): Buffer;
    ok: string;
    first: Buffer;
    answer: string;
  }
  const plain = { burst: declare, ok: 'queue.declare-ok' };
  const LATE: Record<string, Late> = {
    'who wants confirms': { ...plain, first: f.confirmSelect(1), answer: 'confirm.select-ok' },
    'who wants none, where the burst did': {
      burst: n => f.confirmSelect(n),
      ok: 'confirm.select-ok',
      first: f.declare(1, 'late', f.AUTO_DELETE),
      answer: 'queue.declare-ok',
    },
    'who needs a private upstream': { ...plain, beside: true, first: f.txSelect(1), answer: 'tx.select-ok' },
    'of another vhost': {
      ...plain,
      vhost: 'two',
      first: f.declare(1, 'late', f.AUTO_DELETE),
      answer: 'queue.declare-ok',
    },
  };
  for (const known of [false, true])
    for (const [who, late] of Object.entries(LATE)) {
      // else the first refusal is what the limit is learned from
      if (!known && late.first !== LATE['who wants confirms'].first) continue;
      it(`on channels that ${known ? 'is known and that ' : ''}a burst has used up does not keep out a single client ${who}`, async () => {
        await limited({ 'max-channels': MAX_CHANNELS });
        if (known) await learn();
        const burst = await login();
        keepsBusy(burst);
        for (let n = 1; n <= MAX_CHANNELS; n++) {
          await burst.open(n);
          await burst.ask(late.burst(n), late.ok);
        }
        await leave(burst);
        if (late.beside) {
          const neighbour = await login();
          keepsBusy(neighbour);
          await use(neighbour, 1, 1);
        }
        const single = await login(late.vhost);
        await single.open(1);
        single.send(late.first);
        expect(await answer(single, 1)).to.equal(late.answer);
        single.send(f.publish(1, 'nowhere', 'x'), f.channelFlow(1, true));
        await single.answered('channel.flow-ok');
      });
    }

  /** Leaves two upstreams behind that nobody uses. */
  const leavesTwo = async (): Promise<void> => {
    const two = [await login('one'), await login('one')];
    for (const client of two) {
      await client.open(1);
      await client.ask(f.txSelect(1), 'tx.select-ok');
    }
    for (const client of two) await leave(client);
    await until('idle upstreams', async () => (await to.proxy.metric('upstream_connections_shared')) === 2);
  };

  it('on connections of a user is not used up by idle ones to another vhost', async () => {
    await limited({ 'max-connections': 2 });
    await leavesTwo();
    expect(await use(await login('two'), 1, 1)).to.equal('queue.declare-ok');
  });

  it('on connections to a vhost is not used up by idle ones of another user', async () => {
    await limited({});
    const vhost = queueName('small');
    const other = `${user}-other`;
    await to.broker.ctl('add_vhost', vhost);
    await to.broker.ctl('set_vhost_limits', '-p', vhost, '{"max-connections": 1}');
    await to.broker.ctl('set_permissions', '-p', vhost, user, '.*', '.*', '.*');
    await to.broker.addUser(other, 'x', vhost);
    for (const name of [user, other, user]) {
      const client = await login(vhost, name);
      expect(await use(client, 1, 1)).to.equal('queue.declare-ok');
      await leave(client);
    }
  });

  it('on connections is told to those who are over it, and the broker is not asked for each of them', async () => {
    await limited({ 'max-connections': 2 });
    const neighbour = await login();
    keepsBusy(neighbour);
    await use(neighbour, 1, 1);
    const holder = await login();
    await holder.open(1);
    await holder.ask(f.txSelect(1), 'tx.select-ok');
    const known = to.broker.log.length;
    for (let n = 0; n < 20; n++) {
      const over = await login();
      await over.open(1);
      over.send(f.txSelect(1));
      expect(await answer(over, 1)).to.match(/^NOT_ALLOWED - .*user connection limit \(2\) is reached/);
      over.destroy();
    }
    expect(await use(neighbour, 2, 2)).to.equal('queue.declare-ok');
    await to.broker.ctl('status'); // by now its log is written
    const asked = to.broker.log.slice(known).match(/connection limit \(2\) is reached/g) ?? [];
    expect(asked.length).to.be.at.most(2);
    await leave(holder);
    const next = await login();
    await next.open(1);
    next.send(f.txSelect(1));
    expect(await answer(next, 1)).to.equal('tx.select-ok');
  });
});
