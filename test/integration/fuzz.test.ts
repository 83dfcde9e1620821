/** Short fuzz campaigns with fixed seeds; `make fuzz` runs longer ones with new seeds. */
import { expect } from 'chai';
import { campaign } from '../fuzz/campaign.ts';
import { RabbitMQ } from '../support/rabbitmq.ts';

describe('Frames of every kind from a neighbour', () => {
  let broker: RabbitMQ;
  before(async function () {
    this.timeout(120_000);
    broker = await RabbitMQ.start();
  });
  after(() => broker?.stop());

  for (const mode of ['private', 'shared'])
    it(`leave the canary singing, and nothing behind in the proxy (consumers = ${mode})`, async function () {
      this.timeout(240_000);
      const settings = [`consumers = ${mode}`];
      const { failure, scripts, steps, rss } = await campaign(broker, {
        seed: 20261125,
        runs: 400,
        seconds: 180,
        settings,
      });
      const [warm, end] = rss.map(bytes => Math.round(bytes / 1048576));
      console.log(`      ${scripts} scripts, ${steps} steps; memory ${warm} to ${end} MiB`);
      if (failure !== null) throw new Error(failure);
      expect(scripts).to.be.at.least(210); // memory is measured from the 200th on
    });
});
