/** The settings files: the one that is named, and those of the directory beside it, which are read after it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseIniFile, readText, whyUnreadable } from './ini.ts';

/** A line of a file: a setting, the heading of a section (its key is empty), or what is wrong with it. */
export interface FileEntry {
  file: string;
  line: number;
  section: string;
  key: string;
  value: string;
  problem?: string;
}

/** Of /etc/amqproxy.ini it is /etc/amqproxy.d: what packages, roles and people add, each in a file of its own. */
export const dropInDirectory = (file: string): string => `${file.replace(/\.ini$/, '')}.d`;

/** In the order they are read; hidden files and those that editors and packages leave behind are not among them. */
function dropIns(file: string): string[] {
  const dir = dropInDirectory(file);
  try {
    const names = readdirSync(dir).filter(name => name.endsWith('.ini') && !name.startsWith('.'));
    return names.sort().map(name => join(dir, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new Error(`${dir}: cannot be read: ${whyUnreadable(error)}. Make it readable, or take it away`);
  }
}

function read(file: string, orElse: string): string {
  try {
    return readText(file);
  } catch (error) {
    throw new Error(`${file}: cannot be read: ${(error as Error).message}. Make it readable, or ${orElse}`);
  }
}

/** All lines of all files; of a key that comes twice the last one counts. @throws Error for a file that cannot be read. */
export function readSettings(file: string): FileEntry[] {
  const texts = [[file, read(file, 'name another with --config')]];
  for (const other of dropIns(file)) texts.push([other, read(other, 'take it away')]);
  return texts.flatMap(([name, text]) => {
    const { entries, headers, problems } = parseIniFile(text);
    return [
      ...headers.map(header => ({ ...header, file: name, key: '', value: '' })),
      ...entries.map(entry => ({ ...entry, file: name, section: entry.section || 'main' })),
      ...problems.map(({ line, what }) => ({
        file: name,
        line,
        section: '',
        key: '',
        value: '',
        problem: what,
      })),
    ].sort((a, b) => a.line - b.line);
  });
}
