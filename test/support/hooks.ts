/** Root hooks: a broker for all the files that a process runs, and nothing is left behind, however the process ends. */
import { exitOnSignals } from './cleanup.ts';
import { sharedBroker } from './rabbitmq.ts';

exitOnSignals();

export const mochaHooks = {
  // here, and not in the time of whichever test asks for it first
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(180_000);
    await sharedBroker();
  },
};
