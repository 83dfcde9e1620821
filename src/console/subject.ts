/** What the console shows and steers: one process, or several workers as one. */
import type { Config } from '../config/options.ts';
import type { Request, Result, StepName } from './acts.ts';
import type { History, Row } from './history.ts';
import type { LiveView } from './rows.ts';
import type { Configured } from './settings.ts';

export interface Query {
  readonly filters: readonly string[];
  /** Only so many are wanted, those that matter most; Infinity for all. */
  readonly limit: number;
}

/** Rows one by one: there may be ten thousand of them, and the process works on between. */
export type Rows = (Iterable<Row> | AsyncIterable<Row>) & {
  /** Rows that were wanted, but for the limit: known at the end. */
  readonly leftOut?: number;
};

export interface Subject extends Configured {
  readonly config: Config;
  readonly history: History;
  rows(view: LiveView, query: Query): Rows;
  /** Has each process do it. @throws Refusal where it is not done. */
  each<K extends StepName>(name: K, request: Request): Promise<Result<K>[]>;
}
