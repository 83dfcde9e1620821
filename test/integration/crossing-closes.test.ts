/**
 * The proxy closes a channel while the broker does: RabbitMQ may forget its close-ok when the proxy's follows too quickly, as
 * when both have waited for the end of an alarm. Then the channel, and with it the upstream, would never be free.
 */
import * as f from '../differential/frames.ts';
import type { Frame } from '../support/frame.ts';
import type { Link } from '../support/frame-relay.ts';
import { until } from '../support/rabbitmq.ts';
import { relayed } from '../support/relayed.ts';

/** What makes a channel such that it is closed when its client leaves, and the broker close it. */
const DIRTY: Record<string, Buffer[]> = {
  'in a transaction': [f.txSelect(1)],
  'with a prefetch bound for all': [f.qos(1, 5, true)],
};

describe('A channel that both sides close at once', () => {
  const to = relayed(['idle_connection_timeout = 1']);

  for (const [kind, frames] of Object.entries(DIRTY))
    it(`is free again afterwards (${kind})`, async () => {
      const client = await to.login();
      await client.open(1);
      let close: Buffer | null = null;
      let crossed = false;
      let forgets = false;
      // the broker has closed the channel when the proxy's close comes to it, and its own has not come to the proxy
      to.relay.fromBroker = (frame: Frame) => {
        if (frame.name === 'channel.close') close = f.rawFrame(frame.type, frame.channel, frame.payload);
        return frame.name === 'channel.close' || (forgets && frame.name === 'channel.close-ok')
          ? 'drop'
          : 'pass';
      };
      to.relay.fromProxy = (frame: Frame, link: Link) => {
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
      await until('the channel to be free', async () => (await to.proxy.metric('channels_leased')) === 0);
      await until(
        'the idle upstream to be closed',
        async () => (await to.proxy.metric('upstream_connections')) === 0,
      );
    });
});
