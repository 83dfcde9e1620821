/**
 * What several workers do compared with one, where the machine has not the cores: each worker is held to a part of one, so that
 * load, workers and sink fit. WORKERS=1,2 ROUNDS=7 SHARE=0.2
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, startContender } from './contenders.ts';
import { CpuLimit } from './cpu-limit.ts';
import type { Job } from './load.ts';
import { cpuSecondsOfAll, family, median } from './measure.ts';
import { Load, Sink } from './parts.ts';
import { number } from './report.ts';

const { WORKERS = '1,2', ROUNDS = '7', SHARE = '0.2' } = process.env;
const JOBS: { title: string; job: Omit<Job, 'port' | 'tls'> }[] = [
  { title: 'connect-publish-close, 128 clients', job: { kind: 'cycle', clients: 128, body: 1024 } },
  { title: 'publish 1 KiB, 32 clients', job: { kind: 'publish', clients: 32, body: 1024 } },
];

interface Crew {
  workers: number;
  contender: Contender;
  limits: CpuLimit[];
}

const sink = await Sink.start();
const load = new Load();
const upstream = { port: sink.port, pid: sink.pid };

/** At full speed first, so that its code is compiled. */
async function start(workers: number): Promise<Crew> {
  const contender = await startContender('amqproxy', upstream, workers === 1 ? [] : [`workers = ${workers}`]);
  for (const { job } of JOBS) await measure(contender, job, 2);
  const [main, ...children] = family(contender.pid!);
  const pids = workers === 1 ? [main] : children;
  return { workers, contender, limits: pids.map(pid => new CpuLimit(pid, Number(SHARE))) };
}

async function measure({ port, pid }: Contender, job: Omit<Job, 'port' | 'tls'>, seconds: number) {
  await load.start({ ...job, port });
  await sleep(1000);
  const sample = async () => ({
    at: performance.now() / 1000,
    count: (await (job.kind === 'publish' ? sink : load).sample()).count,
    cpu: cpuSecondsOfAll(pid!),
  });
  const before = await sample();
  await sleep(seconds * 1000);
  const after = await sample();
  await load.stop();
  const count = after.count - before.count;
  return { rate: count / (after.at - before.at), cpu: (after.cpu - before.cpu) / count };
}

const crews: Crew[] = [];
try {
  for (const workers of WORKERS.split(',').map(Number)) crews.push(await start(workers));
  for (const { title, job } of JOBS) {
    const rounds: { rate: number; cpu: number }[][] = crews.map(() => []);
    for (let round = 0; round < Number(ROUNDS); round++)
      for (const i of round % 2 ? crews.keys().toArray().reverse() : crews.keys())
        rounds[i].push(await measure(crews[i].contender, job, 3));
    console.log(`${title}; each worker has ${SHARE} of a core`);
    for (const [i, { workers }] of crews.entries()) {
      const ratios = rounds[i].map(({ rate }, n) => rate / rounds[0][n].rate);
      const cpu = median(rounds[i].map(one => one.cpu)) * 1e6;
      console.log(
        `  workers = ${workers}: ${number(median(rounds[i].map(({ rate }) => rate)))} a second, ${number(cpu)} µs of CPU each, ` +
          `${number(median(ratios))} (${number(Math.min(...ratios))}–${number(Math.max(...ratios))}) times as many as ${crews[0].workers}`,
      );
    }
  }
} finally {
  for (const { contender } of crews) await contender.stop();
  load.end();
  sink.stop();
  for (const limit of crews.flatMap(({ limits }) => limits)) limit.remove();
}
