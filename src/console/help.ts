/** What `amqproxy COMMAND --help` says, from the table. */
import { type CommandName, commandNames, commandOf, VIEWS, viewNames } from './table.ts';

function wrap(text: string, indent: number, width: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== '' && indent + last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

const COLUMN = 30;
const row = (left: string, text: string, width: number): string => {
  const gap = left.length + 4 > COLUMN ? `\n${' '.repeat(COLUMN)}` : ' '.repeat(COLUMN - 2 - left.length);
  return `  ${left}${gap}${wrap(text, COLUMN, width)}`;
};

/** What `amqproxy --help` says of the commands. */
export function commandsHelp(width: number): string {
  const first = (help: string): string => help.split(/[.;:] |\.$/)[0];
  const rows = commandNames.map(name =>
    row(`${name} ${commandOf(name).args}`, first(commandOf(name).help), width),
  );
  return ['Commands, to see and steer one that runs (amqproxy COMMAND --help):', ...rows].join('\n');
}

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
