import type { CloseReason } from '../amqp/errors.ts';
import type { Config } from '../config/options.ts';
import type { Stats } from '../stats.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** What a pool needs from its surroundings. */
export interface PoolContext<Pool> {
  readonly config: Config;
  readonly stats: Stats;
  /** Takes a place for one more upstream of all pools; false when there is none (an idle one is asked to give way). */
  reserve(): boolean;
  /** There is no place for one more. */
  readonly full: boolean;
  /** The same for a login, in its turn; false when that has become `needless` meanwhile. Rejects with Denied. */
  place(pool: Pool, needless: () => boolean): Promise<boolean>;
  /** Has an idle upstream closed that the broker counts towards the limit that it has refused with; false when there is none. */
  roomFor(pool: Pool, why: CloseReason): Promise<boolean>;
  /**
   * Logs one more upstream in for this pool, in a place that was taken; `tuned` is one that has done so already. `title`: the
   * name that it bears for the client that wants it, '' for one of ours.
   */
  open(pool: Pool, tuned: Upstream | null, title: string): Promise<Upstream>;
  /** An upstream is used by nobody: another pool may have its place. */
  upstreamIdle(): void;
  /** Somebody waits in this pool, or nobody does. */
  waitingChanged(pool: Pool): void;
  report(level: 'debug' | 'info' | 'warn', pool: Pool, message: string, facts?: object): void;
}
