/**
 * What an operation costs the proxy as the counts of other things grow by ten: clients that are connected, channels on an
 * upstream, leases that are parked, pools. What is flat or logarithmic is well; what grows with the count is not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, startContender } from './contenders.ts';
import type { Job } from './load.ts';
import { cpuSeconds } from './measure.ts';
import { Load, type Sink } from './parts.ts';
import { number } from './report.ts';

export interface ScaleResult {
  scenario: string;
  contender: string;
  /** What there are `count` of. */
  of: string;
  count: number;
  /** CPU seconds of the proxy for one cycle or message. */
  proxyCpu: number;
  rate: number;
}

type Background = Omit<Job, 'port' | 'tls'> | null;
interface Case {
  of: string;
  counts: number[];
  /** What is there before and while counting. */
  background(count: number): Background;
  /** The background leaves before counting: what it leaves behind is measured. */
  leaves?: boolean;
  job(count: number): Omit<Job, 'port' | 'tls'>;
}

const CYCLES: Omit<Job, 'port' | 'tls'> = { kind: 'cycle', clients: 8, body: 1024 };

const CASES: Case[] = [
  {
    of: 'clients',
    counts: [10, 100, 1000, 9000],
    background: clients => ({ kind: 'idle', clients, body: 16 }),
    job: () => CYCLES,
  },
  {
    of: 'leases',
    counts: [10, 100, 1000, 9000],
    background: clients => ({ kind: 'idle', clients, body: 16, publishes: true }),
    job: () => CYCLES,
  },
  {
    of: 'parked',
    counts: [10, 100, 1000, 9000],
    background: clients => ({ kind: 'idle', clients, body: 16, publishes: true }),
    leaves: true,
    job: () => CYCLES,
  },
  {
    of: 'channels',
    counts: [1, 10, 100, 1000, 2000],
    background: () => null,
    job: channels => ({ kind: 'publish', clients: 1, channels, body: 1024 }),
  },
  {
    of: 'pools',
    counts: [1, 20, 200],
    background: () => null,
    job: vhosts => ({ ...CYCLES, vhosts }),
  },
];

async function once(
  contender: Contender,
  { of, background, leaves, job }: Case,
  count: number,
  sink: Sink,
  load: Load,
): Promise<ScaleResult> {
  const crowd = new Load();
  try {
    const others = background(count);
    if (others !== null) {
      await crowd.start({ ...others, port: contender.port });
      if (leaves) await crowd.stop();
      await sleep(500);
    }
    const foreground = job(count);
    await load.start({ ...foreground, port: contender.port });
    await sleep(1500);
    const sample = async () => ({
      at: performance.now() / 1000,
      count: foreground.kind === 'publish' ? (await sink.sample()).count : (await load.sample()).count,
      cpu: cpuSeconds(contender.pid),
    });
    const before = await sample();
    await sleep(2000);
    const after = await sample();
    await load.stop();
    const done = after.count - before.count;
    return {
      scenario: `scale-${of}`,
      contender: contender.name,
      of,
      count,
      proxyCpu: (after.cpu - before.cpu) / done,
      rate: done / (after.at - before.at),
    };
  } finally {
    crowd.end();
  }
}

/** `onResult` hears of each as it is there: it takes minutes. */
export async function measureScale(
  sink: Sink,
  load: Load,
  onResult: (result: ScaleResult) => void,
): Promise<ScaleResult[]> {
  const results: ScaleResult[] = [];
  for (const one of CASES)
    for (const count of one.counts) {
      const contender = await startContender('amqproxy', { port: sink.port });
      try {
        const result = await once(contender, one, count, sink, load);
        onResult(result);
        results.push(result);
      } finally {
        await contender.stop();
      }
    }
  return results;
}

export const scaleLine = ({ of, count, proxyCpu, rate }: ScaleResult): string =>
  `  ${String(count).padStart(6)} ${of.padEnd(9)} ${number(proxyCpu * 1e6).padStart(7)} µs/op ${number(rate).padStart(10)}/s`;
