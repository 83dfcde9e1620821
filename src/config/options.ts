/**
 * The one table of options, a file for each group of the manual. The checks, the `Config` type, `--help`,
 * etc/amqproxy.ini, the manual pages and the completions come from it: a new option is one entry there (then `make docs`).
 */
import type { Option } from './option.ts';
import { ADMIN } from './options/admin.ts';
import { BROKER } from './options/broker.ts';
import { LIMITS } from './options/limits.ts';
import { LISTEN } from './options/listen.ts';
import { LOG } from './options/log.ts';
import { POOL } from './options/pool.ts';
import { TIME } from './options/time.ts';

export { GROUPS, type Option, SECTIONS } from './option.ts';
export type { BrokerAddress } from './types.ts';

export const OPTIONS = { ...BROKER, ...POOL, ...LIMITS, ...TIME, ...LOG, ...LISTEN, ...ADMIN };

export type OptionName = keyof typeof OPTIONS;

/** The settings by name: sizes in bytes, times in seconds. */
export type Config = { -readonly [K in OptionName]: (typeof OPTIONS)[K]['default'] };

export const optionNames = Object.keys(OPTIONS) as OptionName[];

/** An option as one type, for code that treats all alike. */
export const optionOf = (name: OptionName): Option<unknown> => OPTIONS[name] as unknown as Option<unknown>;

export function defaults(): Config {
  return Object.fromEntries(optionNames.map(name => [name, OPTIONS[name].default])) as unknown as Config;
}

/** A value as it is written in the INI file. */
export const show = (name: OptionName, value: unknown): string => optionOf(name).type.show(value);
