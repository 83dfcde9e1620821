/** All that runs, as the service runs it: by one process or by several workers. */
import type { Subject } from './console/subject.ts';
import type { GivenSocket } from './proxy/listeners.ts';
import type { Served } from './service/index.ts';

export interface Whole extends Served, Subject {
  readonly stopping: boolean;
  /** Rejects with ListenError or ServiceError. */
  listen(given: readonly GivenSocket[]): Promise<void>;
  drain(): Promise<void>;
  abort(): void | Promise<void>;
}
