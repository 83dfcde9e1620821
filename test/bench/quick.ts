/**
 * `make bench-quick`: the working tree against the last commit, side by side in one run. Fails on a clear loss only: a
 * median ratio below LIMIT, seen again in a second look.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Contender, startContender } from './contenders.ts';
import { median } from './measure.ts';
import { Load, Sink } from './parts.ts';
import { number } from './report.ts';
import { measureRound, type Round, type RoundParts } from './round.ts';
import { choose, type Scenario } from './scenarios.ts';

const LIMIT = 0.8;
const SCENARIOS = ['publish-16', 'publish-1k', 'publish-64k', 'consume-1k', 'confirm', 'cycle-32'];
const ROUNDS = 5;
const TIMES = { warmUp: 0.4, seconds: 0.7 };

const root = resolve(import.meta.dirname, '../..');
const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' });

/** Median over the rounds of the tree's rate as a part of the commit's. */
async function compare(scenario: Scenario, pair: Contender[], parts: RoundParts): Promise<number> {
  const upstream = { pid: parts.sink.pid, published: null };
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // who goes first changes, so that neither always has the warmer machine
    const order = round % 2 ? [1, 0] : [0, 1];
    const rates: Round[] = [];
    for (const index of order)
      rates[index] = await measureRound(scenario, pair[index], parts, upstream, TIMES);
    ratios.push(rates[0].rate / rates[1].rate);
  }
  return median(ratios);
}

/** The last commit's files, with the same dependencies; removed again by the function that it gives. */
function lastCommit(): { dir: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'amqproxy-bench-quick-'));
  git('worktree', 'add', '--detach', '--quiet', join(dir, 'tree'), 'HEAD');
  symlinkSync(join(root, 'node_modules'), join(dir, 'tree/node_modules'));
  return {
    dir: join(dir, 'tree'),
    remove: () => {
      git('worktree', 'remove', '--force', join(dir, 'tree'));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const commit = lastCommit();
const sink = await Sink.start();
const load = new Load();
// nobody works beside
const parts = { load, others: load, sink };
const pair: Contender[] = [];
const losses: string[] = [];
console.log(`the working tree against ${git('log', '-1', '--format=%h %s').trim()}`);
try {
  pair.push(await startContender(`tree=${root}`, { port: sink.port }));
  pair.push(await startContender(`commit=${commit.dir}`, { port: sink.port }));
  for (const scenario of choose(SCENARIOS)) {
    let ratio = await compare(scenario, pair, parts);
    // once may be the machine's mood
    if (ratio < LIMIT) ratio = Math.max(ratio, await compare(scenario, pair, parts));
    console.log(`  ${scenario.title.padEnd(36)} ${number(ratio)}${ratio < LIMIT ? '  slower' : ''}`);
    if (ratio < LIMIT) losses.push(scenario.name);
  }
} finally {
  for (const contender of pair) await contender.stop();
  load.end();
  sink.stop();
  commit.remove();
}
if (losses.length > 0) {
  console.error(`clearly slower than the last commit (below ${LIMIT}): ${losses.join(' ')}`);
  process.exitCode = 1;
}
