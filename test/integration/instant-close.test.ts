/** close = instant: what was on its way to a channel when it was closed never reaches the one that is opened in its place. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import type { Frame } from '../support/frame.ts';
import { FrameRelay, type Link } from '../support/frame-relay.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const SIZE = 100_000;
const BODY = Buffer.alloc(SIZE, 'late');
/** What the proxy reads at once is less than the rest of a frame. */
const PART = 70_000;

/** What a channel may be closed in the middle of: it makes the broker send one message. */
const CONTENT: Record<string, (client: RawClient, queue: string) => Promise<unknown>> = {
  'a delivery': async (client, queue) => {
    client.send(f.publish(1, queue, BODY));
    await client.ask(f.consume(1, queue, 'tag'), 'basic.consume-ok');
  },
  'a delivery with a prefetch bound (consumers = shared)': async (client, queue) => {
    client.send(f.publish(1, queue, BODY));
    await client.ask(f.qos(1, 1), 'basic.qos-ok');
    await client.ask(f.consume(1, queue, 'tag'), 'basic.consume-ok');
  },
  'a message that was got': async (client, queue) => {
    client.send(f.publish(1, queue, BODY), f.get(1, queue));
  },
  'a returned message': async (client, queue) => {
    client.send(f.publish(1, `${queue}-nobody`, BODY, { flags: f.MANDATORY }));
  },
};

describe('A channel that is closed in the middle of a message and opened again (close = instant)', () => {
  let relay: FrameRelay;
  let proxy: AmqProxy;
  before(async function () {
    proxyOnly(this);
    relay = await FrameRelay.start((await sharedBroker()).port);
    proxy = await AmqProxy.start(relay.url, ['-c', settingsFile('close = instant', 'consumers = shared')]);
  });
  afterEach(() => relay?.release());
  after(async () => {
    await proxy?.stop();
    await relay?.end();
  });

  /** Lets frames through until the first of this name, and only the beginning of that; gives what sends the rest. */
  const cutAt = (name: string, bytes: number): { there: boolean; goOn(): void } => {
    let rest: (() => void) | null = null;
    relay.fromBroker = (frame: Frame, link: Link) => {
      if (rest !== null) return 'hold';
      if (frame.name !== name) return 'pass';
      const whole = f.rawFrame(frame.type, frame.channel, frame.payload);
      rest = () => {
        link.toProxy(whole.subarray(bytes));
        relay.release();
      };
      return whole.subarray(0, bytes);
    };
    return {
      get there() {
        return rest !== null;
      },
      goOn: () => rest!(),
    };
  };

  for (const [what, begin] of Object.entries(CONTENT))
    for (const [where, frame, bytes] of [
      ['within its body', 'body', PART],
      ['between its header and its body', 'body', 0],
      ['within its header', 'header', 5],
    ] as const)
      it(`gets nothing of ${what}, ${where}`, async () => {
        const queue = queueName('late');
        const client = await RawClient.start(proxy.port);
        await client.open(1);
        await client.ask(f.declare(1, queue), 'queue.declare-ok');
        const cut = cutAt(frame, bytes);
        await begin(client, queue);
        await until('the beginning of the message', () => cut.there);
        // the proxy has read that when it answers
        await client.open(2);
        await client.ask(f.channelClose(1), 'channel.close-ok');
        await client.open(1);
        const seen = client.frames.splice(0).map(frame => frame.name);
        cut.goOn();
        await client.ask(f.declare(1, queue), 'queue.declare-ok');
        expect(
          client.frames.map(frame => frame.name),
          `after ${seen.join(', ')}`,
        ).to.deep.equal([]);
        await client.ask(f.remove(1, queue), 'queue.delete-ok');
        client.destroy();
      });
});
