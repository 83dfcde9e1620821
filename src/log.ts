/**
 * Logging with pino. One event is one line: `message user=… vhost=… client=…`, the facts in a fixed order. On a terminal
 * with time and level, under systemd with the `<N>` priority that the journal takes off again (sd-daemon(3)), in a pipe
 * with the level, or as JSON.
 */
import { isatty } from 'node:tty';
import { type Logger, pino } from 'pino';
import { events } from './events.ts';
import { openJournal } from './journal.ts';
import { type Output, stdout } from './output.ts';
import { type LogRecord, Repeats } from './repeats.ts';

export type LogFormat = 'auto' | 'pretty' | 'journal' | 'json';
export type Style = 'pretty' | 'journal' | 'json' | 'plain';

/** One log record as pino gives it: the message, the facts, and what every record has. */
export type { LogRecord };

/** syslog(3)'s priorities. */
const PRIORITY: Record<string, number> = { trace: 7, debug: 7, info: 6, warn: 4, error: 3, fatal: 2 };
const COLOUR: Record<string, string> = {
  trace: '\x1b[2m',
  debug: '\x1b[2m',
  warn: '\x1b[33m',
  error: '\x1b[31m',
  fatal: '\x1b[1;31m',
};

/** Facts that come first, whatever the order in which they were given. */
const FIRST = ['id', 'user', 'vhost', 'client', 'upstream'];
/** What a record has besides its facts. `journal` holds facts that the message says already. */
const NO_FACTS = new Set(['level', 'time', 'msg', 'journal', 'each']);

/** Control characters (C0, DEL, C1) and Unicode's line ends: what could end a line or steer a terminal. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029]/gu;
const escapeCharacter = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A value that cannot break the line or be taken for another fact. */
function fact(value: unknown): string {
  const text =
    typeof value !== 'object' || value === null
      ? String(value)
      : // pino's serializer has made this of an Error
        typeof (value as Error).message === 'string'
        ? (value as Error).message
        : JSON.stringify(value);
  return text !== '' && !/[\s"=\p{Cc}]/u.test(text)
    ? text
    : JSON.stringify(text).replace(UNPRINTABLE, escapeCharacter);
}

/** The facts of a record in their fixed order. */
export function factsOf(record: LogRecord): LogRecord {
  const facts: LogRecord = {};
  for (const name of [...FIRST, ...Object.keys(record)])
    if (!NO_FACTS.has(name) && record[name] !== undefined) facts[name] = record[name];
  return facts;
}

/** The sentence of a log record: its message, then its facts. */
export function sentence(record: LogRecord): string {
  let line = String(record.msg ?? '').replace(UNPRINTABLE, ' ');
  for (const [name, value] of Object.entries(factsOf(record)))
    line += ` ${name.replace(UNPRINTABLE, ' ')}=${fact(value)}`;
  return line;
}

/** The line of a record, with its line feed. */
export function format(record: LogRecord, style: Style, coloured = false): string {
  const level = String(record.level);
  switch (style) {
    case 'json': {
      const { journal, each: _, ...rest } = record;
      return `${JSON.stringify({ ...rest, ...(journal as object | undefined) })}\n`;
    }
    case 'journal':
      return `<${PRIORITY[level] ?? 6}>${sentence(record)}\n`;
    case 'plain':
      return `${level.toUpperCase()} ${sentence(record)}\n`;
    case 'pretty': {
      const time = new Date(record.time as string).toTimeString().slice(0, 8);
      const line = `${time} ${level.toUpperCase().padEnd(5)} ${sentence(record)}`;
      const colour = coloured ? (COLOUR[level] ?? '') : '';
      return `${colour}${line}${colour && '\x1b[0m'}\n`;
    }
  }
}

/** What `auto` is here. A terminal comes first: one that was opened in a systemd session has JOURNAL_STREAM, too. */
export function styleFor(format: LogFormat, terminal: boolean, env: NodeJS.ProcessEnv): Style {
  if (format !== 'auto') return format;
  return terminal ? 'pretty' : env.JOURNAL_STREAM ? 'journal' : 'plain';
}

/** Where a terminal's last line is a status that must be cleared before anything is logged. */
export const statusLine = {
  shown: false,
  /** Another process writes it to the same terminal. */
  foreign: false,
};

interface LoggerOptions {
  output?: Output;
  env?: NodeJS.ProcessEnv;
  /** Facts of every record that its text leaves out. */
  facts?: object | undefined;
  /** Called when not even the first line can be written, with the system's error. */
  onUnwritable?: (code: string) => void;
}

/** Levels as pino's, and `silent`. Setting the level of the logger sets that of its children. */
export function createLogger(level: string, wanted: LogFormat, options: LoggerOptions = {}): Logger {
  const { output = stdout, env = process.env, facts, onUnwritable } = options;
  const terminal = isatty(output.fd);
  // Node makes a pipe non-blocking when it is first looked at: a reader that hangs must not hang the proxy
  if (output.fd === 1) void process.stdout;
  const style = styleFor(wanted, terminal, env);
  const coloured = terminal && !env.NO_COLOR && env.TERM !== 'dumb';
  const journal = style === 'journal' ? openJournal() : null;
  let written = false;

  const write = (record: LogRecord): void => {
    const { dropped } = output;
    if (dropped > 0) {
      // when this fails it counts for the record
      if (!output.write(format(lost(dropped, record), style, coloured))) return;
      output.dropped = 0;
    }
    if (output.write(format(record, style, coloured))) written = true;
    else if (!written && output.failure !== 'EAGAIN') onUnwritable?.(output.failure);
  };

  const emit = (record: LogRecord): void => {
    if (facts !== undefined) record.journal = { ...facts, ...(record.journal as object | undefined) };
    events.add(record);
    if (journal !== null) {
      const facts = { ...factsOf(record), ...(record.journal as object | undefined) };
      if (journal(PRIORITY[record.level as string] ?? 6, sentence(record), facts)) {
        written = true;
        return;
      }
    }
    if (statusLine.shown || statusLine.foreign) {
      statusLine.shown = false;
      output.write('\r\x1b[K');
    }
    write(record);
  };
  const repeats = new Repeats(emit);
  if (output === stdout) process.on('exit', () => repeats.flush());
  const stream = {
    write(json: string): void {
      const record = JSON.parse(json) as LogRecord;
      // who debugs wants to see all
      const whole = record.each === true || record.level === 'fatal' || logger.isLevelEnabled('debug');
      if (whole || repeats.admit(record)) emit(record);
    },
  };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      onChild: followParent,
    },
    stream,
  );
  return logger;
}

/** A record that says how many lines the reader of the log has missed. */
const lost = (n: number, { time }: LogRecord): LogRecord => ({
  level: 'warn',
  time,
  msg: `${n} log lines were lost: nobody read them`,
});

/**
 * pino fixes a child's level when it is made, as properties of its own. Without them it inherits its parent's, so that a
 * changed level reaches it; a child that is given a level afterwards keeps that.
 */
function followParent(child: Logger): void {
  const own = child as unknown as Record<string | symbol, unknown>;
  for (const name of Object.keys(child.levels.values)) delete own[name];
  delete own[pino.symbols.levelValSym];
}
