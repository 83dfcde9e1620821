/** What `amqproxy COMMAND --help` says, from the table. */
import { type CommandName, commandOf, VIEWS, viewNames } from './table.ts';

function wrap(text: string, indent: number, width: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== '' && indent + last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

const COLUMN = 22;
const row = (left: string, text: string, width: number): string =>
  `  ${left.padEnd(COLUMN - 2)}${wrap(text, COLUMN, width)}`;

export function commandHelp(name: CommandName, width: number): string {
  const { args, help, options = [] } = commandOf(name);
  const lines = [`Usage: amqproxy ${name} ${args ? `${args} ` : ''}[options]`, '', wrap(help, 0, width)];
  if (name === 'show') lines.push('', 'WHAT:', ...viewNames.map(view => row(view, VIEWS[view].help, width)));
  lines.push('', 'Options:');
  for (const { flag, value, help } of options)
    lines.push(row(`--${flag}${value ? ` ${value}` : ''}`, help, width));
  lines.push(
    row('--socket PATH', 'The console of another amqproxy. [AMQPROXY_ADMIN_SOCKET]', width),
    row('--help', 'Show this help.', width),
  );
  return lines.join('\n');
}
