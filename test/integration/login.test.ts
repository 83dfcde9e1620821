/** Who is let in, and what those hear who are not: what the broker itself says. */
import { expect } from 'chai';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sharedBroker } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

describe('Login', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy;

  before(async () => {
    broker = await sharedBroker();
    proxy = await AmqProxy.start(broker.url);
    await broker.addUser('nobody', 'here');
  });
  after(() => proxy.stop());

  /** The refusal a login gets at a port, as the client sees it. */
  const refusal = async (port: number, options: Parameters<RawClient['login']>[0]) => {
    const client = await RawClient.connect(port);
    const answer = await client.login(options);
    client.destroy();
    return answer === null
      ? null
      : { name: answer.name, ...(answer.name === 'connection.close' ? closeOf(answer) : {}) };
  };

  for (const [what, options] of Object.entries({
    'a wrong password': { secret: 'wrong' },
    'an unknown user': { user: 'stranger', secret: 'x' },
    'an unknown vhost': { vhost: 'nowhere' },
    'a vhost the user may not enter': { user: 'nobody', secret: 'here' },
    'an empty password': { secret: '' },
    'a client that cannot be told': {
      secret: 'wrong',
      capabilities: { authentication_failure_close: false },
    },
  }))
    it(`${what} is refused with the broker's words, the first time and later`, async () => {
      const direct = await refusal(broker.port, options);
      for (let round = 0; round < 3; round++)
        expect(await refusal(proxy.port, options)).to.deep.equal(direct);
      // also while a good login is pooled
      const good = await RawClient.start(proxy.port);
      expect(await refusal(proxy.port, options)).to.deep.equal(direct);
      good.destroy();
      expect(await refusal(proxy.port, options)).to.deep.equal(direct);
    });

  it('a wrong password is never accepted because a good login is pooled', async () => {
    const good = await RawClient.start(proxy.port);
    for (const secret of ['Guest', 'guest ', 'gues', 'guest\0', ''])
      expect((await refusal(proxy.port, { secret }))?.name, JSON.stringify(secret)).not.to.equal(
        'connection.open-ok',
      );
    good.destroy();
  });

  it('concurrent first logins share one attempt', async () => {
    const fresh = await AmqProxy.start(broker.url);
    const clients = await Promise.all(Array.from({ length: 30 }, () => RawClient.start(fresh.port)));
    expect(fresh.log.match(/Upstream opened/g)).to.have.length(1);
    for (const client of clients) client.destroy();
    await fresh.stop();
  });

  it('a broker that is down gives a clear AMQP error within connect_timeout', async () => {
    const down = await AmqProxy.start(`amqp://127.0.0.1:${await freePort()}`);
    const client = await RawClient.connect(down.port);
    const answer = await client.login();
    const why = closeOf(answer!);
    expect(why.code).to.equal(320);
    expect(why.text).to.match(
      /^CONNECTION_FORCED - no broker can be reached: 127\.0\.0\.1:\d+: connection refused, nothing listens there/,
    );
    client.destroy();
    await down.stop();
  });

  it('shows the broker’s own server-properties and tune, to the first client too', async () => {
    const fresh = await AmqProxy.start(broker.url);
    const see = async (port: number): Promise<[string, string]> => {
      const client = await RawClient.connect(port);
      client.send(Buffer.from('AMQP\0\0\x09\x01', 'latin1'));
      const start = await client.next('connection.start');
      client.destroy();
      const length = start!.payload.readUInt32BE(6);
      return [start!.payload.subarray(0, 10 + length).toString('hex'), ''];
    };
    const direct = await see(broker.port);
    expect(await see(fresh.port)).to.deep.equal(direct);
    expect(await see(fresh.port)).to.deep.equal(direct);
    await fresh.stop();
  });

  it('another protocol version is answered with the supported one, and the connection ends', async () => {
    const client = await RawClient.connect(proxy.port);
    client.send(Buffer.from('AMQP\x01\x01\x00\x0a', 'latin1'));
    const answer = await client.next('protocol-header');
    expect(answer!.payload.toString('hex')).to.equal(
      Buffer.from('AMQP\0\0\x09\x01', 'latin1').toString('hex'),
    );
    await client.closed();
  });

  it('no secret is ever logged', async () => {
    await refusal(proxy.port, { secret: 'top-secret-word' });
    expect(proxy.log).not.to.include('top-secret-word');
    expect(proxy.log).not.to.match(/secret=|password=/);
  });
});
