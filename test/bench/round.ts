/** One measurement of one contender: a rate between two points in the middle of a run. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contender } from './contenders.ts';
import { cpuSeconds, cpuSecondsOfAll, percentile, rss } from './measure.ts';
import type { Load, Sink } from './parts.ts';
import type { Scenario } from './scenarios.ts';
import type { UpstreamInUse } from './upstreams.ts';

export interface Round {
  /** Operations a second. */
  rate: number;
  /** Milliseconds; NaN where operations are not timed one by one. */
  p50: number;
  p99: number;
  /** CPU seconds of the proxy for one operation; NaN where there is none to look at. */
  proxyCpu: number;
  /** The same of the upstream, sink or broker. */
  upstreamCpu: number;
  /** Shares of one core that the load and the upstream were busy: below 1, they were not the bottleneck. */
  loadBusy: number;
  upstreamBusy: number;
  proxyBusy: number;
  /** Messages a second that those beside it have published; NaN where there are none. */
  beside: number;
  /** Bytes of the proxy's resident memory at the end. */
  rss: number;
}

export interface RoundParts {
  load: Load;
  /** The load of those who work beside it. */
  others: Load;
  sink: Sink;
}

export interface RoundOptions {
  warmUp: number;
  seconds: number;
}

export async function measureRound(
  scenario: Scenario,
  contender: Contender,
  { load, others, sink }: RoundParts,
  upstream: Pick<UpstreamInUse, 'pid' | 'published'>,
  options: RoundOptions,
): Promise<Round> {
  const { warmUp, seconds } = { ...options, ...scenario };
  const { countedBy, beside } = scenario;
  const sample = async () => {
    const bySink = await sink.sample();
    const byBroker = (await upstream.published?.()) ?? 0;
    const byLoad = await load.sample();
    return {
      at: performance.now() / 1000,
      count: { sink: bySink.count, broker: byBroker, load: byLoad.count }[countedBy],
      done: byLoad.count,
      published: byBroker,
      latencies: byLoad.latencies,
      load: byLoad.cpu,
      proxy: contender.pid ? cpuSecondsOfAll(contender.pid) : Number.NaN,
      upstream: cpuSeconds(upstream.pid),
    };
  };
  const target = { port: contender.port, tls: contender.tls };
  if (beside !== undefined) await others.start({ ...beside, ...target });
  await load.start({ ...scenario.job, ...target });
  await sleep(warmUp * 1000);
  const reloads = scenario.reloads && contender.name.startsWith('amqproxy');
  const timer = reloads ? setInterval(() => contender.signal('SIGHUP'), 500) : undefined;
  const before = await sample();
  await sleep(seconds * 1000);
  const after = await sample();
  clearInterval(timer);
  const memory = contender.pid ? rss(contender.pid) : Number.NaN;
  // those beside first: who waits behind them is then done sooner
  if (beside !== undefined) await others.stop();
  await load.stop();
  const count = after.count - before.count;
  const time = after.at - before.at;
  const timed = scenario.unit !== 'messages';
  const theirs = after.published - before.published - (after.done - before.done);
  return {
    rate: count / time,
    p50: timed ? percentile(after.latencies, 0.5) : Number.NaN,
    p99: timed ? percentile(after.latencies, 0.99) : Number.NaN,
    proxyCpu: (after.proxy - before.proxy) / count,
    upstreamCpu: (after.upstream - before.upstream) / count,
    loadBusy: (after.load - before.load) / time,
    upstreamBusy: (after.upstream - before.upstream) / time,
    proxyBusy: (after.proxy - before.proxy) / time,
    beside: beside === undefined ? Number.NaN : theirs / time,
    rss: memory,
  };
}
