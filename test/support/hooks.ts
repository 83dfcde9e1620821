/** Root hooks: the shared broker ends with the run. */
import { stopSharedBroker } from './rabbitmq.ts';

export const mochaHooks = {
  async afterAll(): Promise<void> {
    await stopSharedBroker();
  },
};
