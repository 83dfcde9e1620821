/** The INI file with line numbers. The package `ini` reads each value; only what stands where is found here. */
import { closeSync, openSync, readSync } from 'node:fs';
import { parse } from 'ini';
import { printable } from './types.ts';

export interface Entry {
  section: string;
  key: string;
  value: string;
  line: number;
}

export interface IniFile {
  entries: Entry[];
  /** Where each section begins. */
  headers: { section: string; line: number }[];
  /** Lines that are neither comment, section nor setting. */
  problems: { line: number; what: string }[];
}

/** No settings file is larger; what is was named by mistake. */
const MAX_BYTES = 1024 * 1024;

const WHY: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied to the user that runs amqproxy',
  EISDIR: 'it is a directory',
  ENOTDIR: 'there is no such directory',
};

export function whyUnreadable(error: unknown): string {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return WHY[code] ?? code;
}

/** @throws Error saying why a file cannot be read, in words. */
export function readText(file: string): string {
  const bytes = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  try {
    const fd = openSync(file, 'r');
    try {
      for (let n = -1; n !== 0 && length < bytes.length; length += n)
        n = readSync(fd, bytes, length, bytes.length - length, null);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new Error(whyUnreadable(error));
  }
  if (length > MAX_BYTES) throw new Error('it is larger than 1 MiB');
  return bytes.toString('utf8', 0, length).replace(/^\uFEFF/, '');
}

/** What `ini` makes of one line. */
function parseLine(line: string): [key: string, value: string] | null {
  const [entry] = Object.entries(parse(line, { bracketedArray: false }) as Record<string, unknown>);
  return entry === undefined || typeof entry[1] === 'object' ? null : [entry[0], String(entry[1])];
}

export function parseIniFile(text: string): IniFile {
  const found: IniFile = { entries: [], headers: [], problems: [] };
  let section = '';
  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const content = raw.trim();
    if (content === '' || content.startsWith(';') || content.startsWith('#')) continue;
    const line = index + 1;
    const header = /^\[([^\]]*)\]\s*(?:[;#].*)?$/.exec(content);
    const setting = header === null && content.indexOf('=') > 0 ? parseLine(content) : null;
    if (header !== null) {
      section = header[1].trim();
      found.headers.push({ section, line });
    } else if (setting !== null) found.entries.push({ section, key: setting[0], value: setting[1], line });
    else found.problems.push({ line, what: `"${printable(content)}" is neither [section] nor key = value` });
  }
  return found;
}
