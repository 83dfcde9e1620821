/** What a client costs that is connected, has a channel open, and does nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, startContender } from './contenders.ts';
import { cpuSeconds, median, rss } from './measure.ts';
import type { Load, Sink } from './parts.ts';
import { number } from './report.ts';

export interface IdleResult {
  scenario: string;
  contender: string;
  clients: number;
  /** Seconds until all were connected, logged in and had their channel. */
  connectSeconds: number;
  /** Bytes of resident memory above the proxy without clients, for each. */
  bytesPerClient: number;
  rss: number;
  /** Share of one core while nothing happens. */
  busy: number;
}

export const IDLE_COUNTS = [2000, 10_000];
/** HAProxy needs two descriptors for each client: more than usual limits allow at 10,000. */
const HAPROXY_MOST = 9000;

async function once(contender: Contender, clients: number, load: Load): Promise<IdleResult> {
  const target = { port: contender.port, tls: false, body: 16 };
  // warm: an upstream is there, the code is compiled
  await load.start({ ...target, kind: 'cycle', clients: 8 });
  await sleep(1000);
  await load.stop();
  await sleep(1000);
  const before = rss(contender.pid);
  const started = performance.now();
  await load.start({ ...target, kind: 'idle', clients });
  const connectSeconds = (performance.now() - started) / 1000;
  await sleep(2000);
  const cpu = cpuSeconds(contender.pid);
  await sleep(2000);
  const after = rss(contender.pid);
  const busy = (cpuSeconds(contender.pid) - cpu) / 2;
  await load.stop();
  return {
    scenario: `idle-${clients}`,
    contender: contender.name,
    clients,
    connectSeconds,
    bytesPerClient: (after - before) / clients,
    rss: after,
    busy,
  };
}

/** A fresh process for each count: memory given back by clients that left would hide what new ones take. */
export async function measureIdle(
  names: string[],
  rounds: number,
  sink: Sink,
  load: Load,
): Promise<IdleResult[]> {
  const results: IdleResult[] = [];
  for (const clients of IDLE_COUNTS) {
    for (const name of names) {
      if (name === 'direct' || name === 'amqproxy-instant') continue;
      if (name === 'haproxy' && clients > HAPROXY_MOST) continue;
      const measured: IdleResult[] = [];
      for (let round = 0; round < rounds; round++) {
        const contender = await startContender(name, { port: sink.port });
        try {
          if (contender.pid) measured.push(await once(contender, clients, load));
        } finally {
          await contender.stop();
        }
      }
      if (measured.length === 0) continue;
      const middle = (field: 'connectSeconds' | 'bytesPerClient' | 'rss' | 'busy'): number =>
        median(measured.map(result => result[field]));
      results.push({
        ...measured[0],
        connectSeconds: middle('connectSeconds'),
        bytesPerClient: middle('bytesPerClient'),
        rss: middle('rss'),
        busy: middle('busy'),
      });
    }
  }
  return results;
}

export function idleTable(results: IdleResult[]): string {
  const rows = results.map(
    ({ contender, clients, connectSeconds, bytesPerClient, rss, busy }) =>
      `  ${contender.padEnd(16)} ${String(clients).padStart(6)} clients: ${number(bytesPerClient / 1024)} KiB each, ` +
      `RSS ${number(rss / 1e6)} MB, connected in ${number(connectSeconds)} s, busy ${busy.toFixed(3)}`,
  );
  return ['idle clients with a channel open', ...rows].join('\n');
}
