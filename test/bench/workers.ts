/**
 * What several workers do compared with one, where the machine has not the cores: each worker is held to a part of one, so that
 * load, workers and sink fit, and has as many clients as the one. WORKERS=1,2 ROUNDS=7 SHARE=0.2
 */
import { type Contender, startContender } from './contenders.ts';
import { CpuLimit } from './cpu-limit.ts';
import { family, median } from './measure.ts';
import { Load, Sink } from './parts.ts';
import { number } from './report.ts';
import { measureRound, type Round } from './round.ts';
import type { Scenario } from './scenarios.ts';

const { WORKERS = '1,2', ROUNDS = '7', SHARE = '0.2' } = process.env;
/** With the clients of one worker. */
const CASES: Scenario[] = [
  {
    name: 'workers-cycle',
    title: 'connect-publish-close, 64 clients for each worker',
    unit: 'cycles',
    upstream: 'sink',
    job: { kind: 'cycle', clients: 64, body: 1024 },
    countedBy: 'load',
  },
  {
    name: 'workers-publish',
    title: 'publish 1 KiB, 16 clients for each worker',
    unit: 'messages',
    upstream: 'sink',
    job: { kind: 'publish', clients: 16, body: 1024 },
    countedBy: 'sink',
  },
];

interface Crew {
  workers: number;
  contender: Contender;
  limits: CpuLimit[];
}

const sink = await Sink.start();
const parts = { load: new Load(), others: new Load(), sink };
const upstream = { port: sink.port, pid: sink.pid, published: null };

function measure(one: Scenario, contender: Contender, workers: number, seconds: number): Promise<Round> {
  const job = { ...one.job, clients: one.job.clients * workers };
  return measureRound({ ...one, job }, contender, parts, upstream, { warmUp: 1, seconds });
}

/** At full speed first, so that its code is compiled. */
async function start(workers: number): Promise<Crew> {
  const contender = await startContender('amqproxy', upstream, workers === 1 ? [] : [`workers = ${workers}`]);
  for (const scenario of CASES) await measure(scenario, contender, workers, 2);
  const [main, ...children] = family(contender.pid!);
  const pids = workers === 1 ? [main] : children;
  return { workers, contender, limits: pids.map(pid => new CpuLimit(pid, Number(SHARE))) };
}

const crews: Crew[] = [];
try {
  for (const workers of WORKERS.split(',').map(Number)) crews.push(await start(workers));
  for (const scenario of CASES) {
    const rounds: Round[][] = crews.map(() => []);
    for (let round = 0; round < Number(ROUNDS); round++)
      for (const i of round % 2 ? crews.keys().toArray().reverse() : crews.keys())
        rounds[i].push(await measure(scenario, crews[i].contender, crews[i].workers, 3));
    console.log(`${scenario.title}; each worker has ${SHARE} of a core`);
    for (const [i, { workers }] of crews.entries()) {
      const ratios = rounds[i].map(({ rate }, n) => rate / rounds[0][n].rate);
      const cpu = median(rounds[i].map(one => one.proxyCpu)) * 1e6;
      console.log(
        `  workers = ${workers}: ${number(median(rounds[i].map(({ rate }) => rate)))} a second, ${number(cpu)} µs of CPU each, ` +
          `${number(median(ratios))} (${number(Math.min(...ratios))}–${number(Math.max(...ratios))}) times as many as ${crews[0].workers}`,
      );
    }
  }
} finally {
  for (const { contender } of crews) await contender.stop();
  parts.load.end();
  parts.others.end();
  sink.stop();
  for (const limit of crews.flatMap(({ limits }) => limits)) limit.remove();
}
