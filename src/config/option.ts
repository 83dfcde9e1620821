/** What the table says of one option. */
import type { Type } from './types.ts';

/** Headings of the manual, in this order. */
export const GROUPS = ['Broker', 'Listen', 'Pool', 'Limits', 'Time', 'Log', 'Monitoring'] as const;

/** Sections of the INI file, in this order. */
export const SECTIONS = ['main', 'listen', 'admin'] as const;

/** Kinds of sections of which there may be several, each with a name: `[route NAME]`. */
export const KINDS = ['route', 'listen'] as const;
export type Kind = (typeof KINDS)[number];

export interface Option<T> {
  /** Section and key in the INI file. */
  section: (typeof SECTIONS)[number] | `${Kind} NAME`;
  key: string;
  /** Other spellings of the same: `key` in the same section, or `section.key`. */
  aliases?: string[];
  /** Kinds of sections with a name that may have it as well, for themselves. */
  alsoIn?: readonly Kind[];
  group: (typeof GROUPS)[number];
  type: Type<T>;
  default: T;
  /** Environment variable. */
  env?: string;
  /** Command-line flag, and its letter. */
  flag?: string;
  letter?: string;
  /** Takes effect on reload (SIGHUP); the others at the next start. */
  live: boolean;
  /** One sentence, with its unit, and what 0 means. */
  help: string;
  /** What else the manual says: why this default, what it costs. */
  more?: string;
}

type Entry<T> = Omit<Option<T>, 'section' | 'key' | 'default'> & { default: NoInfer<T> };

/** An entry of the table: `main('max_clients', {…})` is the key max_clients in [main]. */
export const main = <T>(key: string, entry: Entry<T>): Option<T> => ({ section: 'main', key, ...entry });
export const listen = <T>(key: string, entry: Entry<T>): Option<T> => ({ section: 'listen', key, ...entry });
export const admin = <T>(key: string, entry: Entry<T>): Option<T> => ({ section: 'admin', key, ...entry });
/** A key that only sections with a name have. */
export const named = <T>(kind: Kind, key: string, entry: Entry<T>): Option<T> => ({
  section: `${kind} NAME`,
  key,
  ...entry,
});

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const KIB = 1024;
export const MIB = 1024 * KIB;
