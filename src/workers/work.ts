/** What a worker does when it is asked. */
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { stepOf } from '../console/acts.ts';
import { History, type Row } from '../console/history.ts';
import { Most } from '../console/order.ts';
import { poolCounts, rowsOf } from '../console/rows.ts';
import { matcher } from '../console/scope.ts';
import { viewOf } from '../console/table.ts';
import { Proxy } from '../proxy/proxy.ts';
import { labelRows } from '../service/label-rows.ts';
import { createMetrics } from '../service/metrics.ts';
import { standingOf } from '../service/status.ts';
import { clientNumbers, share, upstreamNumbers } from '../share.ts';
import { type BrokerNews, lineOf } from '../upstream/broker-news.ts';
import { descriptorOf } from './handles.ts';
import { ofAll } from './merge.ts';
import type { Act, Answer, AskName, Order, Report, With } from './protocol.ts';
import { tallyOf } from './tally.ts';

/** Rows of one part: a fraction of a millisecond. */
const SLICE = 100;

/** What is given with a question besides its argument. */
export interface Asking {
  /** Nobody waits for the answer any more. */
  signal: AbortSignal;
  /** Sends a part of the answer; resolves when there may be more. */
  part(rows: Row[]): Promise<void>;
  /** What came with it. */
  handle: unknown;
}

export type Answers = {
  [K in AskName]: (argument: With<K>, asking: Asking) => Answer<K> | Promise<Answer<K>>;
};

export class Work implements Omit<Answers, 'start'> {
  private readonly proxy: Proxy;
  private readonly worker: number;
  private readonly registry: Registry | null;
  private readonly history: History;

  /** `tell`: the main process says it, once for all workers. */
  constructor({ index, config, measured }: Order, log: Logger, tell: (news: BrokerNews) => void) {
    this.worker = index + 1;
    this.proxy = new Proxy(config, log, news => {
      const line = lineOf(news);
      if (line !== null) log.debug(line);
      tell(news);
    });
    this.registry = measured ? createMetrics(this.proxy, labelRows(this.proxy)) : null;
    this.history = new History(this.proxy, () => poolCounts(this.proxy));
    this.history.start();
  }

  async begin({ sockets, tells, orders }: Order): Promise<void> {
    const nobody = new AbortController().signal;
    await this.proxy.listen(sockets, tells);
    // what waits for others to leave has nobody to wait for here
    for (const [name, act] of orders)
      void Promise.resolve(stepOf(name).run(this.proxy, { ...act, signal: nobody })).catch(() => {});
  }

  get report(): Report {
    const { proxy } = this;
    return {
      tally: tallyOf(proxy.stats),
      admitted: proxy.admitted,
      waiting: share.wanting,
      buffers: proxy.buffers,
      standing: standingOf(proxy),
      ready: proxy.ready(),
      routes: proxy.readyRoutes(),
      made: { clients: clientNumbers.last, upstreams: upstreamNumbers.last },
    };
  }

  /** What the main process should hear of at once, when it changes. */
  get urgent(): string {
    const { admitted, config } = this.proxy;
    const allotted = share.ofClients(config.maxClients);
    const scarce = config.maxClients > 0 && allotted - admitted <= Math.max(1, allotted / 4);
    return `${this.proxy.ready()} ${scarce ? admitted : ''} ${share.wanting}`;
  }

  configure({ config, tells }: With<'configure'>): null {
    this.proxy.reload(config, tells);
    this.proxy.log.level = config.logLevel;
    return null;
  }

  adopt(socket: With<'adopt'>, { handle }: Asking): null {
    this.proxy.adopt({ ...socket, fd: descriptorOf(handle) });
    return null;
  }

  allot(clients: number): number {
    const kept = Math.max(clients, this.proxy.admitted);
    share.allot(kept);
    return kept;
  }

  async metrics(): Promise<string> {
    return JSON.stringify(await this.registry!.getMetricsAsJSON());
  }

  async rows({ view, filters, limit }: With<'rows'>, { part, signal }: Asking): Promise<number> {
    // rows that are about the same thing as those of other workers are filtered when they have become one
    const whole = ofAll(view);
    const matches = matcher(whole ? [] : filters);
    const most = !whole && Number.isFinite(limit) ? new Most(limit, viewOf(view).order) : null;
    let slice: Row[] = [];
    let n = 0;
    let matched = 0;
    for (const row of rowsOf(view, { proxy: this.proxy, history: this.history })) {
      if (signal.aborted) return 0;
      row.worker = this.worker;
      if (matches(row)) {
        matched++;
        if (most === null) slice.push(row);
        else most.add(row);
      }
      if (++n % SLICE !== 0) continue;
      await part(slice);
      slice = [];
    }
    await part(most?.rows ?? slice);
    return most === null ? 0 : matched - most.rows.length;
  }

  act({ name, act }: { name: With<'act'>['name']; act: Act }, { signal }: Asking): unknown {
    return stepOf(name).run(this.proxy, { ...act, signal });
  }

  async drain(): Promise<null> {
    await this.proxy.drain();
    return null;
  }

  abort(): void {
    this.proxy.abort();
  }

  get stopping(): boolean {
    return this.proxy.stopping;
  }

  get log(): Logger {
    return this.proxy.log;
  }
}
