/**
 * Users that a broker trusts from its own host only: a proxy beside it does not lend this trust to other hosts. A client of
 * another host is one that comes from an address of this machine which is not loopback.
 */
import { networkInterfaces } from 'node:os';
import { expect } from 'chai';
import { encodeTable } from '../../src/amqp/table.ts';
import { Fixture, proxyOnly, settingsFile, writeSettings } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, type LoginOptions, RawClient } from '../support/raw-client.ts';

const remote = Object.values(networkInterfaces())
  .flatMap(addresses => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

const GUEST = { user: 'guest', secret: 'guest' };
const ALICE = { user: 'alice', secret: 'wonder' };
const BOB = { user: 'bob', secret: 'builder' };
const IN = 'connection.open-ok';

describe('From another host', () => {
  const to = new Fixture();
  let file: string;
  before(function () {
    proxyOnly(this);
    if (remote === undefined) this.skip();
  });
  const start = async (...settings: string[]): Promise<void> => {
    file = settingsFile(...settings);
    await to.start(['-l', '0.0.0.0', '-c', file]);
  };
  afterEach(async () => {
    if (to.proxy?.running) await to.stop();
  });

  /** What a login from `host` comes to: its name, or the words of the refusal. */
  const login = async (
    options: LoginOptions,
    host: string | undefined = remote,
  ): Promise<string | undefined> => {
    const client = await RawClient.connect(to.port, host === undefined ? {} : { host });
    const answer = await client.login(options);
    client.destroy();
    return answer?.name === 'connection.close' ? closeOf(answer).text : answer?.name;
  };
  const refusal = (user: string): RegExp =>
    new RegExp(`^ACCESS_REFUSED - user '${user}' can only connect via localhost`);

  it('guest is refused, others come in, and all from this host', async () => {
    await start();
    expect(await login(GUEST)).to.match(refusal('guest'));
    for (const options of [ALICE, BOB]) expect(await login(options)).to.equal(IN);
    for (const options of [GUEST, ALICE, BOB]) expect(await login(options, '127.0.0.1')).to.equal(IN);
  });

  it('the loopback_users of the settings are refused, others come in, and all from this host', async () => {
    await start('loopback_users = guest, alice');
    for (let round = 0; round < 2; round++) {
      for (const options of [GUEST, ALICE]) expect(await login(options)).to.match(refusal(options.user));
      expect(await login(BOB)).to.equal(IN);
      // the second time they have upstreams to ride on
      for (const options of [GUEST, ALICE, BOB]) expect(await login(options, '127.0.0.1')).to.equal(IN);
    }
    const response = encodeTable({ LOGIN: 'alice', PASSWORD: 'wonder' }).subarray(4);
    expect(await login({ mechanism: 'AMQPLAIN', response })).to.match(refusal('alice'));
  });

  it('guest comes in where loopback_users does not name it', async () => {
    await start('loopback_users = alice');
    expect(await login(GUEST)).to.equal(IN);
    expect(await login(ALICE)).to.match(refusal('alice'));
  });

  it('allow_remote_guest lets guest in, and no other of loopback_users', async () => {
    await start('loopback_users = guest, alice', 'allow_remote_guest = yes');
    expect(await login(GUEST)).to.equal(IN);
    expect(await login(ALICE)).to.match(refusal('alice'));
  });

  it('with an empty list everybody comes in', async () => {
    await start('loopback_users =');
    for (const options of [GUEST, ALICE, BOB]) expect(await login(options)).to.equal(IN);
  });

  it('loopback_users takes effect at a reload', async () => {
    await start('loopback_users = guest');
    expect(await login(BOB)).to.equal(IN);
    writeSettings(file, 'loopback_users = guest, bob');
    to.proxy.signal('SIGHUP');
    await until('the reload', () => to.proxy.log.includes('Reloaded'));
    expect(await login(BOB)).to.match(refusal('bob'));
  });

  it('who is refused is counted, and said in the log', async () => {
    await start('loopback_users = alice');
    await login(ALICE);
    expect(await to.proxy.metric('logins_refused_total')).to.equal(1);
    expect(to.proxy.log).to.match(/Login refused: .*user 'alice' can only connect via localhost.*user=alice/);
  });
});
