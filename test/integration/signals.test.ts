/** Signals that mean nothing here: a service that others depend on does not end for them, and opens no door. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { proxyOnly, queueName } from '../support/fixture.ts';
import { AmqProxy, launcher } from '../support/proxy.ts';
import { sharedBroker } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

/** Sent by log rotation, by timers and profilers of those who start it, by a reader of its log that has gone. */
const SIGNALS = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGIO', 'SIGPIPE'] as const;

describe('A signal that means nothing', () => {
  let proxy: AmqProxy;
  before(async function () {
    proxyOnly(this);
  });
  beforeEach(async () => {
    proxy = await AmqProxy.start((await sharedBroker()).url, [], {}, [launcher()]);
  });
  afterEach(() => proxy?.stop());

  for (const signal of SIGNALS)
    it(`${signal} ends no connection, and lets nobody look inside`, async () => {
      const queue = queueName('signal');
      const client = await RawClient.start(proxy.port);
      await client.open(1);
      await client.ask(f.declare(1, queue), 'queue.declare-ok');
      for (let round = 0; round < 2; round++) {
        proxy.signal(signal);
        for (let n = 0; n < 10; n++) {
          const later = await RawClient.start(proxy.port);
          await later.open(1);
          await later.ask(f.declare(1, queue), 'queue.declare-ok');
          later.destroy();
        }
        expect(proxy.running, proxy.log).to.equal(true);
      }
      await client.ask(f.remove(1, queue), 'queue.delete-ok');
      client.destroy();
      expect(proxy.log).not.to.match(/debugger|inspector/i);
      proxy.signal('SIGTERM');
      expect(await proxy.exited()).to.equal(0);
    });
});
