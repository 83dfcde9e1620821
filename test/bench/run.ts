/** `make bench`: every scenario against every contender, in turn, on this machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { chart } from './chart.ts';
import { churnTable, measureChurn } from './churn.ts';
import { type Contender, NAMES, PEERS, startContender } from './contenders.ts';
import { idleTable, measureIdle } from './idle.ts';
import { machine } from './machine.ts';
import { Load, Sink } from './parts.ts';
import { type Result, summarize, textTable } from './report.ts';
import { measureRound, type Round, type RoundParts } from './round.ts';
import { measureScale, scaleLine } from './scale.ts';
import { choose, LOADED, SCENARIOS, type Scenario } from './scenarios.ts';
import { Upstreams } from './upstreams.ts';

const ROUNDS = 5;
const USAGE = `Usage: run.ts [options]
  --only A,B         scenarios; a trailing * stands for any ending. Besides those below: idle, scale, churn
  --contenders A,B   among ${NAMES.join(' ')}, or NAME=DIRECTORY[:NODE_FLAG...] for another checkout
  --reference A      whose rates and times the others' are compared to (haproxy's, or direct's where it takes no part)
  --rounds N         rounds of each scenario, the contenders in turn (${ROUNDS}; ${LOADED.rounds} with load beside RabbitMQ)
  --seconds S        seconds that count in each (1.5), after --warm-up S (0.5)
  --cycles N         connect-publish-close cycles of churn (1000000)
  --json FILE        results, all rounds, and the machine
  --svg FILE         chart
BENCH_PEER=127.0.0.1:PORT[,PID] is another proxy that runs already in front of the upstream given by --sink-port, and
BENCH_PEER_BROKER the same in front of RabbitMQ on --broker-port; BENCH_PEER_NAME is what the chart calls it.
BENCH_OLD=DIRECTORY is the contender \`before\`: another build of amqproxy (its dist, or a checkout that runs from src/).
With BENCH_BUILT=1 amqproxy is what \`make build\` has built, else it runs from src/ with BENCH_NODE_FLAGS for its Node.
With BENCH_WORKERS=N amqproxy-workers takes part, which has so many workers.
To see what a change gives: BENCH_OLD=/somewhere/dist BENCH_BUILT=1 run.ts --contenders before,amqproxy --reference before
Contenders take turns within a round, every other round the other way round; ratios are of the same round.
Scenarios: ${SCENARIOS.map(({ name }) => name).join(' ')}`;

const { BENCH_OLD: old } = process.env;
/** Whether a contender is there without being asked for. */
function takesPartAtAll(name: string): boolean {
  if (name === 'amqproxy-workers') return Boolean(process.env.BENCH_WORKERS);
  if (name === 'before') return Boolean(old);
  return name !== 'peer' || Object.values(PEERS).some(variable => process.env[variable!]);
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    contenders: {
      type: 'string',
      default: NAMES.filter(takesPartAtAll).join(),
    },
    rounds: { type: 'string' },
    seconds: { type: 'string', default: '1.5' },
    'warm-up': { type: 'string', default: '0.5' },
    cycles: { type: 'string', default: '1000000' },
    'sink-port': { type: 'string', default: '0' },
    'broker-port': { type: 'string', default: '0' },
    reference: { type: 'string' },
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

/** `close = instant` is about closing: elsewhere it would be the same proxy twice. A peer has an upstream of its own. */
function takesPart(name: string, { unit, upstream, timed }: Scenario): boolean {
  if (name === 'amqproxy-instant') return unit === 'cycles' && !timed;
  return name !== 'peer' || Boolean(process.env[PEERS[upstream] ?? '']);
}

async function run(scenario: Scenario, upstreams: Upstreams, parts: RoundParts): Promise<Result[]> {
  const upstream = await upstreams.get(scenario.upstream);
  const contenders: Contender[] = [];
  const rounds = new Map<string, Round[]>();
  const options = { warmUp: Number(values['warm-up']), seconds: Number(values.seconds) };
  const count = Number(values.rounds ?? scenario.rounds ?? ROUNDS);
  try {
    for (const name of contenderNames.filter(name => takesPart(name, scenario)))
      contenders.push(await startContender(name, upstream, upstream.settings));
    for (const { name } of contenders) rounds.set(name, []);
    for (let round = 0; round < count; round++) {
      // who goes first changes, so that nobody always has the warmer machine
      for (const contender of round % 2 ? [...contenders].reverse() : contenders)
        rounds.get(contender.name)!.push(await measureRound(scenario, contender, parts, upstream, options));
    }
  } finally {
    for (const contender of contenders) await contender.stop();
  }
  return summarize(scenario, rounds, values.reference === undefined ? undefined : [values.reference]);
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
const others = new Load();
const upstreams = new Upstreams(sink, Number(values['broker-port']));
const results: Result[] = [];
const more: unknown[] = [];
/** After each scenario: a run that is ended early leaves what it has. */
function save(): void {
  if (values.json)
    write(values.json, `${JSON.stringify({ machine: machine(), peer, results, others: more }, null, 1)}\n`);
  if (values.svg) write(values.svg, chart(results, peer));
}

console.log(`${Object.values(machine()).join(', ')}\n`);
try {
  for (const scenario of scenarios) {
    const part = await run(scenario, upstreams, { load, others, sink });
    console.log(`${textTable(part)}\n`);
    results.push(...part);
    save();
  }
  if (extras.includes('idle')) {
    const names = contenderNames.filter(name => name !== 'peer' || process.env.BENCH_PEER);
    const idle = await measureIdle(names, Math.min(3, Number(values.rounds ?? ROUNDS)), sink, load);
    console.log(`${idleTable(idle)}\n`);
    more.push(...idle);
  }
  if (extras.includes('scale')) {
    console.log('CPU of amqproxy for one operation as counts grow');
    const scale = await measureScale(sink, load, result => console.log(scaleLine(result)));
    more.push(...scale);
  }
  if (extras.includes('churn')) {
    const churn = await measureChurn('amqproxy', Number(values.cycles), sink, load);
    console.log(`${churnTable(churn)}\n`);
    more.push(churn);
  }
  save();
} finally {
  load.end();
  others.end();
  sink.stop();
  await upstreams.stop();
}
