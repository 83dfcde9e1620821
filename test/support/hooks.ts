/** Root hooks: the shared broker ends with the run, and nothing is left behind when the run is broken off. */
import { exitOnSignals } from './cleanup.ts';
import { stopSharedBroker } from './rabbitmq.ts';

exitOnSignals();

export const mochaHooks = {
  async afterAll(): Promise<void> {
    await stopSharedBroker();
  },
};
