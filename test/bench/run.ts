/** `make bench`: every scenario against every contender, in turn, on this machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { chart } from './chart.ts';
import { churnTable, measureChurn } from './churn.ts';
import { type Contender, NAMES, startContender } from './contenders.ts';
import { idleTable, measureIdle } from './idle.ts';
import { machine } from './machine.ts';
import { Load, Sink } from './parts.ts';
import { type Result, summarize, textTable } from './report.ts';
import { measureRound, type Round } from './round.ts';
import { measureScale, scaleLine } from './scale.ts';
import { choose, SCENARIOS, type Scenario } from './scenarios.ts';
import { Upstreams } from './upstreams.ts';

const USAGE = `Usage: run.ts [options]
  --only A,B         scenarios; a trailing * stands for any ending. Besides those below: idle, scale, churn
  --contenders A,B   among ${NAMES.join(' ')}, or NAME=DIRECTORY[:NODE_FLAG...] for another checkout
  --rounds N         rounds of each scenario, the contenders in turn (5)
  --seconds S        seconds that count in each (1.5), after --warm-up S (0.5)
  --cycles N         connect-publish-close cycles of churn (1000000)
  --json FILE        results, all rounds, and the machine
  --svg FILE         chart
BENCH_PEER=127.0.0.1:PORT[,PID] is another proxy that runs already in front of the upstream given by --sink-port;
BENCH_PEER_NAME is what the chart calls it. With BENCH_BUILT=1 amqproxy is what \`make build\` has built, else it runs from src/
with BENCH_NODE_FLAGS for its Node.
Scenarios: ${SCENARIOS.map(({ name }) => name).join(' ')}`;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    contenders: {
      type: 'string',
      default: NAMES.slice(0, 4).join() + (process.env.BENCH_PEER ? ',peer' : ''),
    },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1.5' },
    'warm-up': { type: 'string', default: '0.5' },
    cycles: { type: 'string', default: '1000000' },
    'sink-port': { type: 'string', default: '0' },
    json: { type: 'string' },
    svg: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

const peer = process.env.BENCH_PEER_NAME ?? 'peer';
const EXTRAS = ['idle', 'scale', 'churn'];
const contenderNames = values.contenders.split(',');

/** `close = instant` is about closing: elsewhere it would be the same proxy twice. A peer has the sink as its upstream. */
const takesPart = (name: string, { unit, upstream }: Scenario): boolean =>
  (name !== 'amqproxy-instant' || unit === 'cycles') && (name !== 'peer' || upstream === 'sink');

async function run(scenario: Scenario, upstreams: Upstreams, load: Load, sink: Sink): Promise<Result[]> {
  const upstream = await upstreams.get(scenario.upstream);
  const contenders: Contender[] = [];
  const rounds = new Map<string, Round[]>();
  const options = { warmUp: Number(values['warm-up']), seconds: Number(values.seconds) };
  try {
    for (const name of contenderNames.filter(name => takesPart(name, scenario)))
      contenders.push(await startContender(name, upstream, upstream.settings));
    for (const { name } of contenders) rounds.set(name, []);
    for (let round = 0; round < Number(values.rounds); round++)
      for (const contender of contenders)
        rounds
          .get(contender.name)!
          .push(await measureRound(scenario, contender, load, sink, upstream.pid, options));
  } finally {
    for (const contender of contenders) await contender.stop();
  }
  return summarize(scenario, rounds);
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

const only = values.only?.split(',');
const extras = EXTRAS.filter(name => only === undefined || only.includes(name));
const chosen = only?.filter(name => !EXTRAS.includes(name));
const scenarios = chosen === undefined ? SCENARIOS : choose(chosen);

const sink = await Sink.start(Number(values['sink-port']));
const load = new Load();
const upstreams = new Upstreams(sink);
const results: Result[] = [];
const others: unknown[] = [];
console.log(`${Object.values(machine()).join(', ')}\n`);
try {
  for (const scenario of scenarios) {
    const part = await run(scenario, upstreams, load, sink);
    console.log(`${textTable(part)}\n`);
    results.push(...part);
  }
  if (extras.includes('idle')) {
    const idle = await measureIdle(contenderNames, Math.min(3, Number(values.rounds)), sink, load);
    console.log(`${idleTable(idle)}\n`);
    others.push(...idle);
  }
  if (extras.includes('scale')) {
    console.log('CPU of amqproxy for one operation as counts grow');
    const scale = await measureScale(sink, load, result => console.log(scaleLine(result)));
    others.push(...scale);
  }
  if (extras.includes('churn')) {
    const churn = await measureChurn('amqproxy', Number(values.cycles), sink, load);
    console.log(`${churnTable(churn)}\n`);
    others.push(churn);
  }
  if (values.json)
    write(values.json, `${JSON.stringify({ machine: machine(), peer, results, others }, null, 1)}\n`);
  if (values.svg) write(values.svg, chart(results, peer));
} finally {
  load.end();
  sink.stop();
  await upstreams.stop();
}
