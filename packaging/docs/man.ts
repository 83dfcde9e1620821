/** The manual pages amqproxy(8) and amqproxy.ini(5). */

import { OTHER_FLAGS } from '../../src/config/help.ts';
import {
  GROUPS,
  KINDS,
  type Kind,
  namesIn,
  type Option,
  type OptionName,
  optionNames,
  optionOf,
  SECTIONS,
  show,
} from '../../src/config/options.ts';
import { type Command, commandNames, commandOf, VIEWS, viewNames } from '../../src/console/table.ts';

/** Text for troff: nothing in it is a request, a hyphen can be copied as a minus. */
const text = (words: string): string =>
  words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('µ', '\\(mc')
    .replace(/^([.'])/gm, '\\&$1');

const bold = (words: string): string => `\\fB${text(words)}\\fR`;
const italic = (words: string): string => `\\fI${text(words)}\\fR`;
const tagged = (tag: string, ...paragraph: string[]): string => `.TP\n${tag}\n${paragraph.join('\n')}`;

const all = optionNames.map(name => ({ name, ...optionOf(name) }) as Option<unknown> & { name: typeof name });

/** `-p PORT, --port PORT` */
const flagTag = (letter: string | undefined, flag: string, value: string | undefined): string =>
  [...(letter ? [`-${letter}`] : []), `--${flag}`]
    .map(way => `${bold(way)}${value ? ` ${italic(value)}` : ''}`)
    .join(', ');

const header = (name: string, section: number, title: string): string =>
  `.\\" made from src/config/options.ts by make docs\n.TH ${name} ${section} "" amqproxy "${title}"`;

const EXITS: [code: number, meaning: string][] = [
  [0, 'It has drained and stopped, or was told twice to stop.'],
  [64, 'A mistake in the command line.'],
  [69, 'It cannot listen: the port is in use, or a name cannot be looked up.'],
  [70, 'Internal error.'],
  [74, 'The log cannot be written.'],
  [77, 'It may not listen on that port.'],
  [78, 'A mistake in the settings, a file that cannot be read, or an address or socket that is not there.'],
];

export function programPage(): string {
  const flags = GROUPS.flatMap(group => all.filter(option => option.flag && option.group === group));
  return `${[
    header('AMQPROXY', 8, "System Manager's Manual"),
    '.SH NAME\namqproxy \\- connection pool for AMQP 0\\-9\\-1 (RabbitMQ)',
    `.SH SYNOPSIS\n${bold('amqproxy')} [${italic('options')}] [${italic('AMQP_URL')}]`,
    `.SH DESCRIPTION
Clients connect to amqproxy as they would to RabbitMQ.
It logs in to the broker with what each of them brings (user, password, vhost), keeps these connections open when
the clients have gone, and lends them to the next ones.
A web application that connects for every request then pays for next to nothing but its message.
.PP
${italic('AMQP_URL')} names the broker: {${bold('amqp')}|${bold('amqps')}}://${italic('HOST')}[:${italic('PORT')}], or several separated by commas, which are tried in turn.
User, password and vhost in it are ignored, with a warning.`,
    '.SH OPTIONS\nA flag wins over the environment, the environment over the file, the file over the default.',
    ...flags.map(option =>
      tagged(
        flagTag(option.letter, option.flag!, option.type.placeholder),
        text(option.help),
        `Default: ${text(show(option.name, option.default))}.`,
      ),
    ),
    ...OTHER_FLAGS.map(flag =>
      tagged(
        flagTag(
          'letter' in flag ? flag.letter : undefined,
          flag.flag,
          'placeholder' in flag ? flag.placeholder : undefined,
        ),
        text(flag.help),
      ),
    ),
    ...consoleSections(),
    '.SH ENVIRONMENT\nEmpty variables count as unset.',
    ...all
      .filter(option => option.env)
      .map(option =>
        tagged(
          bold(option.env!),
          option.flag ? `The same as ${bold(`--${option.flag}`)}.` : text(option.help),
        ),
      ),
    tagged(
      bold('LISTEN_FDS') + ', ' + bold('LISTEN_PID') + ', ' + bold('LISTEN_FDNAMES'),
      'Sockets from the service manager, named amqp, amqps or http.\nThey win over the addresses in the settings.',
    ),
    tagged(bold('JOURNAL_STREAM'), 'Log lines carry a priority for the journal.'),
    '.SH SIGNALS',
    tagged(
      bold('SIGTERM') + ', ' + bold('SIGINT'),
      `Drain: take no new clients, give those that have just come a moment to leave by themselves (or all of them ${bold('term_client_close_timeout')}), send the others a close (320), wait ${bold('term_timeout')}, end.\nA second one ends at once.`,
    ),
    tagged(
      bold('SIGHUP'),
      'Read the file and the certificates again.\nSettings that need a restart are named in a warning; a mistake changes nothing.',
    ),
    tagged(
      bold('SIGUSR1') + ', ' + bold('SIGUSR2'),
      'Nothing: they end no client, and the debugger of the runtime stays closed.',
    ),
    '.SH EXIT STATUS',
    ...EXITS.map(([code, meaning]) => tagged(bold(String(code)), text(meaning))),
    '.SH FILES',
    tagged(italic('/etc/amqproxy.ini'), `The settings of the service, see ${bold('amqproxy.ini')}(5).`),
    tagged(italic('/etc/amqproxy.d/*.ini'), 'More settings, read after it.'),
    tagged(italic('/etc/default/amqproxy'), 'Environment variables of the service.'),
    tagged(
      italic('/usr/share/doc/amqproxy'),
      'How to switch from AMQProxy, to operate it, what it does and what it costs.',
    ),
    `.SH EXAMPLES
.nf
${text('amqproxy amqp://rabbitmq.example')}
${text('amqproxy --listen 127.0.0.1 --port 5673 amqps://rabbitmq1.example,amqps://rabbitmq2.example')}
${text('amqproxy --config /etc/amqproxy.ini --check-config')}
${text('systemctl enable --now amqproxy && journalctl -fu amqproxy')}
.fi`,
    `.SH SEE ALSO\n${bold('amqproxy.ini')}(5), ${bold('systemd.socket')}(5), ${bold('journalctl')}(1)`,
  ].join('\n')}\n`;
}

/** What the console can do, and show. */
function consoleSections(): string[] {
  const commandTag = (name: string, { args }: Command): string =>
    `${bold(`amqproxy ${name}`)}${args ? ` ${italic(args)}` : ''}`;
  const option = (flag: string, value: string | undefined, help: string): string =>
    `.RS\n${tagged(flagTag(undefined, flag, value), text(help))}\n.RE`;
  return [
    `.SH CONSOLE
These commands talk to an amqproxy that runs on this machine, over its control socket (${bold('socket')} in [admin] of ${bold('amqproxy.ini')}(5)).
Whoever may write to that file may use them: root, and the group of the service.
Each act is logged, with who did it.
Clients are named c1, c2 and so on, upstreams u1, u2, pools ${italic('USER')}@${italic('VHOST')}, brokers ${italic('HOST')}:${italic('PORT')}: here, in what is shown, and in the log.
${bold('--socket')} ${italic('PATH')} names the socket of another one.
The exit status is 0 when it is done, 1 when it is not.`,
    ...commandNames.flatMap(name => {
      const command = commandOf(name);
      return [
        tagged(commandTag(name, command), text(command.help)),
        ...(command.options ?? []).map(({ flag, value, help }) => option(flag, value, help)),
      ];
    }),
    '.SS What can be shown',
    ...viewNames.map(name => tagged(bold(name), text(VIEWS[name].help))),
    `.PP
The same is to be had as JSON: by GET of ${text('/show/')}${italic('WHAT')}, with ${text('?filter=')}${italic('FILTER')} and ${text('&limit=')}${italic('N')}, on the control socket
(${text('curl --unix-socket /run/amqproxy/admin.sock http://localhost/show/pools')}) and on the HTTP port.
Acts are to be had by POST of ${text('/')}${italic('COMMAND')}${text('?arg=')}${italic('ARGUMENT')}${text('&')}${italic('FLAG')}${text('=')}${italic('VALUE')} on the control socket only.`,
  ];
}

/** What each kind of section with a name is for. */
const NAMED: Record<Kind, string> = {
  route: `Sends some users or vhosts to other brokers than those of [main]: one amqproxy then serves several clusters.
There may be as many as there are clusters, each with a name of letters, digits, _ . and \\-.
The first one that fits, in the order of the file, is taken; whom none fits goes by [main].
What a route does not set comes from [main].
Where every route has an upstream, [main] needs none: whom no route fits is refused (530).
A route that others before it leave nobody for ends the start; two that fit some of the same are named in a warning.
${bold('amqproxy --check-config --as')} ${italic('USER@VHOST')} prints which one is taken.
max_clients, max_clients_per_user and max_upstreams_total of a route hold for it, those of [main] for all together.`,
  listen: `Another place where clients come in, beside that of [listen]: a port, or a Unix socket.
There may be as many as are needed, each with a name of letters, digits, _ . and \\-.
A socket that the service manager hands over by this name (FileDescriptorName=) is taken instead of the port or socket.
What it does not set comes from [listen].
A section that is new listens after a reload, one that has gone no more, one that has moved at its new place; clients stay.`,
};

function namedSection(kind: Kind): string[] {
  const own = namesIn(kind).filter(name => !optionNames.includes(name));
  const shared = namesIn(kind).filter(name => optionNames.includes(name));
  return [
    `.SH SECTION [${kind} NAME]`,
    NAMED[kind],
    ...own.map(setting),
    `.PP\nIt may also have, for itself: ${shared.map(name => bold(optionOf(name).key)).join(', ')}.`,
  ];
}

const setting = (name: OptionName): string => {
  const option = optionOf(name);
  return tagged(
    bold(option.key),
    text(option.more ? `${option.help} ${option.more}` : option.help),
    '.br',
    text(
      [
        `Allowed: ${option.type.allowed}.`,
        `Default: ${show(name, option.default) || 'none'}.`,
        ...(option.env ? [`Environment: ${option.env}.`] : []),
        ...(option.flag ? [`Flag: --${option.flag}.`] : []),
        ...(option.aliases ?? []).map(
          alias => `Also written ${alias.replace(/^(.*)\.(.*)$/, '$2 in [$1]')}.`,
        ),
        ...(option.live ? [] : ['Changes at the next restart.']),
      ].join(' '),
    ),
  );
};

export function iniPage(): string {
  const section = (name: (typeof SECTIONS)[number]): string[] => [
    `.SH SECTION [${name}]`,
    ...GROUPS.flatMap(group => {
      const members = all.filter(option => option.section === name && option.group === group);
      return members.length === 0 ? [] : [`.SS ${group}`, ...members.map(({ name }) => setting(name))];
    }),
  ];
  return `${[
    header('AMQPROXY.INI', 5, 'File Formats Manual'),
    '.SH NAME\namqproxy.ini \\- settings of amqproxy',
    `.SH DESCRIPTION
Each line is ${bold('[section]')}, ${bold('key = value')}, empty, or a comment that begins with ; or #.
A ; or # within a value begins a comment, too, unless a backslash stands before it.
Of a key that comes twice the last one counts.
Files named ${italic('/etc/amqproxy.d/*.ini')} (for another file than /etc/amqproxy.ini: its name without .ini, and .d) are read after it, in the order of their names.
Times are in seconds, fractions allowed.
Sizes are in bytes, with k, m or g for powers of 1024 (64k, 1MiB).
Yes and no may also be true and false, on and off.
.PP
An unknown section or key, a wrong type or a value out of range ends the start with exit status 78; all mistakes are told at
once, with file, line, key, value and what is allowed.
${bold('amqproxy --config')} ${italic('FILE')} ${bold('--check-config')} only checks, and prints the settings in effect with where each comes from.
.PP
After ${bold('systemctl reload amqproxy')} (SIGHUP) most settings change at once; those that need a restart say so below.`,
    ...SECTIONS.flatMap(section),
    ...KINDS.flatMap(namedSection),
    `.SH EXAMPLES
.nf
[main]
upstream = amqps://rabbitmq.example
max_clients = 5000

[listen]
address = 0.0.0.0
.fi`,
    `.SH SEE ALSO\n${bold('amqproxy')}(8)`,
  ].join('\n')}\n`;
}
