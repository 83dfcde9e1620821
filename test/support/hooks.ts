/** Root hooks: the shared broker ends with the run, and nothing is left behind when the run is broken off. */
import { exitOnSignals } from './cleanup.ts';
import { sharedBroker, stopSharedBroker } from './rabbitmq.ts';

exitOnSignals();

export const mochaHooks = {
  // here, and not in the time of whichever test asks for it first
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(180_000);
    await sharedBroker();
  },
  async afterAll(): Promise<void> {
    await stopSharedBroker();
  },
};
