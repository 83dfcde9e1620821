/** A short fuzz campaign with a fixed seed; `make fuzz` runs longer ones with new seeds. */
import { expect } from 'chai';
import { campaign } from '../fuzz/campaign.ts';
import { RabbitMQ } from '../support/rabbitmq.ts';

describe('Frames of every kind from a neighbour', () => {
  it('leave the canary singing', async function () {
    this.timeout(120_000);
    const broker = await RabbitMQ.start();
    const { failure, scripts } = await campaign(broker, { seed: 20261125, runs: 150, seconds: 40 }).finally(
      () => broker.stop(),
    );
    if (failure !== null) throw new Error(failure);
    expect(scripts).to.be.at.least(20);
  });
});
