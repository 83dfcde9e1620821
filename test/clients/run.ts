/**
 * run.ts [SUITE…]: every suite straight to a RabbitMQ, then through the proxy, then through one with consumers = shared.
 * Fails when a test that passes directly fails through the proxy, also each time it runs again by itself.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ } from '../support/rabbitmq.ts';
import { readReport, type Test } from './junit.ts';
import { chosen, home, placeOf, type Suite } from './suites.ts';

const PORT = 5672;
/** How often what has failed through the proxy runs again by itself. */
const CHANCES = 3;
/** Minutes a suite may take. */
const PATIENCE = 15;

type Results = Map<string, Test>;

/** Where the clients connect to; each has a broker of its own. */
const ROUTES: Record<string, string[] | null> = {
  direct: null,
  through: [],
  'consumers = shared': ['consumers = shared'],
};

function play(suite: Suite, route: string, only?: Test[]): Results {
  const stem = join(home, `${suite.name}.${route.replaceAll(/\W+/g, '-')}${only ? '.again' : ''}`);
  const report = `${stem}.xml`;
  rmSync(report, { force: true });
  const log = openSync(`${stem}.log`, 'w');
  const [file, ...args] = suite.command(report, only);
  spawnSync(file, args, {
    cwd: placeOf(suite),
    env: { ...process.env, ...suite.env },
    stdio: ['ignore', log, log],
    timeout: PATIENCE * 60_000,
    killSignal: 'SIGKILL',
  });
  return existsSync(report) ? readReport(readFileSync(report, 'utf8')) : new Map();
}

const names = (results: Results, outcome: string): string[] =>
  [...results].filter(([, test]) => test.outcome === outcome).map(([name]) => name);

/** Tests that pass directly and do not through the proxy, though they were given further chances: some are races by nature. */
function lost(suite: Suite, route: string, direct: Results, through: Results): Test[] {
  let worse: Test[] = [];
  let results = through;
  for (let chance = 0; chance <= CHANCES; chance++) {
    const failed = names(direct, 'passed').filter(name => results.get(name)?.outcome !== 'passed');
    const before = worse.map(({ path }) => path.join());
    worse = failed
      .map(name => results.get(name) ?? { ...direct.get(name)!, message: 'did not run' })
      .filter(({ path }) => chance === 0 || before.includes(path.join()));
    if (worse.length === 0) break;
    if (chance < CHANCES) results = play(suite, route, worse);
  }
  return worse;
}

const suites = chosen(process.argv.slice(2));
const ready = suites.filter(suite => existsSync(placeOf(suite)));
const direct = new Map<Suite, Results>();
const rows: string[][] = [];
const losses: string[] = [];

for (const [route, settings] of Object.entries(ROUTES)) {
  const broker = await RabbitMQ.start(settings === null ? { port: PORT } : {});
  let proxy: AmqProxy | null = null;
  try {
    if (settings !== null) {
      const file = join(broker.dir, 'amqproxy.ini');
      writeFileSync(file, `[main]\n${settings.join('\n')}\n`);
      proxy = await AmqProxy.start(broker.url, ['-c', file, '-p', String(PORT)]);
    }
    for (const suite of ready) {
      console.error(`${suite.name}, ${route} …`);
      await suite.prepare?.(broker);
      const results = play(suite, route);
      const passed = String(names(results, 'passed').length);
      if (settings === null) {
        direct.set(suite, results);
        rows.push([suite.name, passed]);
        continue;
      }
      const missing = lost(suite, route, direct.get(suite)!, results);
      rows.find(([name]) => name === suite.name)!.push(passed, String(missing.length));
      for (const { path, message } of missing)
        losses.push(`  ${suite.name}, ${route}: ${path.join(' › ')}\n    ${message.split('\n')[0]}`);
    }
    if (proxy !== null && !proxy.running) losses.push(`  the proxy has ended:\n${proxy.log}`);
  } finally {
    await proxy?.stop();
    await broker.stop();
  }
}

const head = ['suite', 'direct', 'through', 'lost', 'through, consumers = shared', 'lost', 'from'];
const lines = [
  head,
  ...rows.map((row, i) => [...row, readFileSync(join(placeOf(ready[i]), '.source'), 'utf8')]),
];
const widths = head.map((_, column) => Math.max(...lines.map(line => line[column].length)));
for (const line of lines)
  console.log(
    line
      .map((cell, i) => (i === 0 || i === 6 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  );
for (const suite of suites)
  if (!ready.includes(suite)) console.log(`${suite.name}: skipped, it was not fetched`);
const empty = rows.filter(([, passed]) => passed === '0').map(([name]) => name);
if (empty.length > 0) console.log(`nothing passes directly: ${empty.join(', ')} (see ${home})`);
if (losses.length > 0) console.log(`\nPass directly and fail through the proxy:\n${losses.join('\n')}`);
process.exitCode = losses.length > 0 || empty.length > 0 ? 1 : 0;
