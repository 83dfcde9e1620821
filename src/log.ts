/**
 * Logging with pino. One event is one line: `message key=value …`. On a terminal with time and level, under systemd with
 * the `<N>` priority that the journal takes off again (sd-daemon(3)), in a pipe with the level, or as JSON.
 */
import { writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { openJournal } from './journal.ts';

export type LogFormat = 'auto' | 'pretty' | 'journal' | 'json';

const PRIORITY: Record<number, number> = { 10: 7, 20: 7, 30: 6, 40: 4, 50: 3, 60: 2 };
const NAMES: Record<number, string> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
};
const COLOURS: Record<number, string> = { 20: '\x1b[2m', 40: '\x1b[33m', 50: '\x1b[31m', 60: '\x1b[31m' };

/** A value that cannot break the line or be taken for another fact. */
function fact(value: unknown): string {
  const text = String(value);
  return /^[^\s"=\x00-\x1f\x7f]+$/.test(text) ? text : JSON.stringify(text);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it takes out
const oneLine = (text: string): string => text.replace(/[\x00-\x1f\x7f]/g, ' ');

/** What a record says besides its message. */
function factsOf(record: Record<string, unknown>): Record<string, unknown> {
  const {
    level: _level,
    time: _time,
    pid: _pid,
    hostname: _hostname,
    msg: _msg,
    journal: _journal,
    ...facts
  } = record;
  return facts;
}

/** The sentence of a log record: its message, then its facts. `journal` holds facts that the message says already. */
export function sentence(record: Record<string, unknown>): string {
  let line = oneLine(String(record.msg ?? ''));
  for (const [name, value] of Object.entries(factsOf(record)))
    if (value !== undefined) line += ` ${name}=${fact(value)}`;
  return line;
}

/** Where a terminal's last line is a status that must be cleared before anything is logged. */
export const statusLine = { shown: false };

export function createLogger(level: string, format: LogFormat): Logger {
  const chosen =
    format !== 'auto'
      ? format
      : process.env.JOURNAL_STREAM
        ? 'journal'
        : process.stdout.isTTY
          ? 'pretty'
          : 'plain';
  const write = (line: string): void => {
    try {
      writeSync(1, line);
    } catch {
      // a full pipe or a closed one: a log line is not worth the service
    }
  };
  const journal = chosen === 'journal' ? openJournal() : null;
  const stream = {
    write(json: string): void {
      if (chosen === 'json') return write(json);
      const record = JSON.parse(json) as Record<string, unknown>;
      const n = record.level as number;
      const text = sentence(record);
      if (chosen === 'journal') {
        const priority = PRIORITY[n] ?? 6;
        if (journal?.(priority, text, { ...factsOf(record), ...(record.journal as object) })) return;
        return write(`<${priority}>${text}\n`);
      }
      if (chosen === 'plain') return write(`${NAMES[n]} ${text}\n`);
      const time = new Date(record.time as number).toTimeString().slice(0, 8);
      const colour = process.stdout.isTTY ? (COLOURS[n] ?? '') : '';
      const clear = statusLine.shown ? '\r\x1b[K' : '';
      statusLine.shown = false;
      write(`${clear}${colour}${time} ${NAMES[n].padEnd(5)} ${text}${colour ? '\x1b[0m' : ''}\n`);
    },
  };
  return pino({ level, base: null }, stream);
}
