/**
 * An upstream that a client had for itself and leaves in a hurry: until the broker has handled all that the client sent there,
 * which may end the connection, it is nobody else's.
 */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import type { Frame } from '../support/frame.ts';
import type { Link } from '../support/frame-relay.ts';
import { until } from '../support/rabbitmq.ts';
import type { RawClient } from '../support/raw-client.ts';
import { relayed } from '../support/relayed.ts';

/** How the client leaves. */
const WAYS: Record<string, { close: string; leave: (client: RawClient) => Promise<unknown> }> = {
  'hangs up': { close: 'barrier', leave: async () => {} },
  'closes its connection (close = instant)': {
    close: 'instant',
    leave: client => client.ask(f.connectionClose(), 'connection.close-ok'),
  },
  'closes its channel and its connection (close = instant)': {
    close: 'instant',
    leave: async client => {
      await client.ask(f.channelClose(1), 'channel.close-ok');
      await client.ask(f.connectionClose(), 'connection.close-ok');
    },
  },
};

for (const [way, { close, leave }] of Object.entries(WAYS))
  describe(`An upstream that the broker is about to end for what its client did, which ${way}`, () => {
    const to = relayed([`close = ${close}`], true);

    it('concerns nobody else', async () => {
      const neighbour = await to.login();
      const offender = await to.login();
      await offender.open(1);
      const slow = new Set<Link>();
      let declares = 0;
      to.relay.fromProxy = (frame: Frame, link: Link) => {
        if (frame.name === 'queue.declare') declares++;
        if (frame.name === 'exchange.declare') slow.add(link);
        return slow.has(link) ? 'hold' : 'pass';
      };
      offender.send(f.declareExchange(1, queueName('strange'), 'no-such-type'));
      await until('the broker is asked for it', () => slow.size === 1);
      await leave(offender);
      offender.destroy();
      await until('it has gone', async () => (await to.proxy.metric('client_connections')) === 1);

      neighbour.send(f.channelOpen(1), f.declare(1, queueName('neighbour'), f.AUTO_DELETE));
      await until('the neighbour is at work', () => declares === 1);
      to.relay.release();
      await neighbour.answered('queue.declare-ok');
      await until('the broker has ended that upstream', () => to.proxy.log.includes('Upstream lost'));
      const again = await neighbour.ask(f.declare(1, queueName('again'), f.AUTO_DELETE), 'queue.declare-ok');
      expect(again.channel).to.equal(1);
    });
  });
