/** Secrets that do not last: tokens with an expiry, passwords that were used once. */
import { expect } from 'chai';
import { peopledBroker, proxyOnly } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const YEAR = 365 * 24 * 3600;
/** A JSON Web Token that expires so many seconds from now. */
const token = (seconds: number): string =>
  `${part({ alg: 'HS256' })}.${part({ exp: Math.floor(Date.now() / 1000) + seconds })}.c2lnbmVk`;

describe('A secret', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy;
  const clients: RawClient[] = [];

  before(async function () {
    proxyOnly(this);
    broker = await peopledBroker();
    proxy = await AmqProxy.withMetrics(broker.url);
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  after(() => proxy?.stop());

  /** What a login ends with; the client stays to the end of the test. */
  const login = async (user: string, secret: string): Promise<string> => {
    const client = await RawClient.connect(proxy.port);
    clients.push(client);
    const answer = await client.login({ user, secret });
    return answer?.name === 'connection.close' ? String(closeOf(answer).code) : String(answer?.name);
  };

  it('that is a token proves nothing once it has expired, however many upstreams it has opened', async () => {
    const expired = token(-60);
    await broker.addUser('late', expired, '/');
    expect(await login('late', expired)).to.equal('connection.open-ok'); // the broker alone judges that
    await broker.ctl('change_password', 'late', 'other');
    expect(await login('late', expired)).to.equal('403');
  });

  it('that is a token is good for the logins of its pool until then', async () => {
    const good = token(YEAR);
    await broker.addUser('early', good, '/');
    expect(await login('early', good)).to.equal('connection.open-ok');
    await broker.ctl('change_password', 'early', 'other');
    expect(await login('early', good)).to.equal('connection.open-ok');
  });

  it('that was used once, after which another came, keeps no upstream for long', async () => {
    await broker.addUser('signed', 'first', '/');
    const before = await proxy.metric('upstream_connections');
    expect(await login('signed', 'first')).to.equal('connection.open-ok');
    clients.pop()!.destroy();
    await broker.ctl('change_password', 'signed', 'second');
    expect(await login('signed', 'second')).to.equal('connection.open-ok');
    expect(await proxy.metric('upstream_connections')).to.equal(before + 2);
    await until(
      'the first upstream to be closed',
      async () => (await proxy.metric('upstream_connections')) === before + 1,
      30,
    );
    expect(await login('signed', 'second')).to.equal('connection.open-ok');
    expect(await proxy.metric('upstream_connections')).to.equal(before + 1);
  });
});
