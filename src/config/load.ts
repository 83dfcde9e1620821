/** Puts the effective settings together: flag, then environment, then file, then default; all mistakes at once. */
import { safe } from 'ini';
import { checkTogether } from './check.ts';
import { parseIniFile, readText } from './ini.ts';
import { type Config, defaults, type OptionName, optionNames, optionOf, show } from './options.ts';
import { nearest } from './suggest.ts';
import { printable } from './types.ts';

/** What is wrong with the configuration: one line for each mistake. Exit code 78 (EX_CONFIG). */
export class ConfigError extends Error {
  readonly problems: string[];

  constructor(problems: string[]) {
    const more = problems.length - MAX_PROBLEMS;
    super(
      (more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `… and ${more} more mistakes`] : problems).join('\n'),
    );
    this.problems = problems;
  }
}

export interface Loaded {
  config: Config;
  /** Where each value comes from: "default", "flag --port", "environment LISTEN_PORT", "/etc/amqproxy.ini:3". */
  sources: Record<OptionName, string>;
}

export interface Sources {
  /** Values of flags (and the AMQP_URL argument), by option. */
  flags?: Partial<Record<OptionName, string>>;
  env?: NodeJS.ProcessEnv;
  file?: string | undefined;
}

/** A file that is no settings file at all has a mistake in each line. */
const MAX_PROBLEMS = 20;

/** The option that a section and key name, by the table. AMQProxy takes keys above all sections for [main]'s. */
function optionFor(section: string, key: string): OptionName | undefined {
  return optionNames.find(name => {
    const option = optionOf(name);
    if (option.section === section && option.key === key) return true;
    return option.aliases?.some(alias =>
      alias.includes('.') ? alias === `${section}.${key}` : option.section === section && alias === key,
    );
  });
}

function unknownKey(section: string, key: string): string {
  const sections = [...new Set<string>(optionNames.map(name => optionOf(name).section))];
  if (!sections.includes(section)) {
    const near = nearest(section, sections);
    return `unknown section [${printable(section)}]: ${near ? `did you mean [${near}]? ` : ''}Allowed are [${sections.join('] and [')}]`;
  }
  const options = optionNames.map(optionOf);
  const elsewhere = options.find(option => option.key === key);
  const keys = options.filter(option => option.section === section).map(option => option.key);
  const near =
    nearest(key, keys) ??
    nearest(
      key,
      options.map(option => option.key),
    );
  const hint =
    elsewhere !== undefined
      ? `it belongs in [${elsewhere.section}]`
      : near !== undefined
        ? `did you mean ${near}${keys.includes(near) ? '' : ` in [${options.find(option => option.key === near)!.section}]`}?`
        : `allowed are ${keys.join(', ')}`;
  return `unknown key ${printable(key)} in [${section}]: ${hint}`;
}

/** @throws ConfigError with all that is wrong. */
export function load({ flags = {}, env = {}, file }: Sources): Loaded {
  const config = defaults();
  const everywhere = (text: string): Record<OptionName, string> =>
    Object.fromEntries(optionNames.map(name => [name, text])) as Record<OptionName, string>;
  const sources = everywhere('default');
  /** How an error names the setting: "/etc/amqproxy.ini:3: port", "--port", "environment: LISTEN_PORT". */
  const labels = everywhere('');
  const problems: string[] = [];

  const set = (name: OptionName, text: string, label: string, source: string): void => {
    const { type } = optionOf(name);
    labels[name] = label;
    sources[name] = source;
    try {
      (config as Record<OptionName, unknown>)[name] = type.parse(text);
    } catch (error) {
      const near = type.choices && nearest(text.trim(), type.choices);
      problems.push(
        `${label} = "${printable(text)}" ${(error as Error).message}: ${near ? `did you mean ${near}? Allowed` : 'allowed'} is ${type.allowed}`,
      );
    }
  };

  if (file !== undefined) {
    let text: string;
    try {
      text = readText(file);
    } catch (error) {
      // what follows would be about settings that may well be in it
      throw new ConfigError([
        `${file}: cannot be read: ${(error as Error).message}. Make it readable, or name another with --config`,
      ]);
    }
    const { entries, problems: lines } = parseIniFile(text);
    for (const { line, what } of lines) problems.push(`${file}:${line}: ${what}`);
    for (const { section, key, value, line } of entries) {
      const name = optionFor(section || 'main', key);
      if (name === undefined) problems.push(`${file}:${line}: ${unknownKey(section || 'main', key)}`);
      else set(name, value, `${file}:${line}: ${key}`, `${file}:${line}`);
    }
    problems.sort(byLine(`${file}:`));
  }
  for (const name of optionNames) {
    const variable = optionOf(name).env;
    const value = variable === undefined ? undefined : env[variable];
    if (value !== undefined && value !== '')
      set(name, value, `environment: ${variable}`, `environment ${variable}`);
  }
  for (const name of optionNames) {
    const value = flags[name];
    if (value === undefined) continue;
    const { flag } = optionOf(name);
    if (flag === undefined) set(name, value, 'argument AMQP_URL', 'argument AMQP_URL');
    else set(name, value, `--${flag}`, `flag --${flag}`);
  }

  if (sources.upstream === 'default')
    problems.push(
      `no broker is named: give its URL as an argument (amqproxy amqp://HOST:5672), as AMQP_URL, or as upstream in [main]${file ? ` of ${file}` : ' of a file named with --config'}`,
    );
  checkTogether(config, (name, what) =>
    problems.push(`${labels[name] || optionOf(name).key} = "${printable(show(name, config[name]))}" ${what}`),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  return { config, sources };
}

/** Mistakes of one file in the order of its lines. */
function byLine(prefix: string): (a: string, b: string) => number {
  const line = (problem: string): number => Number.parseInt(problem.slice(prefix.length), 10) || 0;
  return (a, b) => line(a) - line(b);
}

/** What --check-config prints: every setting as in an INI file, with where it comes from as the comment. */
export function describe({ config, sources }: Loaded): string {
  const lines: string[] = [];
  for (const section of ['main', 'listen'] as const) {
    lines.push(...(section === 'main' ? [] : ['']), `[${section}]`);
    const rows = optionNames
      .filter(name => optionOf(name).section === section)
      .map(name => [`${optionOf(name).key} = ${safe(show(name, config[name]))}`, sources[name]]);
    const width = Math.max(...rows.map(row => row[0].length));
    for (const [setting, source] of rows) lines.push(`${setting.padEnd(width)}  ; ${source}`);
  }
  return lines.join('\n');
}
