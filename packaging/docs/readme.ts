/** The README's table of settings, between two markers. */
import { optionNames, optionOf, show } from '../../src/config/options.ts';

const BEGIN = '<!-- options:begin (from src/config/options.ts, by make docs) -->';
const END = '<!-- options:end -->';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
const code = (text: string): string => (text === '' ? '' : `\`${text}\``);

function table(): string {
  const rows = optionNames.map(name => {
    const option = optionOf(name);
    const ways = [option.flag && `--${option.flag}`, option.letter && `-${option.letter}`, option.env];
    return [
      `\`[${option.section}] ${option.key}\``,
      ways.flatMap(way => (way ? [code(way)] : [])).join(' '),
      code(show(name, option.default)),
      `${option.help}${option.live ? '' : ' (restart)'}`,
    ];
  });
  const lines = [['key', 'flag, environment', 'default', 'meaning'], ['---', '---', '---', '---'], ...rows];
  return lines.map(row => `| ${row.map(cell).join(' | ')} |`).join('\n');
}

/** @throws Error where the markers are missing. */
export function withTable(readme: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`README.md has no ${BEGIN} and ${END}`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${table()}\n\n${readme.slice(end)}`;
}
