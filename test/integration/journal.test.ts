/** What the log says of those who are turned away or lost: who, where, and why; and not over and over. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { peopledBroker, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';
import { Relay } from '../support/relay.ts';

describe('The journal', () => {
  let proxy: AmqProxy;
  let relay: Relay;
  const clients: RawClient[] = [];
  before(function () {
    proxyOnly(this);
  });
  const start = async (...settings: string[]): Promise<void> => {
    relay = await Relay.start((await peopledBroker()).port);
    // not at debug, where nothing is counted together
    const file = settingsFile('stats_period = 0', ...settings);
    proxy = AmqProxy.spawn(['-l', '127.0.0.1', '-p', '0', '-b', '0', '-c', file, relay.url]);
    const listens = /Proxy listening on 127\.0\.0\.1:(\d+)/;
    proxy.port = Number((await until('it to listen', () => listens.exec(proxy.log)))[1]);
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy?.stop();
    await relay?.end();
  });
  const alice = { user: 'alice', secret: 'wonder', vhost: 'one' };
  const bob = { user: 'bob', secret: 'builder', vhost: 'two' };
  /** The lines of the log that are not about upstreams and listeners. */
  const lines = (what: RegExp): string[] => proxy.log.split('\n').filter(line => what.test(line));
  const who = ({ user, vhost }: typeof alice): RegExp =>
    new RegExp(`id=c\\d+ user=${user} vhost=${vhost} client=127\\.0\\.0\\.1:\\d+`);

  it('warns of a client that max_clients turns away, and counts those who follow', async () => {
    await start('max_clients = 1');
    clients.push(await RawClient.start(proxy.port, alice));
    for (let i = 0; i < 30; i++) {
      const client = await RawClient.connect(proxy.port);
      clients.push(client);
      await client.login(bob);
    }
    const said = await until(
      'the sum',
      () => {
        const found = lines(/^WARN .*max_clients/);
        return /more of these/.test(found.at(-1) ?? '') ? found : null;
      },
      30,
    );
    expect(said[0])
      .to.match(/^WARN /)
      .and.match(who(bob));
    expect(said).to.have.length(11);
    expect(said[10]).to.match(/^WARN .*20 more of these in 10 s/);
  });

  it('names who is refused by the broker, and why, at info', async () => {
    await start();
    const client = await RawClient.connect(proxy.port);
    clients.push(client);
    await client.login({ ...bob, secret: 'wrong' });
    const [line] = await until('the line', () => (lines(/refused/).length > 0 ? lines(/refused/) : null));
    expect(line)
      .to.match(/^INFO Login refused: .*ACCESS_REFUSED/)
      .and.match(/user=bob/)
      .and.not.include('wrong');
  });

  it('names who is lost with an upstream, and why', async () => {
    await start();
    const client = await RawClient.start(proxy.port, alice);
    clients.push(client);
    await client.open(1);
    const queue = queueName();
    await client.ask(f.declare(1, queue), 'queue.declare-ok');
    await client.ask(f.consume(1, queue), 'basic.consume-ok');
    relay.cut();
    await client.next('connection.close');
    const said = await until('the lines', () => (lines(/lost/).length > 1 ? lines(/lost/) : null));
    expect(said.some(line => /^WARN Upstream lost: .*user=alice vhost=one/.test(line))).to.equal(true);
    expect(
      said.some(line => who(alice).test(line)),
      said.join('\n'),
    ).to.equal(true);
  });
});
