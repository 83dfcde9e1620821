/** Rounds into medians and ratios, and those into a table. */
import { median } from './measure.ts';
import type { Round } from './round.ts';
import type { Scenario } from './scenarios.ts';

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
  ratio: { to: string; median: number; least: number; most: number } | null;
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
  'rss',
] as const;

/** `rounds` of each contender, in the order they were run; the first of `references` that took part is compared to. */
export function summarize(
  scenario: Scenario,
  rounds: Map<string, Round[]>,
  references = ['haproxy', 'direct'],
): Result[] {
  const reference = references.find(name => rounds.has(name));
  return [...rounds].map(([contender, own]) => {
    const medians = Object.fromEntries(
      FIELDS.map(field => [field, median(own.map(round => round[field]))]),
    ) as unknown as Round;
    let ratio: Result['ratio'] = null;
    if (reference !== undefined && reference !== contender) {
      const ratios = own.map((round, index) => round.rate / rounds.get(reference)![index].rate);
      ratio = {
        to: reference,
        median: median(ratios),
        least: Math.min(...ratios),
        most: Math.max(...ratios),
      };
    }
    return {
      scenario: scenario.name,
      title: scenario.title,
      unit: scenario.unit,
      contender,
      median: medians,
      ratio,
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
  'proxy µs/op',
  'upstream µs/op',
  'busy load/proxy/upstream',
  'RSS MB',
];

function cells({ contender, median: round, ratio }: Result): string[] {
  const share = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : '-');
  return [
    contender,
    number(round.rate),
    ratio === null ? '' : `${number(ratio.median)} (${number(ratio.least)}-${number(ratio.most)})`,
    number(round.p50),
    number(round.p99),
    number(round.proxyCpu * 1e6),
    number(round.upstreamCpu * 1e6),
    [round.loadBusy, round.proxyBusy, round.upstreamBusy].map(share).join(' '),
    number(round.rss / 1e6),
  ];
}

export function textTable(results: Result[]): string {
  const rows = [HEADS, ...results.map(cells)];
  const widths = HEADS.map((_, column) => Math.max(...rows.map(row => row[column].length)));
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
