/** Puts the effective settings together: flag, then environment, then file, then default; all mistakes at once. */
import { safe } from 'ini';
import { checkTogether } from './check.ts';
import { type FileEntry, readSettings } from './files.ts';
import { optionFor, optionIn, unknownKey, unknownKeyIn } from './names.ts';
import {
  type Config,
  defaults,
  type NamedSection,
  type OptionName,
  optionNames,
  optionOf,
  SECTIONS,
  show,
} from './options.ts';
import { overlaps } from './routes.ts';
import { heading, kindAndName, labelIn, sectionsOf, wrongName } from './sections.ts';
import { nearest } from './suggest.ts';
import { printable } from './types.ts';

/** What is wrong with the configuration: one line for each mistake. Exit code 78 (EX_CONFIG), or 64 where a flag is wrong. */
export class ConfigError extends Error {
  readonly problems: string[];
  /** Whether a mistake is one of the command line. */
  readonly usage: boolean;

  constructor(problems: string[], usage = false) {
    const more = problems.length - MAX_PROBLEMS;
    super(
      (more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `… and ${more} more mistakes`] : problems).join('\n'),
    );
    this.problems = problems;
    this.usage = usage;
  }
}

export interface Loaded {
  config: Config;
  /** Where each value comes from: "default", "flag --port", "environment LISTEN_PORT", "/etc/amqproxy.ini:3". */
  sources: Record<OptionName, string>;
  /** What is taken, but needs a look. */
  warnings: string[];
}

export interface Sources {
  /** Values of flags (and the AMQP_URL argument), by option. */
  flags?: Partial<Record<OptionName, string>>;
  env?: NodeJS.ProcessEnv;
  file?: string | undefined;
}

/** A file that is no settings file at all has a mistake in each line. */
const MAX_PROBLEMS = 20;

/** @throws ConfigError with all that is wrong. */
export function load({ flags = {}, env = {}, file }: Sources): Loaded {
  const config = defaults();
  const everywhere = (text: string): Record<OptionName, string> =>
    Object.fromEntries(optionNames.map(name => [name, text])) as Record<OptionName, string>;
  const sources = everywhere('default');
  /** How an error names the setting: "/etc/amqproxy.ini:3: port", "--port", "environment: LISTEN_PORT". */
  const labels = everywhere('');
  /** The text that was set last. */
  const texts = everywhere('');
  const problems: string[] = [];
  let usage = false;

  const put = (target: object, name: OptionName, text: string, label: string): boolean => {
    const { type } = optionOf(name);
    try {
      (target as Record<OptionName, unknown>)[name] = type.parse(text);
      return true;
    } catch (error) {
      const near = type.choices && nearest(text.trim(), type.choices);
      problems.push(
        `${label} = "${printable(text)}" ${(error as Error).message}: ${near ? `did you mean ${near}? Allowed` : 'allowed'} is ${type.allowed}`,
      );
      return false;
    }
  };
  const set = (name: OptionName, text: string, label: string, source: string): boolean => {
    labels[name] = label;
    sources[name] = source;
    texts[name] = text;
    return put(config, name, text, label);
  };
  /** By heading. */
  const sections = new Map<string, NamedSection>();
  const setFrom = ({ file, line, section, key, value, problem }: FileEntry): void => {
    const place = `${file}:${line}`;
    const told = (what: string): void => {
      problems.push(`${place}: ${what}`);
    };
    const known = kindAndName(section);
    if (problem !== undefined) told(problem);
    else if (known !== null) setIn(known, key, value, place, told);
    else if (key !== '') {
      const name = optionFor(section, key);
      if (name !== undefined) set(name, value, `${place}: ${key}`, place);
      else told(unknownKey(section, key));
    }
  };
  const setIn = (
    known: Pick<NamedSection, 'kind' | 'name'>,
    key: string,
    value: string,
    place: string,
    told: (what: string) => void,
  ): void => {
    const called = heading(known);
    let section = sections.get(called);
    if (section === undefined) {
      const wrong = wrongName(known);
      if (wrong !== undefined) told(wrong);
      sections.set(called, (section = { ...known, place, own: {}, sources: {} }));
    }
    if (key === '') return;
    const name = optionIn(known.kind, key);
    if (name === undefined) told(unknownKeyIn(known.kind, called, key));
    else {
      section.sources[name] = place;
      put(section.own, name, value, `${place}: ${key}`);
    }
  };

  if (file !== undefined) {
    try {
      for (const entry of readSettings(file)) setFrom(entry);
    } catch (error) {
      // what follows would be about settings that may well be in it
      throw new ConfigError([(error as Error).message]);
    }
  }
  config.sections = [...sections.values()];
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
    const good =
      flag === undefined
        ? set(name, value, 'argument AMQP_URL', 'argument AMQP_URL')
        : set(name, value, `--${flag}`, `flag --${flag}`);
    if (!good) usage = true;
  }

  const routes = sectionsOf(config, 'route');
  if (sources.upstream === 'default' && !(routes.length > 0 && routes.every(({ own }) => own.upstream)))
    problems.push(
      file === undefined
        ? 'no broker is named: give its URL as an argument (amqproxy amqp://HOST:5672), as AMQP_URL, or as upstream in [main] of a file named with --config'
        : `no broker is named: write upstream = amqp://HOST:5672 in [main] of ${file}, or set AMQP_URL`,
    );
  checkTogether(config, (name, what, section) => {
    const label = section === undefined ? labels[name] || optionOf(name).key : labelIn(section, name);
    const value = section === undefined ? config[name] : section.own[name];
    problems.push(`${label}${value === undefined ? '' : ` = "${printable(show(name, value))}"`} ${what}`);
  });
  if (problems.length > 0) throw new ConfigError(problems, usage);
  const warnings = optionNames.flatMap(name => {
    const ignored = optionOf(name).type.ignored?.(texts[name]);
    return ignored === undefined ? [] : [`${sources[name]}: ${ignored}. Write ${show(name, config[name])}`];
  });
  warnings.push(...overlaps(config));
  return { config, sources, warnings };
}

/** What --check-config prints: every setting as in an INI file, with where it comes from as the comment. */
export function describe({ config, sources }: Loaded): string {
  const lines: string[] = [];
  for (const section of SECTIONS) {
    lines.push(...(section === 'main' ? [] : ['']), `[${section}]`);
    const rows = optionNames
      .filter(name => optionOf(name).section === section)
      .map(name => [`${optionOf(name).key} = ${safe(show(name, config[name]))}`, sources[name]]);
    const width = Math.max(...rows.map(row => row[0].length));
    for (const [setting, source] of rows) lines.push(`${setting.padEnd(width)}  ; ${source}`);
  }
  for (const section of config.sections) lines.push('', ...describeSection(section));
  return lines.join('\n');
}

function describeSection(section: NamedSection): string[] {
  const rows = (Object.keys(section.own) as OptionName[]).map(name => [
    `${optionOf(name).key} = ${safe(show(name, section.own[name]))}`,
    section.sources[name],
  ]);
  const width = Math.max(0, ...rows.map(([setting]) => setting!.length));
  return [
    `[${heading(section)}]`,
    ...rows.map(([setting, source]) => `${setting!.padEnd(width)}  ; ${source}`),
  ];
}
