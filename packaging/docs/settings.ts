/** packaging/doc/settings.md: the table of settings. */
import {
  KINDS,
  type Kind,
  namesIn,
  type OptionName,
  optionNames,
  optionOf,
  show,
} from '../../src/config/options.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
const code = (text: string): string => (text === '' ? '' : `\`${text}\``);

function table(): string {
  const named = KINDS.flatMap(namesIn).filter(name => !optionNames.includes(name));
  const rows = [...optionNames, ...named].map((name: OptionName) => {
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

function sharedKeys(kind: Kind): string {
  const keys = namesIn(kind).filter(name => optionNames.includes(name));
  return keys.map(name => code(optionOf(name).key)).join(', ');
}

export const settingsPage = (): string => `# Settings

<!-- made from src/config/options.ts by make docs -->

A flag wins over the environment, the environment over the files, the files over the default. \`/etc/amqproxy.d/*.ini\` are read
after \`/etc/amqproxy.ini\`, in the order of their names; of a key that comes twice the last one counts. An unknown section or
key, a wrong type or a value out of range ends the start with code 78 (64 on the command line) and names file, line, key and
what is allowed. \`amqproxy --config /etc/amqproxy.ini --check-config\` only checks, and shows what is in effect and where each
setting comes from. \`man amqproxy.ini\` says more about each.

${table()}

A \`[route NAME]\` may also have ${sharedKeys('route')}. What it does not set comes from \`[main]\`. [Brokers](brokers.md) says what a route is.

A \`[listen NAME]\` may also have ${sharedKeys('listen')}. What it does not set comes from \`[listen]\`; all that it sets
changes with a reload. [Operating](operating.md#more-listeners) has an example.
`;
