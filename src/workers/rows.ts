/** The rows of all workers, as they come. */
import type { Row } from '../console/history.ts';
import type { LiveView } from '../console/rows.ts';
import { Refusal } from '../console/scope.ts';
import type { Query, Rows } from '../console/subject.ts';
import { within } from './link.ts';
import type { Member } from './member.ts';
import { merged } from './merge.ts';

/** Milliseconds that one who looks waits for a worker. */
const ROWS_MS = 5000;

/** `own`: what the main process has to show itself. */
export function rowsOfAll(
  view: LiveView,
  query: Query,
  members: readonly Member[],
  own: readonly Row[],
): Rows {
  let leftOut = 0;
  const gather = async (): Promise<Row[]> => {
    const rows: Row[] = [...own];
    const left = await Promise.all(
      members.map(({ link }) =>
        within(ROWS_MS, link.ask('rows', { view, ...query }, { part: part => void rows.push(...part) }))
          // it is gone with all that it had, or stuck
          .catch((error: Error) => {
            if (error instanceof Refusal) throw error;
            return 0;
          }),
      ),
    );
    leftOut = left.reduce((a, b) => a + b, 0);
    return merged(view, rows);
  };
  return {
    async *[Symbol.asyncIterator]() {
      yield* await gather();
    },
    get leftOut() {
      return leftOut;
    },
  };
}
