/** Puts the effective configuration together: flag, then environment, then file, then default; all errors at once. */
import { readFileSync } from 'node:fs';
import { parse as parseIni } from 'ini';
import { type Config, defaults, type OptionName, optionNames, optionOf } from './options.ts';
import { hideSecret } from './values.ts';

/** What is wrong with the configuration: one line for each mistake. Exit code 78 (EX_CONFIG). */
export class ConfigError extends Error {
  readonly problems: string[];

  constructor(problems: string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface Loaded {
  config: Config;
  /** Where each value comes from: "default", "flag --port", "LISTEN_PORT", "/etc/amqproxy.ini:3". */
  sources: Record<OptionName, string>;
}

export interface Sources {
  /** Values of flags (and the AMQP_URL argument), by option. */
  flags?: Partial<Record<OptionName, string>>;
  env?: NodeJS.ProcessEnv;
  file?: string | undefined;
}

interface Entry {
  section: string;
  key: string;
  value: string;
  line: number;
}

/** Every `key = value` with its section and line. `ini` reads the values; only the line numbers are found here. */
function entries(text: string): { found: Entry[]; problems: [number, string][] } {
  const found: Entry[] = [];
  const problems: [number, string][] = [];
  let section = '';
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith(';') || line.startsWith('#')) continue;
    const header = /^\[([^\]]*)\]\s*(?:[;#].*)?$/.exec(line);
    if (header !== null) {
      section = header[1].trim();
      continue;
    }
    const equals = line.indexOf('=');
    if (equals <= 0) {
      problems.push([index + 1, `"${line}" is neither [section] nor key = value`]);
      continue;
    }
    const parsed = Object.entries(parseIni(line))[0] as [string, unknown];
    found.push({ section, key: parsed[0], value: String(parsed[1]), line: index + 1 });
  }
  return { found, problems };
}

/** The option a section and key name, by the table. */
function optionFor(section: string, key: string): OptionName | undefined {
  return optionNames.find(name => {
    const option = optionOf(name);
    if (option.section === section && option.key === key) return true;
    return (option.aliases ?? []).some(alias =>
      alias.includes('.') ? alias === `${section}.${key}` : option.section === section && alias === key,
    );
  });
}

/** Edits between two words (Levenshtein), for "did you mean". */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

function unknownKey(section: string, key: string): string {
  const sections = [...new Set(optionNames.map(name => optionOf(name).section))];
  if (!sections.includes(section as 'main'))
    return section === ''
      ? `${key} stands before any section: put [main] or [listen] above it`
      : `unknown section [${section}]: allowed are [${sections.join('], [')}]`;
  const keys = optionNames.filter(name => optionOf(name).section === section).map(name => optionOf(name).key);
  const near = keys.map(k => [distance(key, k), k] as const).sort((a, b) => a[0] - b[0])[0];
  const elsewhere = optionNames.find(name => optionOf(name).key === key);
  const hint =
    elsewhere !== undefined
      ? `it belongs in [${optionOf(elsewhere).section}]`
      : near[0] <= 3
        ? `did you mean ${near[1]}?`
        : `allowed are ${keys.join(', ')}`;
  return `unknown key ${key} in [${section}]: ${hint}`;
}

export function load({ flags = {}, env = {}, file }: Sources): Loaded {
  const config = defaults();
  const sources = Object.fromEntries(optionNames.map(name => [name, 'default'])) as Record<
    OptionName,
    string
  >;
  const problems: string[] = [];
  const set = (name: OptionName, text: string, label: string, source: string): void => {
    const option = optionOf(name);
    try {
      (config as Record<OptionName, unknown>)[name] = option.parse(text);
      sources[name] = source;
    } catch (error) {
      problems.push(
        `${label} = "${hideSecret(text)}" ${(error as Error).message}: allowed is ${option.allowed}`,
      );
    }
  };
  if (file !== undefined) {
    let text = '';
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why =
        code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : code;
      throw new ConfigError([`${file}: cannot be read: ${why}. Name another with --config, or create it`]);
    }
    const { found, problems: bad } = entries(text);
    for (const [line, what] of bad) problems.push(`${file}:${line}: ${what}`);
    for (const { section, key, value, line } of found) {
      const name = optionFor(section, key);
      if (name === undefined) problems.push(`${file}:${line}: ${unknownKey(section, key)}`);
      else set(name, value, `${file}:${line}: ${key}`, `${file}:${line}`);
    }
  }
  for (const name of optionNames) {
    const variable = optionOf(name).env;
    const value = variable === undefined ? undefined : env[variable];
    if (value !== undefined && value !== '')
      set(name, value, `environment: ${variable}`, `environment ${variable}`);
  }
  for (const [name, value] of Object.entries(flags) as [OptionName, string | undefined][]) {
    if (value === undefined) continue;
    const { flag } = optionOf(name);
    set(
      name,
      value,
      flag === undefined ? 'argument AMQP_URL' : `--${flag}`,
      flag === undefined ? 'argument' : `flag --${flag}`,
    );
  }
  if (config.upstream.length === 0 && problems.length === 0)
    problems.push(
      `no broker is named: give its URL as an argument (amqproxy amqp://HOST:5672), as AMQP_URL, or as upstream in [main]${file ? ` of ${file}` : ' of a file named with --config'}`,
    );
  if (config.listenTlsPort > 0 && (config.tlsCert === '' || config.tlsKey === ''))
    problems.push(`tls_port = ${config.listenTlsPort} needs tls_cert and tls_key in [listen]`);
  if (problems.length > 0) throw new ConfigError(problems);
  return { config, sources };
}

/** What --check-config prints: every setting, its value, and where it comes from. */
export function describe({ config, sources }: Loaded): string {
  const rows = optionNames.map(name => {
    const option = optionOf(name);
    return [`[${option.section}] ${option.key}`, show(config[name]), sources[name]];
  });
  const widths = [0, 1].map(i => Math.max(...rows.map(row => row[i].length)));
  return rows
    .map(([key, value, source]) => `${key.padEnd(widths[0])}  ${value.padEnd(widths[1])}  ${source}`)
    .join('\n');
}

/** A value as it is written in the INI file. */
export function show(value: unknown): string {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value))
    return value
      .map(
        ({ host, port, tls }) =>
          `${tls ? 'amqps' : 'amqp'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
      )
      .join(',');
  return String(value);
}
