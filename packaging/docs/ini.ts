/** etc/amqproxy.ini.example: every key commented out, with what it does and its default. */
import {
  GROUPS,
  KINDS,
  type Kind,
  namesIn,
  type OptionName,
  optionNames,
  optionOf,
  SECTIONS,
  show,
} from '../../src/config/options.ts';

const WIDTH = 100;

function comment(text: string): string[] {
  const lines = ['#'];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last.length + 1 + word.length > WIDTH) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function setting(name: OptionName): string[] {
  const { key, help, more, type, live, default: value } = optionOf(name);
  const lines = comment(more ? `${help} ${more}` : help);
  // what is allowed need not be said where the default says it
  lines.push(...comment(`Allowed: ${type.allowed}.${live ? '' : ' Changes at the next restart.'}`));
  if (name === 'upstream')
    return [...lines, '# This one must be set:', ';upstream = amqp://rabbitmq.example:5672', ''];
  return [...lines, `;${key} = ${show(name, value)}`.trimEnd(), ''];
}

/** What each kind of section with a name is for, and an example. */
const NAMED: Record<Kind, [text: string, ...example: string[]]> = {
  route: [
    'Other brokers for some vhosts or users, as many sections as there are clusters. The first that fits is taken; what it does not set comes from [main], where everybody goes whom none fits. See: amqproxy --check-config --as USER@VHOST',
    '[route eu]',
    'vhosts = shop-eu, eu-*',
    'users = app, reports-*',
    'upstream = amqps://rabbitmq.eu.example',
  ],
  listen: [
    'Another place where clients come in, beside [listen]: a port or a Unix socket. What it does not set comes from [listen].',
    '[listen app]',
    'socket = /run/amqproxy/app.sock',
    '[listen balanced]',
    'address = 0.0.0.0',
    'port = 5674',
    'proxy_protocol = yes',
    'proxy_from = 192.0.2.10',
  ],
};

function namedSection(kind: Kind): string[] {
  const [text, ...example] = NAMED[kind];
  const keys = namesIn(kind).map(name => optionOf(name).key);
  return [
    `# ---- [${kind} NAME]`,
    '',
    ...comment(text),
    ...comment(`It may have: ${keys.join(', ')}.`),
    '#',
    ...example.map(line => `#   ${line}`),
    '',
  ];
}

export function iniFile(): string {
  const lines = [
    '# All settings of amqproxy, see amqproxy.ini(5). Each key stands here with its default: take the ; away to change it.',
    '#   amqproxy --config /etc/amqproxy.ini --check-config   checks this file and shows what is in effect',
    '#   systemctl reload amqproxy                            takes over what has changed (a mistake changes nothing)',
    '',
  ];
  for (const section of SECTIONS) {
    lines.push(`[${section}]`, '');
    for (const group of GROUPS) {
      const names = optionNames.filter(
        name => optionOf(name).section === section && optionOf(name).group === group,
      );
      if (names.length === 0) continue;
      lines.push(`# ---- ${group}`, '', ...names.flatMap(setting));
    }
  }
  lines.push(...KINDS.flatMap(namedSection));
  return `${lines.join('\n').trimEnd()}\n`;
}
