/** Rounds into medians and ratios, and those into a table. */
import { median } from './measure.ts';
import type { Round } from './round.ts';
import type { Scenario } from './scenarios.ts';

export interface Ratio {
  to: string;
  median: number;
  least: number;
  most: number;
}

export interface Result {
  scenario: string;
  title: string;
  unit: string;
  contender: string;
  /** Medians over the rounds. */
  median: Round;
  /**
   * Rates as a part of the reference's rate in the same round (median, least, most); null for the reference. Rounds are
   * next to each other in time, so that a machine that gets slower slows both.
   */
  ratio: Ratio | null;
  /** The same of the times, where those are what counts: less is better. */
  times: { p50: Ratio; p99: Ratio } | null;
  rounds: Round[];
}

const FIELDS = [
  'rate',
  'p50',
  'p99',
  'proxyCpu',
  'upstreamCpu',
  'loadBusy',
  'upstreamBusy',
  'proxyBusy',
  'beside',
  'rss',
] as const;

function ratioOf(field: 'rate' | 'p50' | 'p99', own: Round[], reference: Round[], to: string): Ratio {
  const ratios = own.map((round, index) => round[field] / reference[index][field]);
  return { to, median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

/**
 * `rounds` of each contender, in the order they were run; the first of `references` that took part is compared to: that is no
 * proxy at all where times count, and the cheapest proxy else.
 */
export function summarize(
  scenario: Scenario,
  rounds: Map<string, Round[]>,
  references = scenario.timed ? ['direct'] : ['haproxy', 'direct'],
): Result[] {
  const to = references.find(name => rounds.has(name));
  return [...rounds].map(([contender, own]) => {
    const medians = Object.fromEntries(
      FIELDS.map(field => [field, median(own.map(round => round[field]))]),
    ) as unknown as Round;
    const compare = (field: 'rate' | 'p50' | 'p99'): Ratio => ratioOf(field, own, rounds.get(to!)!, to!);
    const compared = to !== undefined && to !== contender;
    return {
      scenario: scenario.name,
      title: scenario.title,
      unit: scenario.unit,
      contender,
      median: medians,
      ratio: compared ? compare('rate') : null,
      times: compared && scenario.timed ? { p50: compare('p50'), p99: compare('p99') } : null,
      rounds: own,
    };
  });
}

/** What a contender is called where people read it; `peer` is BENCH_PEER's name. */
export const label = (contender: string, peer: string): string => (contender === 'peer' ? peer : contender);

/** Three significant digits, with thousands separated. */
export const number = (value: number): string =>
  Number.isFinite(value)
    ? Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 3 })
    : '';

const HEADS = [
  'contender',
  'per second',
  'ratio',
  'p50 ms',
  'p99 ms',
  'ratios of p50',
  'p99',
  'proxy µs/op',
  'upstream µs/op',
  'busy load/proxy/upstream',
  'beside, msg/s',
  'RSS MB',
];

const spread = (ratio: Ratio | null): string =>
  ratio === null ? '' : `${number(ratio.median)} (${number(ratio.least)}-${number(ratio.most)})`;

function cells({ contender, median: round, ratio, times }: Result): string[] {
  const share = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : '-');
  return [
    contender,
    number(round.rate),
    spread(ratio),
    number(round.p50),
    number(round.p99),
    spread(times?.p50 ?? null),
    spread(times?.p99 ?? null),
    number(round.proxyCpu * 1e6),
    number(round.upstreamCpu * 1e6),
    [round.loadBusy, round.proxyBusy, round.upstreamBusy].map(share).join(' '),
    number(round.beside),
    number(round.rss / 1e6),
  ];
}

export function textTable(results: Result[]): string {
  const all = [HEADS, ...results.map(cells)];
  // columns that say nothing here are left out
  const rows = all.map(row => row.filter((_, column) => all.slice(1).some(other => other[column] !== '')));
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)));
  const lines = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  const to = results.find(({ ratio }) => ratio !== null)?.ratio?.to;
  const heading = `${results[0].title} [${results[0].scenario}]${to ? `; ratio to ${to}` : ''}`;
  return [heading, ...lines.map(line => `  ${line}`)].join('\n');
}
