/** Messages one after the other that differ in their bodies only are checked once; nobody can tell. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { randomizer } from '../support/acts.ts';
import { fixture, settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { bodyFrame, closeOf, header, publish, RawClient, rawFrame } from '../support/raw-client.ts';

const QUEUE = 'alike';

describe('Messages that are alike', () => {
  const to = fixture();

  const withQueue = async (port: number): Promise<RawClient> => {
    const client = await RawClient.start(port);
    await client.open(1);
    await client.open(2);
    await client.ask(f.declare(1, QUEUE), 'queue.declare-ok');
    await client.ask(f.purge(1, QUEUE), 'queue.purge-ok');
    return client;
  };

  /** The bodies in the queue, in order. */
  const drained = async (client: RawClient, count: number): Promise<string[]> => {
    const bodies: string[] = [];
    while (bodies.length < count) {
      await client.ask(f.get(1, QUEUE), 'basic.get-ok');
      const { payload } = await client.answered('header');
      const size = Number(payload.readBigUInt64BE(4));
      bodies.push(size === 0 ? '' : (await client.answered('body')).payload.toString());
    }
    return bodies;
  };

  it('arrive in order, whatever comes between them, however they are cut', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const random = randomizer(seed);
      const client = await withQueue(to.port);
      const sent: string[][] = [[], []];
      const bytes: Buffer[] = [];
      for (let n = 0; n < 1500; n++) {
        // long runs of one channel, of both, and now and then something else
        const channel = n % 500 < 250 ? 1 : 1 + random(2);
        const body = random(20) === 0 ? '' : `${channel}:${n}:${'x'.repeat(random(60))}`;
        const unlike = random(30) === 0 ? 1 : 0;
        bytes.push(publish(channel, QUEUE, Buffer.from(body), '', unlike));
        sent[channel - 1].push(body);
        if (random(100) === 0) bytes.push(rawFrame(8, 0, Buffer.alloc(0)));
      }
      const all = Buffer.concat(bytes);
      for (let at = 0; at < all.length; ) {
        const end = at + (random(3) === 0 ? 1 + random(200) : 1000 + random(20_000));
        client.send(all.subarray(at, end));
        at = end;
        if (random(4) === 0) await new Promise(setImmediate);
      }
      await client.ask(f.channelClose(2), 'channel.close-ok');
      const got = await drained(client, 1500);
      for (const channel of [1, 2]) {
        const whole = sent[channel - 1].filter(body => body !== '');
        expect(got.filter(body => body.startsWith(`${channel}:`))).to.deep.equal(whole);
      }
      client.destroy();
    }
  });

  for (const consumers of ['private', 'shared'])
    it(`are delivered in order, each with its number, whatever their size (consumers = ${consumers})`, async () => {
      const own = await AmqProxy.start(to.broker.url, ['-c', settingsFile(`consumers = ${consumers}`)]);
      const random = randomizer(9);
      for (let life = 0; life < 3; life++) {
        const client = await withQueue(own.port);
        const bodies = Array.from({ length: 400 }, (_, n) => {
          const size = [0, random(100), random(100), random(3000), n % 100 === 0 ? 130_000 : 50][random(5)];
          return Buffer.alloc(size, `${n} `);
        });
        for (const body of bodies) client.send(publish(1, QUEUE, body));
        await client.ask(f.qos(1, 1000), 'basic.qos-ok');
        await client.ask(f.consume(2, QUEUE, ''), 'basic.consume-ok');
        for (const [n, body] of bodies.entries()) {
          const { args } = await client.answered('basic.deliver');
          expect(Number(args[1])).to.equal(n + 1);
          const { payload } = await client.answered('header');
          const parts: Buffer[] = [];
          for (let left = Number(payload.readBigUInt64BE(4)); left > 0; left -= parts.at(-1)!.length)
            parts.push((await client.answered('body')).payload);
          expect(Buffer.concat(parts).equals(body), `message ${n}`).to.equal(true);
        }
        client.send(f.ack(2, 400, true));
        await client.ask(f.channelClose(2), 'channel.close-ok');
        client.destroy();
      }
      await own.stop();
    });

  const [method] = [publish(1, QUEUE, Buffer.alloc(0))].map(message =>
    message.subarray(0, message.length - 22),
  );
  const faults: Record<string, Buffer> = {
    'a wrong end of a body frame': Buffer.concat([
      method,
      header(1, 5),
      rawFrame(3, 1, Buffer.alloc(5), 0xcd),
    ]),
    'a wrong end of a header frame': Buffer.concat([
      method,
      header(1, 5).fill(0, 21),
      bodyFrame(1, Buffer.alloc(5)),
    ]),
    'a wrong end after bytes that fill a line': rawFrame(3, 1, Buffer.alloc(15, 130), 0),
    'a wrong end after bytes that nearly fill a line': rawFrame(3, 1, Buffer.alloc(14, 130), 5),
    'a wrong end after more bytes than are shown': rawFrame(3, 1, Buffer.alloc(17, 27), 100),
    'a frame of a type that is none': rawFrame(5, 1, Buffer.from('"\\\b\v\f\r\n\x1b')),
    'a header of another class': Buffer.concat([method, header(1, 5, 50), bodyFrame(1, Buffer.alloc(5))]),
    'a body without a header': Buffer.concat([method, bodyFrame(1, Buffer.alloc(5))]),
    'a publish within a publish': Buffer.concat([method, method]),
    'a body on a channel that is not open': Buffer.concat([
      method,
      header(1, 5),
      bodyFrame(9, Buffer.alloc(5)),
    ]),
    'a message on a channel that is not open': publish(9, QUEUE, Buffer.alloc(5)),
    'an exchange that is not there': publish(1, QUEUE, Buffer.alloc(5), 'alike-not-there'),
  };
  for (const [what, bytes] of Object.entries(faults))
    it(`are followed by ${what}: the answer is the broker’s`, async () => {
      const heard: string[] = [];
      for (const port of [to.broker.port, to.port]) {
        const client = await withQueue(port);
        client.send(
          ...Array.from({ length: 50 }, (_, n) => publish(1, QUEUE, Buffer.from(`alike ${n}`))),
          bytes,
        );
        const close = await client.next(frame => /^(channel|connection).close$/.test(frame.name));
        heard.push(close === null ? 'the end' : `${close.name} ${JSON.stringify(closeOf(close))}`);
        client.destroy();
      }
      expect(heard[1]).to.equal(heard[0]);
    });
});
