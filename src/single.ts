/** One process that does it all: the usual case. */
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from './config/options.ts';
import { type Request, type Result, type StepName, stepOf } from './console/acts.ts';
import { History } from './console/history.ts';
import { type LiveView, poolCounts, rowsOf } from './console/rows.ts';
import type { Rows } from './console/subject.ts';
import type { GivenSocket } from './proxy/listeners.ts';
import { type Buffers, Proxy } from './proxy/proxy.ts';
import { labelRows } from './service/label-rows.ts';
import { createMetrics } from './service/metrics.ts';
import { type Standing, standingOf } from './service/status.ts';
import type { Stats } from './stats.ts';
import type { Whole } from './whole.ts';

export class Single implements Whole {
  private readonly proxy: Proxy;
  readonly history: History;

  constructor(config: Config, log: Logger) {
    this.proxy = new Proxy(config, log);
    this.history = new History(this.proxy, () => poolCounts(this.proxy));
  }

  get config(): Config {
    return this.proxy.config;
  }

  get log(): Logger {
    return this.proxy.log;
  }

  get stopping(): boolean {
    return this.proxy.stopping;
  }

  listen(given: readonly GivenSocket[]): Promise<void> {
    return this.proxy.listen(given);
  }

  reload(config: Config): void {
    this.proxy.reload(config);
  }

  drain(): Promise<void> {
    return this.proxy.drain();
  }

  abort(): void {
    this.proxy.abort();
  }

  // ---- what the service shows

  get stats(): Stats {
    return this.proxy.stats;
  }

  get buffers(): Buffers {
    return this.proxy.buffers;
  }

  get standing(): Standing {
    return standingOf(this.proxy);
  }

  /** It is here that it is asked. */
  readonly alive = true;
  readonly remarks: readonly string[] = [];

  ready(): boolean {
    return this.proxy.ready();
  }

  readyRoutes(): Map<string, boolean> {
    return this.proxy.readyRoutes();
  }

  metrics(): Registry {
    return createMetrics(this.proxy, labelRows(this.proxy));
  }

  // ---- what the console shows, and does

  rows(view: LiveView): Rows {
    return rowsOf(view, { proxy: this.proxy, history: this.history });
  }

  async each<K extends StepName>(name: K, request: Request): Promise<Result<K>[]> {
    return [(await stepOf(name).run(this.proxy, request)) as Result<K>];
  }
}
