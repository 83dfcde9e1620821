/**
 * The one table of the console: its commands and what can be shown. The command line, its help, the manual page, the
 * completions and the handlers come from it: a new command is one entry here and one in `acts.ts`.
 */

export interface ConsoleOption {
  flag: string;
  /** What its value is; without one it is a switch. */
  value?: string;
  help: string;
}

export interface Command {
  /** What stands for its arguments, as in a synopsis. */
  args: string;
  /** What the shell may complete its first argument with. */
  completes?: 'views' | 'clients' | 'pools' | 'brokers' | 'keys' | 'places';
  /** Reads change nothing, and can be had over TCP, too. */
  kind: 'read' | 'act';
  help: string;
  options?: ConsoleOption[];
}

const TIMEOUT: ConsoleOption = {
  flag: 'timeout',
  value: 'SECONDS',
  help: 'Give up after that long, and say who holds on.',
};
const REASON: ConsoleOption = { flag: 'reason', value: 'TEXT', help: 'What clients are told, and the log.' };

export const COMMANDS = {
  show: {
    args: 'WHAT [FILTER …]',
    completes: 'views',
    kind: 'read',
    help: 'Shows what there is, as a table. A filter is COLUMN=VALUE with * for anything, or a word that stands anywhere in a row.',
    options: [
      { flag: 'json', help: 'As JSON, all columns.' },
      { flag: 'ids', help: 'The first column only, without a head.' },
      { flag: 'watch', value: '[SECONDS]', help: 'Again and again, every 2 seconds unless told otherwise.' },
    ],
  },
  top: {
    args: '',
    kind: 'read',
    help: 'Shows rates, waits, pools, clients and upstreams live; keys are named on its last line.',
  },
  debug: {
    args: 'CLIENT [off]',
    completes: 'clients',
    kind: 'act',
    help: "Logs one client's way at info: leases, promotion and why, its end.",
  },
  kill: {
    args: 'CLIENT|FILTER …',
    completes: 'clients',
    kind: 'act',
    help: 'Closes clients with 320 and the reason given. Several filters must all hold.',
    options: [REASON],
  },
  pause: {
    args: '[POOL|BROKER]',
    completes: 'places',
    kind: 'act',
    help: 'New leases and logins wait, those that are under way end. Returns when none is left; what was paused stays so until resume.',
    options: [TIMEOUT],
  },
  resume: {
    args: '[POOL|BROKER]',
    completes: 'places',
    kind: 'act',
    help: 'Ends a pause. Without an argument, all of them.',
  },
  reconnect: {
    args: '[POOL|BROKER]',
    completes: 'places',
    kind: 'act',
    help: 'New leases get new upstreams; those that are there end with their last lease.',
  },
  drain: {
    args: 'BROKER',
    completes: 'brokers',
    kind: 'act',
    help: 'A broker gets no new upstreams; those that are there end with their last lease.',
  },
  undrain: { args: 'BROKER', completes: 'brokers', kind: 'act', help: 'Ends that.' },
  switch: {
    args: 'AMQP_URL',
    kind: 'act',
    help: 'Pauses, goes to another broker when nothing is under way, and resumes: clients notice one longer wait. Where some hold on, nothing is changed.',
    options: [
      {
        flag: 'route',
        value: 'NAME',
        help: 'For a [route NAME] alone; else for [main], and routes that have their brokers from it.',
      },
      TIMEOUT,
      { flag: 'force', help: 'Close those who hold on, with 320, and go on.' },
      REASON,
    ],
  },
  set: {
    args: 'KEY VALUE',
    completes: 'keys',
    kind: 'act',
    help: 'Changes a setting that can change live, until the next reload.',
  },
  reload: {
    args: '',
    kind: 'act',
    help: 'Reads the settings again, as SIGHUP does; mistakes are the answer.',
  },
  check: { args: '', kind: 'act', help: 'Reads the settings as reload would, and changes nothing.' },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;
export const commandNames = Object.keys(COMMANDS) as CommandName[];
export const isCommand = (word: string | undefined): word is CommandName =>
  word !== undefined && Object.hasOwn(COMMANDS, word);
/** A command as one type, for code that treats all alike. */
export const commandOf = (name: CommandName): Command => COMMANDS[name];

/** How a value is written in a table. */
export type Form = 'text' | 'number' | 'seconds' | 'bytes' | 'rate' | 'time';

export interface Column {
  key: string;
  title: string;
  form: Form;
  /** Those with the highest number are left out first where the terminal is narrow; 0 stays. */
  rank: number;
  /** Its sum stands below. */
  total?: boolean;
  /** It is left out where no row has anything else there. */
  unless?: string;
}

export interface View {
  help: string;
  columns: readonly Column[];
  /** Rows with the most of it come first; the second decides where the first says nothing. */
  order: readonly string[];
}

const text = (key: string, rank: number, title = key): Column => ({ key, title, form: 'text', rank });
const n = (key: string, rank: number, title = key): Column => ({
  key,
  title,
  form: 'number',
  rank,
  total: true,
});
const of = (form: Form, key: string, rank: number, title = key): Column => ({ key, title, form, rank });

/** Of interest only where there are routes. */
const ROUTE: Column = { ...text('route', 3), unless: 'main' };

export const VIEWS = {
  clients: {
    help: 'Who is connected, what they do and wait for.',
    order: ['waiting', 'buffered', 'messages'],
    columns: [
      text('id', 0),
      text('pool', 0),
      ROUTE,
      text('address', 1),
      text('state', 0),
      of('seconds', 'waiting', 0, 'waits'),
      n('channels', 3),
      text('upstream', 1),
      n('published', 2),
      n('delivered', 2),
      of('bytes', 'bytes_in', 4, 'in'),
      of('bytes', 'bytes_out', 4, 'out'),
      of('bytes', 'buffered', 2),
      of('seconds', 'quiet', 3),
      of('seconds', 'age', 2),
      text('name', 1),
      text('certificate', 6),
      text('product', 5),
    ],
  },
  pools: {
    help: 'Users and vhosts: who waits, and what they have.',
    order: ['waiting', 'clients'],
    columns: [
      text('id', 0),
      ROUTE,
      text('state', 0),
      n('clients', 0),
      n('waiting', 0, 'wait'),
      of('seconds', 'longest_wait', 0, 'longest'),
      n('upstreams', 0),
      n('shared', 2),
      n('private', 2),
      n('busy', 1),
      n('leased', 2),
      n('parked', 3),
      of('rate', 'logins_rate', 1, 'logins/s'),
      of('rate', 'leases_rate', 2, 'leases/s'),
      of('rate', 'published_rate', 1, 'in/s'),
      of('rate', 'delivered_rate', 1, 'out/s'),
      n('refused', 3),
    ],
  },
  upstreams: {
    help: 'Connections to brokers, what they carry and for whom.',
    order: ['due', 'leased'],
    columns: [
      text('id', 0),
      text('pool', 0),
      ROUTE,
      text('broker', 0),
      of('number', 'port', 3),
      text('state', 0),
      text('holder', 1),
      text('why', 2),
      n('apart', 2),
      n('leased', 0),
      n('settling', 3),
      n('parked', 2),
      n('published', 2),
      n('delivered', 2),
      of('bytes', 'bytes_in', 4, 'in'),
      of('bytes', 'bytes_out', 4, 'out'),
      of('bytes', 'buffered', 2),
      of('seconds', 'due', 1),
      of('seconds', 'age', 1),
      text('name', 4),
      text('title', 5),
    ],
  },
  brokers: {
    help: 'Whether each broker can be reached.',
    order: ['failures'],
    columns: [
      text('id', 0),
      ROUTE,
      text('state', 0),
      of('seconds', 'for', 0),
      n('upstreams', 0),
      n('leased', 1),
      n('blocked', 1),
      of('seconds', 'barrier', 1),
      n('dials', 2),
      of('seconds', 'dialed', 2, 'last dial'),
      n('failures', 1),
      text('why', 0),
    ],
  },
  stats: {
    help: 'Rates and waits of the last 10 seconds, minute and hour.',
    order: [],
    columns: [
      text('span', 0),
      of('rate', 'logins', 0, 'logins/s'),
      of('number', 'reused', 2, 'reused %'),
      of('rate', 'leases', 0, 'leases/s'),
      of('rate', 'published', 0, 'in/s'),
      of('rate', 'delivered', 0, 'out/s'),
      of('bytes', 'bytes_in', 2, 'in B/s'),
      of('bytes', 'bytes_out', 2, 'out B/s'),
      of('rate', 'refused', 1, 'refused/s'),
      of('seconds', 'login_p50', 2, 'login p50'),
      of('seconds', 'login_p99', 1, 'p99'),
      of('seconds', 'lease_p50', 2, 'lease p50'),
      of('seconds', 'lease_p99', 1, 'p99'),
      of('seconds', 'barrier_p50', 2, 'barrier p50'),
      of('seconds', 'barrier_p99', 1, 'p99'),
    ],
  },
  config: {
    help: 'The settings in effect, and where each comes from.',
    order: [],
    columns: [text('key', 0), text('value', 0), text('source', 0), text('live', 1)],
  },
  events: {
    help: 'The last 1,000 lines of the log.',
    order: [],
    columns: [of('time', 'time', 0), text('level', 0), text('message', 0), text('facts', 0)],
  },
} as const satisfies Record<string, View>;

export type ViewName = keyof typeof VIEWS;
export const viewNames = Object.keys(VIEWS) as ViewName[];
export const isView = (word: string | undefined): word is ViewName =>
  word !== undefined && Object.hasOwn(VIEWS, word);
export const viewOf = (name: ViewName): View => VIEWS[name];
