/** `make bench-readme`: the last `make bench` as a section of packaging/doc/performance.md, between two markers, and its chart. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './chart.ts';
import type { ChurnResult } from './churn.ts';
import type { IdleResult } from './idle.ts';
import type { machine } from './machine.ts';
import { median } from './measure.ts';
import { label, number, type Result } from './report.ts';
import type { ScaleResult } from './scale.ts';

const root = join(import.meta.dirname, '../..');
const BEGIN = '<!-- bench:begin (from dist/bench.json, by make bench-readme) -->';
const END = '<!-- bench:end -->';

interface Report {
  machine: ReturnType<typeof machine>;
  /** What BENCH_PEER_NAME called the other proxy. */
  peer: string;
  results: Result[];
  others: (IdleResult | ChurnResult | ScaleResult)[];
}

const table = (head: string[], rows: string[][]): string =>
  [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
    .map(row => `| ${row.join(' | ')} |`)
    .join('\n');

/** CPU of one operation, in microseconds. */
const micro = (seconds: number | undefined): string => number((seconds ?? Number.NaN) * 1e6);

function scenarios(
  results: Result[],
  unit: (result: Result) => boolean,
  contenders: string[],
): Map<string, Result>[] {
  const rows = new Map<string, Map<string, Result>>();
  for (const result of results.filter(unit)) {
    const row = rows.get(result.scenario) ?? new Map<string, Result>();
    rows.set(result.scenario, row.set(result.contender, result));
  }
  return [...rows.values()].filter(row => contenders.some(name => row.has(name)));
}

const rate = (result: Result | undefined): string => (result === undefined ? '' : number(result.median.rate));
const title = (row: Map<string, Result>): string => [...row.values()][0].title;
const against = ({ ratio }: Result): string =>
  ratio === null ? '' : `${number(ratio.median)} (${number(ratio.least)}–${number(ratio.most)})`;

/** Many publishers before RabbitMQ, and what others feel of them. */
const MANY = /^publish-many/;
const BESIDE = /^(neighbour|crowd)/;

function throughput(results: Result[]): string {
  const rows = scenarios(
    results,
    ({ unit, scenario }) =>
      (unit === 'messages' && !MANY.test(scenario)) || /^(cycle|login|confirm)/.test(scenario),
    ['amqproxy'],
  );
  return table(
    ['a second', 'direct', 'HAProxy', 'amqproxy', 'of HAProxy', 'CPU µs each: HAProxy', 'amqproxy'],
    rows.map(row => {
      const ours = row.get('amqproxy')!;
      return [
        title(row),
        rate(row.get('direct')),
        rate(row.get('haproxy')),
        rate(ours),
        against(ours),
        micro(row.get('haproxy')?.median.proxyCpu),
        micro(ours.median.proxyCpu),
      ];
    }),
  );
}

/** amqproxy and the other proxy that took part; their ratio as the median of the rounds. */
function besidePeer(results: Result[], peer: string): string {
  const rows = scenarios(results, ({ scenario }) => !BESIDE.test(scenario), ['peer']);
  return table(
    ['a second', peer, 'amqproxy', 'times', `CPU µs each: ${peer}`, 'amqproxy'],
    rows.map(row => {
      const theirs = row.get('peer')!;
      const ours = row.get('amqproxy')!;
      const times = ours.rounds.map((round, index) => round.rate / theirs.rounds[index].rate);
      return [
        title(row),
        rate(theirs),
        rate(ours),
        number(median(times)),
        micro(theirs.median.proxyCpu),
        micro(ours.median.proxyCpu),
      ];
    }),
  );
}

function withBroker(results: Result[]): string {
  const rows = scenarios(results, ({ scenario }) => /^(rabbit|far)/.test(scenario), ['amqproxy']);
  const names = ['direct', 'amqproxy', 'amqproxy-instant'];
  return table(
    [
      '',
      ...names.flatMap(name => [
        `${name === 'amqproxy-instant' ? '`close = instant`' : name}: a second`,
        'p50 ms',
        'broker CPU ms each',
      ]),
    ],
    rows.map(row => [
      title(row),
      ...names.flatMap(name => {
        const result = row.get(name);
        return [
          rate(result),
          number(result?.median.p50 ?? Number.NaN),
          number((result?.median.upstreamCpu ?? Number.NaN) * 1e3),
        ];
      }),
    ]),
  );
}

function many(results: Result[]): string {
  const rows = scenarios(results, ({ scenario }) => MANY.test(scenario), ['amqproxy']);
  return table(
    ['messages a second', 'direct', 'HAProxy', 'amqproxy', 'of HAProxy'],
    rows.map(row => {
      const ours = row.get('amqproxy')!;
      return [title(row), rate(row.get('direct')), rate(row.get('haproxy')), rate(ours), against(ours)];
    }),
  );
}

/** Median and 99th percentile, and what the median is of direct's. */
function beside(results: Result[], peer: string): string {
  const rows = scenarios(results, ({ scenario }) => BESIDE.test(scenario), ['amqproxy']);
  const names = ['direct', 'haproxy', 'peer', 'amqproxy'].filter(name => rows.some(row => row.has(name)));
  const times = (result: Result | undefined): string =>
    result === undefined ? '' : `${number(result.median.p50)} (${number(result.median.p99)})`;
  return table(
    ['ms, median (and 99th percentile)', ...names.map(name => label(name, peer)), 'of direct'],
    rows.map(row => {
      const { p50, p99 } = row.get('amqproxy')!.times ?? {};
      const of = p50 && p99 ? `${number(p50.median)} (${number(p99.median)})` : '';
      return [title(row), ...names.map(name => times(row.get(name))), of];
    }),
  );
}

function idle(results: IdleResult[], peer: string): string {
  return table(
    ['idle clients with a channel open', 'KiB each', 'RSS MB', 'all connected in s', 'busy (of one core)'],
    results.map(({ contender, clients, bytesPerClient, rss, connectSeconds, busy }) => [
      `${number(clients)}, ${label(contender, peer)}`,
      number(bytesPerClient / 1024),
      number(rss / 1e6),
      number(connectSeconds),
      busy.toFixed(3),
    ]),
  );
}

function scale(results: ScaleResult[]): string {
  const kinds = [...new Set(results.map(({ of }) => of))];
  return table(
    ['amqproxy’s CPU µs for one operation', 'at these counts'],
    kinds.map(kind => [
      kind,
      results
        .filter(({ of }) => of === kind)
        .map(({ count, proxyCpu }) => `${number(count)}: ${micro(proxyCpu)}`)
        .join(', '),
    ]),
  );
}

function section({ machine: facts, peer, results, others }: Report): string {
  const of = <T extends { scenario: string }>(name: string): T[] =>
    others.filter(({ scenario }) => scenario.startsWith(name)) as unknown as T[];
  const parts = [
    `On ${Object.values(facts).join(', ')}:`,
    throughput(results),
    besidePeer(results, peer),
    withBroker(results),
    many(results),
    beside(results, peer),
    idle(of('idle'), peer),
    scale(of('scale')),
  ];
  for (const { points } of of<ChurnResult>('churn'))
    parts.push(
      `Resident memory over connect-publish-close cycles: ${points
        .map(({ cycles, rss }) => `${number(rss / 1e6)} MB after ${number(cycles)}`)
        .filter((_, i) => [0, 4, 9].includes(i))
        .join(', ')}.`,
    );
  return parts.filter(part => part.includes('\n') === false || part.split('\n').length > 2).join('\n\n');
}

const file = join(root, 'packaging/doc/performance.md');
const page = readFileSync(file, 'utf8');
const begin = page.indexOf(BEGIN);
const end = page.indexOf(END, begin);
if (begin < 0 || end < 0) throw new Error(`${file} has no ${BEGIN} and ${END}`);
const report = JSON.parse(readFileSync(join(root, 'dist/bench.json'), 'utf8')) as Report;
writeFileSync(file, `${page.slice(0, begin + BEGIN.length)}\n\n${section(report)}\n\n${page.slice(end)}`);
writeFileSync(join(root, 'packaging/readme/bench.svg'), chart(report.results, report.peer));
