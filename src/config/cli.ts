/** The command line: flags from the option table, read with yargs. */
import yargs from 'yargs';
import { OTHER_FLAGS } from './help.ts';
import { type OptionName, optionNames, optionOf } from './options.ts';
import { nearest } from './suggest.ts';
import { printable } from './types.ts';

export interface CommandLine {
  /** What it asks for besides running. */
  asks: 'help' | 'version' | 'particulars' | 'check-config' | 'connect' | null;
  /** Values of options, not yet checked. */
  flags: Partial<Record<OptionName, string>>;
  /** --config */
  file: string | undefined;
  /** --as */
  as?: { user: string; vhost: string } | undefined;
}

/** A command line that cannot be understood. Exit code 64 (EX_USAGE). */
export class UsageError extends Error {
  constructor(message: string) {
    super(`${message}${message.endsWith('?') ? '' : '.'} Try: amqproxy --help`);
  }
}

interface Flag {
  flag: string;
  letter?: string | undefined;
  takesValue: boolean;
}

const FLAGS: Flag[] = [
  ...optionNames
    .map(optionOf)
    .filter(option => option.flag !== undefined)
    .map(({ flag, letter }) => ({ flag: flag!, letter, takesValue: true })),
  ...OTHER_FLAGS.map(other => ({
    flag: other.flag,
    letter: 'letter' in other ? other.letter : undefined,
    takesValue: 'placeholder' in other,
  })),
];

/** `-p5673` and `-l127.0.0.1`, as AMQProxy takes them, written apart; yargs would read the letters of an address as flags. */
function separateLetters(args: string[]): string[] {
  const end = args.indexOf('--');
  return args.flatMap((arg, i) => {
    const glued = /^-([a-z])=?(.+)$/s.exec(arg);
    const takes = glued !== null && FLAGS.some(({ letter, takesValue }) => takesValue && letter === glued[1]);
    return takes && (end < 0 || i < end) ? [`-${glued[1]}`, glued[2]] : [arg];
  });
}

/** The flag that is unknown, and what was meant by it. */
function unknownFlag(name: string): UsageError {
  const near = nearest(
    name,
    FLAGS.map(({ flag }) => flag),
  );
  const shown = `${name.length === 1 ? '-' : '--'}${printable(name)}`;
  return new UsageError(`unknown flag ${shown}${near ? `: did you mean --${near}?` : ''}`);
}

/** @throws UsageError */
export function parseCommandLine(args: string[]): CommandLine {
  let failure = '';
  let parser = yargs()
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message, error) => {
      failure ||= message || error?.message || 'the command line cannot be understood';
    });
  for (const { flag, letter, takesValue } of FLAGS)
    parser = parser.option(flag, {
      ...(letter ? { alias: letter } : {}),
      ...(takesValue ? { type: 'string', requiresArg: true } : { type: 'boolean' }),
    });
  let argv: Record<string, unknown> & { _: (string | number)[] };
  try {
    argv = parser.parseSync(separateLetters(args));
  } catch {
    // yargs stumbles over names that every object has, as in --constructor
    throw new UsageError(`the command line cannot be understood: ${args.map(printable).join(' ')}`);
  }

  const known = new Set(['_', '$0', ...FLAGS.flatMap(({ flag, letter }) => [flag, letter ?? flag])]);
  for (const name of Object.keys(argv)) if (!known.has(name)) throw unknownFlag(name);
  if (argv.help || argv.version) {
    const asks = argv.help ? 'help' : argv.verbose ? 'particulars' : 'version';
    return { asks, flags: {}, file: undefined };
  }
  if (failure !== '') {
    const missing = /^Not enough arguments following: (.+)$/.exec(failure)?.[1];
    throw new UsageError(missing ? `${missing.length === 1 ? '-' : '--'}${missing} needs a value` : failure);
  }

  const flags: Partial<Record<OptionName, string>> = {};
  for (const name of optionNames) {
    const { flag } = optionOf(name);
    const value = flag === undefined ? undefined : argv[flag];
    if (value !== undefined) flags[name] = String(value);
  }
  if (argv.debug) flags.logLevel = 'debug';
  const urls = argv._.map(String);
  if (urls.length > 1)
    throw new UsageError(
      `one AMQP_URL is taken, there are ${urls.length}: ${urls.map(printable).join(' ')} (several brokers: separate them with commas)`,
    );
  if (urls.length === 1) flags.upstream = urls[0];
  if (argv.verbose) throw new UsageError('--verbose goes with --version: it prints what amqproxy runs on');
  if (argv.connect && !argv['check-config'])
    throw new UsageError('--connect goes with --check-config: it connects to each broker once');
  if (argv.as !== undefined && !argv['check-config'])
    throw new UsageError('--as goes with --check-config: it prints which route is taken');
  const as = argv.as === undefined ? undefined : /^(.*)@(.*)$/s.exec(String(argv.as));
  if (as === null) throw new UsageError(`--as ${printable(String(argv.as))} is not USER@VHOST`);
  return {
    ...(as === undefined ? {} : { as: { user: as[1], vhost: as[2] } }),
    asks: argv.connect ? 'connect' : argv['check-config'] ? 'check-config' : null,
    flags,
    file: argv.config as string | undefined,
  };
}
