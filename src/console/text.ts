/** Rows as text for a terminal: numbers for people, columns that fit, and nothing in them that steers the terminal. */
import type { Row } from './history.ts';
import type { Column, Form, View } from './table.ts';

/** Control characters, line ends of Unicode, and what turns the direction of writing or hides. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const COMBINING = /\p{Mn}/u;
/** Least columns of a text that is cut. */
const LEAST = 8;

export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, c => `\\u${c.codePointAt(0)!.toString(16).padStart(4, '0')}`);

/** Columns that a text takes on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const c of text) columns += COMBINING.test(c) ? 0 : WIDE.test(c) ? 2 : 1;
  return columns;
}

/** The beginning of a text that fits, with … where something is missing. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  let used = 1;
  for (const c of text) {
    used += width(c);
    if (used > columns) break;
    kept += c;
  }
  return `${kept}…`;
}

const pad = (text: string, columns: number, right: boolean): string => {
  const space = ' '.repeat(Math.max(0, columns - width(text)));
  return right ? space + text : text + space;
};

export function number(n: number): string {
  if (n < 10_000) return String(Math.round(n));
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  return `${(n / 1000 ** power).toPrecision(3)}${' kMGT'[power]}`;
}

export function bytes(n: number): string {
  if (n < 1000) return String(Math.round(n));
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  return `${(n / 1000 ** power).toPrecision(3)}${' kMGT'[power]}B`;
}

export function duration(s: number): string {
  if (s === 0) return '0';
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${(s * 1000).toPrecision(2)} ms`.replace(/e\+\d+/, '');
  if (s < 100) return `${s.toFixed(1)} s`;
  if (s < 7200) return `${Math.floor(s / 60)}m${String(Math.floor(s % 60)).padStart(2, '0')}`;
  if (s < 172_800) return `${Math.floor(s / 3600)}h${String(Math.floor((s / 60) % 60)).padStart(2, '0')}`;
  return `${Math.floor(s / 86_400)}d${String(Math.floor((s / 3600) % 24)).padStart(2, '0')}h`;
}

/** `a=b c=d`, as in the log. */
const facts = (value: object): string =>
  Object.entries(value)
    .map(([name, of]) => `${name}=${typeof of === 'object' ? JSON.stringify(of) : String(of)}`)
    .join(' ');

export function cell(form: Form, value: Row[string] | undefined): string {
  if (value === undefined || value === null) return '';
  switch (form) {
    case 'number':
      return number(Number(value));
    case 'rate':
      return Number(value) >= 100 || Number(value) === 0 ? number(Number(value)) : Number(value).toFixed(1);
    case 'bytes':
      return bytes(Number(value));
    case 'seconds':
      return Number(value) === 0 ? '' : duration(Number(value));
    case 'time':
      return new Date(String(value)).toTimeString().slice(0, 8);
    case 'text':
      return printable(typeof value === 'object' ? facts(value) : String(value));
  }
}

interface Fitted {
  columns: readonly Column[];
  widths: number[];
}

const sum = (widths: number[]): number => widths.reduce((a, b) => a + b, 0) + 2 * (widths.length - 1);

/** Leaves out what matters least until the rest fits, then cuts the longest texts. */
function fitted(columns: readonly Column[], lines: string[][], columnsThere: number): Fitted {
  let kept = columns.map((column, i) => ({ column, width: Math.max(...lines.map(line => width(line[i]))) }));
  const total = (): number => sum(kept.map(({ width }) => width));
  while (total() > columnsThere) {
    const rank = Math.max(...kept.map(({ column }) => column.rank));
    if (rank === 0) break;
    const last = kept.findLastIndex(({ column }) => column.rank === rank);
    kept = kept.filter((_, i) => i !== last);
  }
  while (total() > columnsThere) {
    const longest = kept.reduce((a, b) => (b.column.form === 'text' && b.width > a.width ? b : a));
    if (longest.column.form !== 'text' || longest.width <= LEAST) break;
    longest.width = Math.max(LEAST, longest.width - (total() - columnsThere));
  }
  while (total() > columnsThere && kept.length > 1) kept.pop();
  return { columns: kept.map(({ column }) => column), widths: kept.map(({ width }) => width) };
}

const isRight = ({ form }: Column): boolean => form !== 'text' && form !== 'time';

/** The lines of a table: its head, a row each, and totals where there are some. */
export function table(view: View, rows: readonly Row[], columnsThere: number): string[] {
  const all = view.columns.filter(
    ({ key, unless }) =>
      unless === undefined ||
      rows.some(row => ![unless, '', undefined].includes(row[key] as string | undefined)),
  );
  const head = all.map(({ title }) => title.toUpperCase());
  const body = rows.map(row => all.map(({ form, key }) => cell(form, row[key])));
  const hasTotals = rows.length > 1 && all.some(({ total }) => total);
  const totals = hasTotals
    ? [
        all.map(({ total, form, key }, i) =>
          i === 0
            ? `${rows.length}`
            : total
              ? cell(
                  form,
                  rows.reduce((n, row) => n + Number(row[key] ?? 0), 0),
                )
              : '',
        ),
      ]
    : [];
  const lines = [head, ...body, ...totals];
  const { columns, widths } = fitted(all, lines, columnsThere);
  return lines.map(line =>
    columns
      .map((column, i) => {
        const text = cut(line[all.indexOf(column)], widths[i]);
        return i === columns.length - 1 && !isRight(column) ? text : pad(text, widths[i], isRight(column));
      })
      .join('  ')
      .trimEnd(),
  );
}
