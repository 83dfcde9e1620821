/** Brokers that are down, hang, or move: what clients, the journal and monitoring hear of it. */
import { expect } from 'chai';
import { connectionClose } from '../../src/amqp/frame.ts';
import * as f from '../differential/frames.ts';
import { FaultyBroker } from '../support/faulty-broker.ts';
import { peopledBroker, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { FrameRelay, type Link } from '../support/frame-relay.ts';
import { names } from '../support/names.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

/** Lines of the proxy's log with these words. */
const lines = (proxy: AmqProxy, words: RegExp): string[] =>
  proxy.log.split('\n').filter(line => words.test(line));

/** Seconds a login may take that passes over a broker: far less than the proxy's time-outs, more than a busy machine needs. */
const SOON = 8;

describe('Brokers', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy | null = null;
  const ends: (() => unknown)[] = [];

  before(async function () {
    proxyOnly(this);
    broker = await peopledBroker();
  });
  afterEach(async () => {
    await proxy?.stop();
    proxy = null;
    for (const end of ends.splice(0).reverse()) await end();
  });

  const started = async <T extends { end(): unknown }>(starting: Promise<T>): Promise<T> => {
    const one = await starting;
    ends.push(() => one.end());
    return one;
  };
  const start = async (
    upstream: string,
    settings: string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Promise<AmqProxy> => {
    proxy = await AmqProxy.withMetrics(
      null,
      ['-c', settingsFile(`upstream = ${upstream}`, ...settings)],
      env,
    );
    return proxy;
  };
  /** Logs in, and hangs up; what the client was told. */
  const login = async (port: number, user = 'guest', secret = 'guest'): Promise<string> => {
    const client = await RawClient.connect(port);
    try {
      client.send(Buffer.from('AMQP\0\0\x09\x01'));
      await client.next('connection.start', SOON);
      client.startOk(undefined, 'PLAIN', Buffer.from(`\0${user}\0${secret}`));
      const answer = await client.next(f => /^connection\.(tune|close)$/.test(f.name), SOON);
      if (answer?.name !== 'connection.tune') return answer === null ? 'the end' : closeOf(answer).text;
      client.tuneOk(2047, 131072, 0);
      client.openVhost('/');
      const opened = await client.next(f => /^connection\.(open-ok|close)$/.test(f.name), SOON);
      return opened === null
        ? 'the end'
        : opened.name === 'connection.close'
          ? closeOf(opened).text
          : 'welcome';
    } finally {
      client.destroy();
    }
  };

  describe('one that is down', () => {
    it('is dialed now and then however many clients ask; they hear at once what is known, the log says it once', async () => {
      const faulty = await FaultyBroker.start('closes');
      const { port } = faulty;
      const { port: at } = (proxy = await start(faulty.url));
      const told: string[] = [];
      const until2s = Date.now() + 2000;
      const loop = async (): Promise<void> => {
        while (Date.now() < until2s) told.push(await login(at));
      };
      await Promise.all(Array.from({ length: 5 }, loop));
      expect(told.length).to.be.above(100);
      const known = new RegExp(
        `^CONNECTION_FORCED - no broker can be reached: 127\\.0\\.0\\.1:${port}: .+ \\(\\d+\\.\\d s ago\\)$`,
      );
      expect(told.filter(text => !known.test(text))).to.deep.equal([]);
      expect(faulty.dials).to.be.below(20);
      expect(lines(proxy, /INFO|WARN/).filter(line => /reached|is down/.test(line))).to.have.length(1);
      await faulty.end();
      await started(Relay.start(broker.port, port));
      await until('the broker to be seen', () => proxy!.ready());
      const [up, ...more] = lines(proxy, /is up again/);
      expect(more).to.deep.equal([]);
      expect(up).to.match(
        /WARN Broker 127\.0\.0\.1:\d+ is up again after \d+\.\d s and \d+ failed attempts, /,
      );
      expect(up).to.include(`${told.length.toLocaleString('en')} logins refused`);
      expect(await login(at)).to.equal('welcome');
    });

    it('makes /readyz say so, and its metrics, with no client that waits', async () => {
      const port = await freePort();
      proxy = await start(`amqp://127.0.0.1:${port}`);
      await until('/readyz to be 503', async () => !(await proxy!.ready()));
      const label = `upstream="127.0.0.1:${port}"`;
      expect(await proxy.metric(`broker_up{${label}}`)).to.equal(0);
      expect(await proxy.metric(`broker_dials_total{${label},result="failed"}`)).to.be.above(0);
      const relay = await started(Relay.start(broker.port, port));
      await until('/readyz to be 200', () => proxy!.ready());
      expect(await login(proxy.port)).to.equal('welcome');
      expect(await proxy.metric(`broker_up{${label}}`)).to.equal(1);
      expect(await proxy.metric(`broker_dials_total{${label},result="ok"}`)).to.be.above(0);
      await relay.end();
      ends.pop();
      await until('/readyz to be 503 again', async () => !(await proxy!.ready()));
      expect(lines(proxy, /WARN Broker .* is down/)).to.have.length(2);
    });
  });

  describe('of several', () => {
    it('one that greets and then hangs at login is passed over, marked and named', async () => {
      const hanging = await started(FrameRelay.start(broker.port));
      hanging.fromBroker = ({ name }) => (name === 'connection.tune' ? 'drop' : 'pass');
      proxy = await start(`${hanging.url}, ${broker.url}`, ['handshake_timeout = 600']);
      for (const [user, secret] of [
        ['alice', 'wonder'],
        ['bob', 'builder'],
        ['guest', 'guest'],
      ])
        expect(await login(proxy.port, user, secret)).to.equal('welcome');
      const name = `127.0.0.1:${hanging.port}`;
      const said = lines(proxy, new RegExp(`WARN Broker ${name} is down: a login was not answered`));
      expect(said).to.have.length(1);
      expect(await proxy.metric(`broker_up{upstream="${name}"}`)).to.equal(0);
      expect(await proxy.ready()).to.equal(true);
      hanging.release();
      await until('it to be used again', async () => {
        await login(proxy!.port, 'alice', 'wrong'); // each makes a login upstream
        return (await proxy!.metric(`broker_up{upstream="${name}"}`)) === 1;
      });
    });

    it('one that hangs at connection.open is passed over, too', async () => {
      const hanging = await started(FrameRelay.start(broker.port));
      hanging.fromBroker = ({ name }) => (name === 'connection.open-ok' ? 'drop' : 'pass');
      proxy = await start(`${hanging.url}, ${broker.url}`, ['handshake_timeout = 600']);
      for (const [user, secret] of [
        ['alice', 'wonder'],
        ['bob', 'builder'],
      ])
        expect(await login(proxy.port, user, secret)).to.equal('welcome');
      expect(lines(proxy, new RegExp(`WARN Broker 127.0.0.1:${hanging.port} is down`))).to.have.length(1);
    });

    it('one that accepts connections and says nothing delays no login for long', async () => {
      const silent = await started(FaultyBroker.start('silent'));
      proxy = await start(`${silent.url}, ${broker.url}`, ['connect_timeout = 60']);
      for (const [user, secret] of [
        ['alice', 'wonder'],
        ['bob', 'builder'],
      ])
        expect(await login(proxy.port, user, secret)).to.equal('welcome');
    });

    it('one that ends a connection and lets nobody in, as before its maintenance, gets no new leases on those that are left', async () => {
      const relays = await Promise.all([1, 2].map(() => started(FrameRelay.start(broker.port))));
      const people: Record<string, string> = { guest: 'guest', alice: 'wonder', bob: 'builder' };
      const places: { user: string; relay: FrameRelay; link: Link }[] = [];
      for (const relay of relays)
        relay.fromProxy = (frame, link) => {
          const user = Object.keys(people).find(user => frame.payload.includes(`\0${user}\0`));
          if (frame.name === 'connection.start-ok' && user !== undefined) places.push({ user, relay, link });
          return 'pass';
        };
      proxy = await start(relays.map(({ url }) => url).join());
      for (const [user, secret] of Object.entries(people)) await login(proxy.port, user, secret);
      // in turn: two of the three are at the same broker
      const [first, second] = places.filter(
        ({ relay }) => places.filter(other => other.relay === relay).length === 2,
      );
      const leaving = first.relay;
      leaving.refuse();
      leaving.fromProxy = (_frame, link) => (link === second.link ? 'drop' : 'pass');
      const why = { code: 320, text: 'CONNECTION_FORCED - Node was put into maintenance mode' };
      first.link.toProxy(connectionClose({ ...why, classId: 0, methodId: 0 }));
      const label = `upstream="127.0.0.1:${leaving.port}"`;
      await until('it to be seen', async () => (await proxy!.metric(`broker_up{${label}}`)) === 0);
      const client = await RawClient.start(proxy.port, { user: second.user, secret: people[second.user] });
      ends.push(() => client.destroy());
      await client.open(1);
      client.send(f.publish(1, queueName('maintenance'), 'one'));
      await client.ask(f.channelClose(1), 'channel.close-ok', SOON);
    });

    it('one that is lost: channels that were opened meanwhile are lent once, as RabbitMQ may take nothing on them any more', async () => {
      const relays = await Promise.all([1, 2].map(() => started(FrameRelay.start(broker.port))));
      let lost = relays[0];
      for (const relay of relays)
        relay.fromProxy = ({ name }) => {
          if (name === 'basic.publish') lost = relay;
          return 'pass';
        };
      proxy = await start(relays.map(({ url }) => url).join());
      const visit = async (): Promise<void> => {
        const client = await RawClient.start(proxy!.port);
        await client.open(1);
        client.send(f.publish(1, queueName('lost'), 'one'));
        await client.ask(f.channelClose(1), 'channel.close-ok', SOON);
        client.destroy();
      };
      await visit();
      const [left] = relays.filter(relay => relay !== lost);
      lost.refuse();
      lost.cut();
      await until('the loss to be seen', async () => (await proxy!.metric('upstreams_lost_total')) > 0);
      let opened = 0;
      left.fromProxy = ({ name }) => {
        if (name === 'channel.open') opened++;
        return 'pass';
      };
      for (let n = 0; n < 3; n++) await visit();
      expect(opened).to.be.at.least(3);
    });

    it('one that is down is named, although another works', async () => {
      const port = await freePort();
      proxy = await start(`amqp://127.0.0.1:${port}, ${broker.url}`);
      await until('the warning', () => lines(proxy!, /WARN Broker/).length > 0);
      expect(lines(proxy, /WARN Broker/)[0]).to.match(
        new RegExp(`Broker 127\\.0\\.0\\.1:${port} is down: connection refused`),
      );
      expect(await proxy.ready()).to.equal(true);
      expect(await login(proxy.port)).to.equal('welcome');
    });
  });

  it('the only one, hanging at login: clients hear why after handshake_timeout, and then at once', async () => {
    const hanging = await started(FrameRelay.start(broker.port));
    hanging.fromBroker = ({ name }) => (name === 'connection.tune' ? 'drop' : 'pass');
    proxy = await start(hanging.url, ['handshake_timeout = 0.5']);
    const text = `127.0.0.1:${hanging.port}: a login was not answered within handshake_timeout (0.5 s)`;
    expect(await login(proxy.port)).to.equal(`CONNECTION_FORCED - no broker can be reached: ${text}`);
    expect(await proxy.metric(`broker_up{upstream="127.0.0.1:${hanging.port}"}`)).to.equal(0);
    hanging.release();
    await until('it to be used again', async () => (await login(proxy!.port)) === 'welcome');
    expect(await proxy.ready()).to.equal(true);
  });

  describe('a name with several addresses', () => {
    it('is tried at each of them, and texts name the address', async () => {
      const { env } = names({ 'broker.test': ['127.0.0.2', '127.0.0.1'] });
      const relay = await started(Relay.start(broker.port));
      await started(FaultyBroker.start('closes', relay.port, '127.0.0.2'));
      proxy = await start(`amqp://broker.test:${relay.port}`, [], env);
      for (const [user, secret] of [
        ['alice', 'wonder'],
        ['bob', 'builder'],
      ])
        expect(await login(proxy.port, user, secret)).to.equal('welcome');
      await until('the warning', () => lines(proxy!, /WARN Broker/).length > 0);
      expect(lines(proxy, /WARN Broker/)[0]).to.include(
        `Broker broker.test[127.0.0.2]:${relay.port} is down`,
      );
    });

    it('a name that is not known is said in words, and found once it is', async () => {
      const given = names({ 'broker.test': ['127.0.0.1'] });
      given.write({});
      const { port } = broker;
      proxy = await start(`amqp://broker.invalid:${port}`, ['connect_timeout = 10'], given.env);
      expect(await login(proxy.port)).to.match(
        new RegExp(
          `no broker can be reached: broker\\.invalid:${port}: this name (is not known|cannot be looked up)`,
        ),
      );
      given.write({ 'broker.invalid': ['127.0.0.1'] });
      await until('it to be found', async () => (await login(proxy!.port)) === 'welcome');
    });

    it('that is repointed: upstreams leave the old address, new ones go to the new one', async () => {
      const given = names({ 'broker.test': ['127.0.0.1'] });
      const old = await started(Relay.start(broker.port));
      const moved = await started(Relay.start(broker.port, old.port, '127.0.0.2'));
      proxy = await start(`amqp://broker.test:${old.port}`, ['dns_period = 0.2'], given.env);
      expect(await login(proxy.port)).to.equal('welcome');
      expect(old.connections).to.be.above(0);
      given.write({ 'broker.test': ['127.0.0.2'] });
      await until('the old address to be left', () => old.connections === 0);
      expect(await login(proxy.port)).to.equal('welcome');
      expect(moved.connections).to.be.above(0);
    });

    it('that is repointed: a reload looks it up at once', async () => {
      const given = names({ 'broker.test': ['127.0.0.1'] });
      const old = await started(Relay.start(broker.port));
      await started(Relay.start(broker.port, old.port, '127.0.0.2'));
      proxy = await start(`amqp://broker.test:${old.port}`, ['dns_period = 0'], given.env);
      expect(await login(proxy.port)).to.equal('welcome');
      given.write({ 'broker.test': ['127.0.0.2'] });
      proxy.signal('SIGHUP');
      await until('the old address to be left', () => old.connections === 0);
    });
  });
});
