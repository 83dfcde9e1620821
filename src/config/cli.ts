/** The command line: flags and help from the option table (yargs). */
import yargs from 'yargs';
import { VERSION } from '../version.ts';
import { show } from './load.ts';
import { type OptionName, optionNames, optionOf } from './options.ts';

export interface CommandLine {
  flags: Partial<Record<OptionName, string>>;
  file: string | undefined;
  checkConfig: boolean;
}

/** A command line that cannot be understood. Exit code 64 (EX_USAGE). */
export class UsageError extends Error {}

function parser(args: string[]) {
  let cli = yargs(args)
    .scriptName('amqproxy')
    .usage(
      '$0 [options] [AMQP_URL]\n\nConnection-pooling AMQP 0-9-1 proxy. AMQP_URL is the broker: {amqp|amqps}://HOST[:PORT]',
    )
    .parserConfiguration({
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'duplicate-arguments-array': false,
    })
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      describe: 'File with settings (see amqproxy.ini(5))',
    })
    .option('check-config', {
      type: 'boolean',
      describe: 'Check the settings, print them and where each comes from, and exit',
    })
    .option('debug', { alias: 'd', type: 'boolean', describe: 'The same as --log-level debug' });
  for (const name of optionNames) {
    const { flag, letter, help, env, default: fallback } = optionOf(name);
    if (flag === undefined) continue;
    cli = cli.option(flag, {
      ...(letter ? { alias: letter } : {}),
      type: 'string',
      requiresArg: true,
      describe: `${help}${env ? ` [${env}]` : ''} (default ${show(fallback)})`,
    });
  }
  return cli
    .help('help', 'Show this help')
    .alias('h', 'help')
    .version('version', 'Show the version', `amqproxy ${VERSION}`)
    .alias('v', 'version')
    .wrap(Math.min(110, process.stdout.columns || 100))
    .epilogue('Settings: a flag wins over the environment, that over the file, that over the default.')
    .strictOptions()
    .exitProcess(false)
    .showHelpOnFail(false);
}

/** Reads the command line; null when it asked for help or the version, which has been printed. */
export function parseCommandLine(args: string[]): CommandLine | null {
  let failure = '';
  let output = '';
  const argv = parser(args)
    .fail((message, error) => {
      failure ||= message || error?.message || 'cannot be understood';
    })
    .parseSync(args, {}, (_error: unknown, _argv: unknown, text: string) => {
      output = text;
    });
  if (failure !== '') throw new UsageError(`${failure}\nTry: amqproxy --help`);
  if (output !== '') {
    process.stdout.write(`${output}\n`);
    return null;
  }
  const flags: Partial<Record<OptionName, string>> = {};
  for (const name of optionNames) {
    const { flag } = optionOf(name);
    const value = flag === undefined ? undefined : (argv[flag] as string | undefined);
    if (value !== undefined) flags[name] = value;
  }
  if (argv.debug) flags.logLevel = 'debug';
  const urls = argv._.map(String);
  if (urls.length > 1)
    throw new UsageError(`only one AMQP_URL is taken, there are ${urls.length}: ${urls.slice(1).join(' ')}`);
  if (urls.length === 1) flags.upstream = urls[0];
  return { flags, file: argv.config, checkConfig: argv['check-config'] === true };
}
