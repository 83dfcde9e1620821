/** `make bench`: every scenario against every contender, in turn, on this machine. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Contender, NAMES, startContender } from './contenders.ts';
import { Load, Sink } from './parts.ts';
import { type Result, summarize, textTable } from './report.ts';
import { measureRound, type Round } from './round.ts';
import { choose, type Scenario } from './scenarios.ts';
import { Upstreams } from './upstreams.ts';

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
    json: { type: 'string' },
  },
});

/** `close = instant` is about closing: elsewhere it would be the same proxy measured twice. */
const takesPart = (name: string, { unit, upstream }: Scenario): boolean =>
  (name !== 'amqproxy-instant' || unit === 'cycles') &&
  (name !== 'peer' || upstream === 'sink' || upstream === 'broker');

async function run(scenario: Scenario, upstreams: Upstreams, load: Load, sink: Sink): Promise<Result[]> {
  const upstream = await upstreams.get(scenario.upstream);
  const contenders: Contender[] = [];
  const rounds = new Map<string, Round[]>();
  const options = { warmUp: Number(values['warm-up']), seconds: Number(values.seconds) };
  try {
    for (const name of values.contenders.split(',').filter(name => takesPart(name, scenario)))
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

const sink = await Sink.start();
const load = new Load();
const upstreams = new Upstreams(sink);
const results: Result[] = [];
try {
  for (const scenario of choose(values.only)) {
    const part = await run(scenario, upstreams, load, sink);
    console.log(`${textTable(part)}\n`);
    results.push(...part);
  }
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 1)}\n`);
} finally {
  load.end();
  sink.stop();
  await upstreams.stop();
}
