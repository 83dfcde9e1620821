/**
 * Whatever a client does, its neighbours with the same credentials notice nothing: every case of the differential test
 * runs beside a canary that publishes, is confirmed and consumes all the time, with consumers on private upstreams and
 * on shared ones. And a client that dies at any byte of any frame.
 */
import { expect } from 'chai';
import { declare, publish } from '../differential/frames.ts';
import { type Case, Run, sentence } from '../differential/run.ts';
import { THEMES } from '../differential/themes.ts';
import { Canary } from '../support/canary.ts';
import { settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sleep } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

describe('Nobody notices what a neighbour does', () => {
  let broker: RabbitMQ;
  before(async function () {
    this.timeout(120_000);
    // of its own: some cases leave queues behind whose names rabbitmqctl cannot print
    broker = await RabbitMQ.start();
  });
  after(() => broker?.stop());

  for (const mode of ['private', 'shared'])
    describe(`consumers = ${mode}`, () => {
      let proxy: AmqProxy;
      let canary: Canary;

      before(async () => {
        proxy = await AmqProxy.start(broker.url, ['-c', settingsFile(`consumers = ${mode}`)]);
      });
      after(() => proxy?.stop());
      beforeEach(async () => {
        canary = await Canary.start(proxy.port, `canary-${process.pid}-${mode}`);
      });
      afterEach(() => canary.stop());

      const beside = async (act: Case): Promise<void> => {
        const run = new Run(proxy.port, 30);
        await run.play(act);
        await run.cleanUp(broker.port);
        const sung = canary.sung;
        for (let n = 0; n < 100 && canary.sung < sung + 3 && canary.complaints.length === 0; n++)
          await sleep(20);
        expect(canary.complaints).to.deep.equal([]);
        expect(canary.sung).to.be.at.least(sung + 3);
      };

      for (const [theme, cases] of Object.entries(THEMES)) {
        if (theme === 'handshake')
          // they mostly wait: side by side
          it('beside every handshake gone wrong', () => Promise.all(Object.values(cases).map(beside)));
        else
          for (const [name, act] of Object.entries(cases))
            it(`${theme}: ${sentence(name)}`, () => beside(act));
      }

      it('a client that dies at any byte of any frame', async () => {
        const queue = `dying-${process.pid}-${mode}`;
        const frames = Buffer.concat([
          declare(1, queue),
          publish(1, queue, 'a message', { properties: [0x8000, Buffer.from('\x04text')] }),
          publish(1, queue, Buffer.alloc(300, 120), { split: 100 }),
        ]);
        for (let at = 0; at <= frames.length; at += at < 220 ? 1 : 17) {
          const client = await RawClient.start(proxy.port);
          await client.open(1);
          client.send(frames.subarray(0, at));
          if (at % 2) await sleep(1);
          client.destroy();
          expect(canary.complaints, `dead at byte ${at}`).to.deep.equal([]);
        }
        await beside(async () => {});
      });

      it('the proxy is still well', async () => {
        expect(proxy.running).to.equal(true);
        expect(proxy.log).not.to.match(/uncaught|TypeError|RangeError|ReferenceError/i);
      });
    });
});
