/** One /metrics of all workers. What must not be added up has its own way (`aggregator`) where it is defined. */
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import type { Config } from '../config/options.ts';
import type { Counted } from '../stats.ts';

type Metric = MetricObjectWithValues<MetricValue<string>>;

/** What is measured of the main process, and of all together. */
interface Measured {
  readonly config: Config;
  readonly stats: Pick<Counted, 'clientsPeak'>;
  /** Workers that take clients, and times that another took the place of one. */
  readonly workers: number;
  readonly restarts: number;
}

/** Gives the metrics of each worker that answers, as JSON. */
type Ask = () => Promise<[worker: number, json: string][]>;

export class Metrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  private readonly registry = new Registry();
  /** What each worker has told last. */
  private readonly told = new Map<number, Metric[]>();
  /** Counters of those that are gone. */
  private gone: Metric[] = [];

  private readonly ask: Ask;

  constructor(of: Measured, ask: Ask) {
    this.ask = ask;
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name: `amqproxy_${name}`,
        help,
        registers,
        aggregator: 'first',
        collect() {
          this.set(read());
        },
      });
    };
    gauge('workers', 'Processes that take clients', () => of.workers);
    gauge(
      'client_connections_peak',
      'Most client connections at a time since the start',
      () => of.stats.clientsPeak,
    );
    new Counter({
      name: 'amqproxy_worker_restarts_total',
      help: 'Workers that have ended unasked, and were replaced',
      registers,
      collect() {
        this.reset();
        this.inc(of.restarts);
      },
    });
    collectDefaultMetrics({ register: this.registry });
  }

  async metrics(): Promise<string> {
    for (const [worker, json] of await this.ask()) this.told.set(worker, JSON.parse(json) as Metric[]);
    // the main process's come first: how they are put together goes by them
    const own = (await this.registry.getMetricsAsJSON()) as Metric[];
    for (const metric of own) if (metric.name === 'process_start_time_seconds') metric.aggregator = 'first';
    return AggregatorRegistry.aggregate([own, ...this.told.values(), this.gone]).metrics();
  }

  /** A worker has gone: what it has counted stays. */
  async lose(worker: number): Promise<void> {
    const told = this.told.get(worker);
    this.told.delete(worker);
    if (told === undefined) return;
    const counted = told.filter(({ type }) => String(type) === 'counter' || String(type) === 'histogram');
    this.gone = [
      ...(await AggregatorRegistry.aggregate([this.gone, counted]).getMetricsAsJSON()),
    ] as Metric[];
  }
}
