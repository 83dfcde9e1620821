/**
 * Logins longer than 4096 bytes (tokens of an identity provider): the proxy takes them and hands them on, and it is the
 * broker that judges. RabbitMQ before 4.0.8 takes none of them; here the network makes of each the login of guest, on its
 * way to a real broker.
 */
import { expect } from 'chai';
import { PROTOCOL_HEADER as HEADER } from '../../src/amqp/frame.ts';
import { encodeTable, type Table } from '../../src/amqp/table.ts';
import * as f from '../differential/frames.ts';
import { proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import type { Frame } from '../support/frame.ts';
import { FrameRelay } from '../support/frame-relay.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const KIB = 1024;
const CAPABILITIES: Table = { authentication_failure_close: true };

const startOk = (mechanism: string, response: Buffer, properties: Table = {}): Buffer =>
  f.method(
    0,
    10,
    11,
    f
      .w()
      .bytes(encodeTable({ ...properties, capabilities: CAPABILITIES }))
      .shortstr(mechanism)
      .longstr(response)
      .shortstr('en_US')
      .take(),
  );
const plain = (secret: string): Buffer => Buffer.from(`\0guest\0${secret}`);

describe('A login that is longer than 4096 bytes', () => {
  let relay: FrameRelay;
  let proxy: AmqProxy;
  let client: RawClient;
  /** The responses that came to the broker, as [mechanism, response]. */
  let seen: [string, string][];

  before(function () {
    proxyOnly(this);
  });
  beforeEach(async () => {
    seen = [];
    relay = await FrameRelay.start((await sharedBroker()).port);
    relay.fromProxy = (frame: Frame) => {
      if (frame.name !== 'connection.start-ok') return 'pass';
      const [, mechanism, response] = frame.args as string[];
      seen.push([mechanism, response]);
      return startOk('PLAIN', plain('guest'));
    };
    proxy = await AmqProxy.start(relay.url);
    client = await RawClient.connect(proxy.port);
    await client.ask(HEADER, 'connection.start');
  });
  afterEach(async () => {
    client?.destroy();
    await proxy?.stop();
    await relay?.end();
  });

  /** Goes on after start-ok, and does something. */
  const works = async (): Promise<void> => {
    const answer = await client.next(() => true);
    expect(answer?.name).to.equal('connection.tune');
    client.tuneOk(100, 131072, 0);
    client.openVhost('/');
    await client.answered('connection.open-ok');
    await client.open(1);
    const queue = queueName('long');
    await client.ask(f.declare(1, queue), 'queue.declare-ok');
    await client.ask(f.remove(1, queue), 'queue.delete-ok');
  };

  for (const size of [5, 8, 20, 60])
    it(`by a secret of ${size} KiB is handed on as it is`, async () => {
      const secret = 'jwt.'.repeat((size * KIB) / 4);
      client.send(startOk('PLAIN', plain(secret)));
      await works();
      expect(seen).to.deep.equal([['PLAIN', `\0guest\0${secret}`]]);
    });

  it('in pieces is handed on as it is', async () => {
    const secret = 'jwt.'.repeat(5 * KIB);
    const bytes = startOk('PLAIN', plain(secret));
    for (let at = 0; at < bytes.length; at += 1000) {
      client.send(bytes.subarray(at, at + 1000));
      await new Promise(resolve => setImmediate(resolve));
    }
    await works();
    expect(seen).to.deep.equal([['PLAIN', `\0guest\0${secret}`]]);
  });

  it('by AMQPLAIN is handed on', async () => {
    const secret = 'jwt.'.repeat(5 * KIB);
    client.send(startOk('AMQPLAIN', encodeTable({ LOGIN: 'guest', PASSWORD: secret }).subarray(4)));
    await works();
    expect(seen[0][1]).to.include(secret);
  });

  it('by what the client tells of itself is let in', async () => {
    const properties = { product: 'test', information: 'x'.repeat(20 * KIB) };
    client.send(startOk('PLAIN', plain('guest'), properties));
    await works();
  });

  it('and is refused by the broker ends as the broker ends it', async () => {
    const { port } = await sharedBroker();
    const end = async (to: number): Promise<string | undefined> => {
      const one = await RawClient.connect(to);
      await one.ask(HEADER, 'connection.start');
      one.send(startOk('PLAIN', plain('x'.repeat(20 * KIB))));
      const said = (await one.next(() => true))?.name;
      one.destroy();
      return said;
    };
    relay.fromProxy = frame => {
      if (frame.name === 'connection.start-ok') seen.push(['', '']);
      return 'pass';
    };
    expect(await end(proxy.port)).to.equal(await end(port));
    expect(seen, 'what the broker was asked').to.have.length(1);
  });

  it('and wrong is not let in by the login of another with the same beginning', async () => {
    const secret = 'jwt.'.repeat(5 * KIB);
    client.send(startOk('PLAIN', plain(secret)));
    await works();
    relay.fromProxy = null; // the broker sees it as it is, and will not have it
    const other = await RawClient.connect(proxy.port);
    await other.ask(HEADER, 'connection.start');
    other.send(startOk('PLAIN', plain(`${secret}x`)));
    expect((await other.next(() => true))?.name).to.equal(undefined);
    other.destroy();
  });
});

describe('A login without end', () => {
  let proxy: AmqProxy;
  before(async function () {
    proxyOnly(this);
    proxy = await AmqProxy.start((await sharedBroker()).url, ['-c', settingsFile('handshake_timeout = 1')]);
  });
  after(() => proxy?.stop());

  for (const [what, size, sent] of [
    ['that announces more than 64 KiB is cut off', 1024 * KIB, 1024 * KIB],
    ['that announces less, and does not come to its end, is cut off after handshake_timeout', 60 * KIB, KIB],
  ] as const)
    it(what, async () => {
      const client = await RawClient.connect(proxy.port);
      await client.ask(HEADER, 'connection.start');
      client.send(startOk('PLAIN', plain('x'.repeat(size))).subarray(0, sent));
      await client.closed();
      client.destroy();
    });
});
