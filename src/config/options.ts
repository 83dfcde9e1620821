/**
 * The one table of options, a file for each group of the manual. The checks, the `Config` type, `--help`,
 * etc/amqproxy.ini, the manual pages and the completions come from it: a new option is one entry there (then `make docs`).
 */
import { type Kind, type Option, SECTIONS } from './option.ts';
import { ADMIN } from './options/admin.ts';
import { BROKER } from './options/broker.ts';
import { LIMITS } from './options/limits.ts';
import { LISTEN } from './options/listen.ts';
import { LISTENER } from './options/listener.ts';
import { LOG } from './options/log.ts';
import { POOL } from './options/pool.ts';
import { ROUTE } from './options/route.ts';
import { TIME } from './options/time.ts';

export { GROUPS, KINDS, type Kind, type Option, SECTIONS } from './option.ts';
export type { BrokerAddress } from './types.ts';

export const OPTIONS = {
  ...BROKER,
  ...POOL,
  ...LIMITS,
  ...TIME,
  ...LOG,
  ...LISTEN,
  ...ADMIN,
  ...ROUTE,
  ...LISTENER,
};

export type OptionName = keyof typeof OPTIONS;

/** Values by name: sizes in bytes, times in seconds. */
export type Options = { -readonly [K in OptionName]: (typeof OPTIONS)[K]['default'] };

/** A section of a kind of which there may be several: see sections.ts. */
export interface NamedSection {
  readonly kind: Kind;
  readonly name: string;
  /** Where it begins: "/etc/amqproxy.ini:3". */
  readonly place: string;
  /** What it sets itself. */
  readonly own: Partial<Options>;
  /** Where it sets that. */
  readonly sources: Partial<Record<OptionName, string>>;
}

/** The settings. Keys that only sections with a name have are at their defaults, but in what `settingsIn` gives. */
export type Config = Options & { sections: readonly NamedSection[] };

const allNames = Object.keys(OPTIONS) as OptionName[];

/** An option as one type, for code that treats all alike. */
export const optionOf = (name: OptionName): Option<unknown> => OPTIONS[name] as unknown as Option<unknown>;

/** All but those that only sections with a name have. */
export const optionNames = allNames.filter(name =>
  (SECTIONS as readonly string[]).includes(optionOf(name).section),
);

/** Those that a section of this kind may have. */
export const namesIn = (kind: Kind): OptionName[] =>
  allNames.filter(name => {
    const { section, alsoIn } = optionOf(name);
    return section === `${kind} NAME` || alsoIn?.includes(kind);
  });

export function defaults(): Config {
  const values = Object.fromEntries(allNames.map(name => [name, OPTIONS[name].default]));
  return { ...(values as unknown as Options), sections: [] };
}

/** A value as it is written in the INI file. */
export const show = (name: OptionName, value: unknown): string => optionOf(name).type.show(value);
