/** The text of --help, from the option table. */
import { GROUPS, type Option, optionNames, optionOf, show } from './options.ts';

/** Flags that are no settings. */
export const OTHER_FLAGS = [
  {
    flag: 'config',
    letter: 'c',
    placeholder: 'FILE',
    help: 'File with settings, see amqproxy.ini(5); read again on SIGHUP.',
  },
  { flag: 'check-config', help: 'Check the settings, print them and where each comes from, and exit.' },
  {
    flag: 'connect',
    help: 'With --check-config: also connect to each broker as far as its greeting, and print what it is.',
  },
  {
    flag: 'as',
    placeholder: 'USER@VHOST',
    help: 'With --check-config: also print which route this user takes to this vhost.',
  },
  { flag: 'debug', letter: 'd', help: 'The same as --log-level debug.' },
  { flag: 'help', letter: 'h', help: 'Show this help.' },
  { flag: 'version', letter: 'v', help: 'Show the version.' },
  {
    flag: 'verbose',
    help: 'With --version: also what it runs on, and which of its parts have to do without something.',
  },
] as const;

/** A space that is no place to break a line. */
const NO_BREAK = '\u00a0';

/** Where the help text begins. */
const COLUMN = 30;

/** Breaks a text between words, with `indent` spaces before each line but the first. */
function wrap(text: string, indent: number, width: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== '' && indent + last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join(`\n${' '.repeat(indent)}`).replaceAll(NO_BREAK, ' ');
}

function row(
  letter: string | undefined,
  flag: string,
  placeholder: string | undefined,
  text: string,
  width: number,
): string {
  const left = `  ${letter ? `-${letter}, ` : '    '}--${flag}${placeholder ? ` ${placeholder}` : ''}`;
  const gap = left.length + 2 > COLUMN ? `\n${' '.repeat(COLUMN)}` : ' '.repeat(COLUMN - left.length);
  return left + gap + wrap(text, COLUMN, width);
}

/** `width`: columns of the terminal. */
export function helpText(width: number): string {
  const columns = Math.max(80, Math.min(width, 100));
  const lines = [
    'Usage: amqproxy [options] [AMQP_URL]',
    '       amqproxy COMMAND [options]',
    '',
    wrap(
      'Connection pool for AMQP 0-9-1: clients connect to it as to RabbitMQ, and share a few long-lived connections to the broker.',
      0,
      columns,
    ),
    '',
    wrap(
      'AMQP_URL is the broker, {amqp|amqps}://HOST[:PORT], or several separated by commas. User, password and vhost are what each client brings. [AMQP_URL]',
      0,
      columns,
    ),
  ];
  const flagged = optionNames
    .map(name => [name, optionOf(name)] as [typeof name, Option<unknown>])
    .filter(([, option]) => option.flag);
  for (const group of GROUPS) {
    const members = flagged.filter(([, option]) => option.group === group);
    if (members.length === 0) continue;
    lines.push('', `${group}:`);
    for (const [name, option] of members) {
      const facts = `default${NO_BREAK}${show(name, option.default)}`;
      const env = option.env ? ` [${option.env}]` : '';
      lines.push(
        row(option.letter, option.flag!, option.type.placeholder, `${option.help} (${facts})${env}`, columns),
      );
    }
  }
  lines.push('', 'Other:');
  for (const other of OTHER_FLAGS)
    lines.push(
      row(
        'letter' in other ? other.letter : undefined,
        other.flag,
        'placeholder' in other ? other.placeholder : undefined,
        other.help,
        columns,
      ),
    );
  lines.push(
    '',
    wrap(
      'A flag wins over the environment [NAME], that over the file, that over the default. More settings are in the file: amqproxy.ini(5).',
      0,
      columns,
    ),
    '',
    wrap(
      'SIGTERM lets clients finish and ends, a second one ends at once; SIGHUP reads the file again.',
      0,
      columns,
    ),
    '',
    'Example: amqproxy --listen 127.0.0.1 --port 5673 amqps://rabbitmq.example',
  );
  return lines.join('\n');
}
