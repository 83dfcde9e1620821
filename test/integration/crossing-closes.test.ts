/**
 * The proxy closes a channel while the broker does: RabbitMQ may forget its close-ok when the proxy's follows too quickly, as
 * when both have waited for the end of an alarm. Then the channel, and with it the upstream, would never be free.
 */
import * as f from '../differential/frames.ts';
import { proxyOnly, settingsFile } from '../support/fixture.ts';
import type { Frame } from '../support/frame.ts';
import { FrameRelay, type Link } from '../support/frame-relay.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

/** What makes a channel such that it is closed when its client leaves, and the broker close it. */
const DIRTY: Record<string, Buffer[]> = {
  'in a transaction': [f.txSelect(1)],
  'with a prefetch bound for all': [f.qos(1, 5, true)],
};

describe('A channel that both sides close at once', () => {
  let relay: FrameRelay;
  let proxy: AmqProxy;
  before(async function () {
    proxyOnly(this);
    relay = await FrameRelay.start((await sharedBroker()).port);
    proxy = await AmqProxy.withMetrics(relay.url, ['-c', settingsFile('idle_connection_timeout = 1')]);
  });
  afterEach(() => relay.release());
  after(async () => {
    await proxy?.stop();
    await relay?.end();
  });

  for (const [kind, frames] of Object.entries(DIRTY))
    it(`is free again afterwards (${kind})`, async () => {
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      let close: Buffer | null = null;
      let crossed = false;
      let forgets = false;
      // the broker has closed the channel when the proxy's close comes to it, and its own has not come to the proxy
      relay.fromBroker = (frame: Frame) => {
        if (frame.name === 'channel.close') close = f.rawFrame(frame.type, frame.channel, frame.payload);
        return frame.name === 'channel.close' || (forgets && frame.name === 'channel.close-ok')
          ? 'drop'
          : 'pass';
      };
      relay.fromProxy = (frame: Frame, link: Link) => {
        if (frame.name === 'channel.close' && !crossed) {
          crossed = true;
          link.toProxy(close!);
          setTimeout(() => link.release(), 200);
          return 'hold';
        }
        if (frame.name !== 'channel.close-ok' || link.holding === 0) return 'pass';
        forgets = true;
        return 'hold';
      };
      client.send(...frames, f.publish(1, 'x', 'y', { exchange: 'no-such-exchange' }));
      await until('the broker to close the channel', () => close !== null);
      client.destroy();
      await until('the channel to be free', async () => (await proxy.metric('channels_leased')) === 0);
      await until(
        'the idle upstream to be closed',
        async () => (await proxy.metric('upstream_connections')) === 0,
      );
    });
});
