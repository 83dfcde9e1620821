/** Resident memory of amqproxy over many connect-publish-close cycles: it must not grow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startContender } from './contenders.ts';
import { rss } from './measure.ts';
import type { Load, Sink } from './parts.ts';
import { number } from './report.ts';

export interface ChurnResult {
  scenario: 'churn';
  contender: string;
  /** Cycles done, and bytes of resident memory then. */
  points: { cycles: number; rss: number }[];
}

/** `cycles` in all with 32 clients at a time, looked at ten times on the way. */
export async function measureChurn(
  name: string,
  cycles: number,
  sink: Sink,
  load: Load,
): Promise<ChurnResult> {
  const contender = await startContender(name, { port: sink.port });
  const points: ChurnResult['points'] = [];
  try {
    await load.start({ kind: 'cycle', clients: 32, body: 1024, port: contender.port });
    for (let step = 1; step <= 10; ) {
      await sleep(250);
      const { count } = await load.sample();
      if (count < (step * cycles) / 10) continue;
      points.push({ cycles: count, rss: rss(contender.pid) });
      step = Math.floor((count * 10) / cycles) + 1;
    }
    await load.stop();
  } finally {
    await contender.stop();
  }
  return { scenario: 'churn', contender: name, points };
}

export function churnTable({ contender, points }: ChurnResult): string {
  const rows = points.map(
    point => `  ${contender} after ${number(point.cycles).padStart(9)} cycles: ${number(point.rss / 1e6)} MB`,
  );
  return ['resident memory over connect-publish-close cycles', ...rows].join('\n');
}
