/** A command line without a command: reads the settings, and shows them, tries them, or runs the proxy. */
import { about } from './about.ts';
import { type CommandLine, parseCommandLine, UsageError } from './config/cli.ts';
import { placeAdvice } from './config/listeners.ts';
import { ConfigError, describe, type Loaded, load } from './config/load.ts';
import { describeRoute } from './config/routes.ts';
import { nearest } from './config/suggest.ts';
import { commandNames } from './console/table.ts';
import { EX, fail } from './exit.ts';
import { stderr, stdout } from './output.ts';

const settings = ({ flags, file }: CommandLine): Loaded => load({ flags, env: process.env, file });

/** The command that was meant by a first word that is neither one nor a broker. */
const meant = ([word = '']: string[]): string | undefined =>
  /^[a-z]+$/.test(word) ? nearest(word, commandNames) : undefined;

export async function start(args: string[]): Promise<void> {
  const command = meant(args);
  if (command !== undefined)
    return fail({
      code: EX.USAGE,
      text: `there is no command ${args[0]}: did you mean ${command}? Try: amqproxy --help`,
    });
  let commandLine: CommandLine;
  let loaded: Loaded;
  try {
    commandLine = parseCommandLine(args);
    if (commandLine.asks === 'help' || commandLine.asks === 'version') return about(commandLine.asks);
    if (commandLine.asks === 'particulars') {
      const { particulars } = await import('./particulars.ts');
      return print(particulars());
    }
    loaded = settings(commandLine);
  } catch (error) {
    if (error instanceof UsageError) return fail({ code: EX.USAGE, text: error.message });
    if (error instanceof ConfigError)
      return fail({ code: error.usage ? EX.USAGE : EX.CONFIG, text: error.message });
    throw error;
  }
  if (commandLine.asks !== null) {
    for (const warning of [...loaded.warnings, placeAdvice(loaded.config) ?? []].flat())
      stderr.write(`amqproxy: ${warning}\n`);
  }
  if (commandLine.asks === 'check-config')
    return print([describe(loaded), ...way(commandLine, loaded)].join('\n'));
  if (commandLine.asks === 'connect') return checkConnections(commandLine, loaded);
  const { run } = await import('./run.ts');
  await run(loaded, () => settings(commandLine));
}

/** The settings, then who is there: a line for each broker as a comment, so that the whole is a settings file still. */
async function checkConnections(commandLine: CommandLine, loaded: Loaded): Promise<void> {
  const { connectAll } = await import('./connect-check.ts');
  const { ok, lines } = await connectAll(loaded.config);
  print([describe(loaded), '', ...lines.map(line => `; ${line}`), ...way(commandLine, loaded)].join('\n'));
  if (!ok) fail({ code: EX.UNAVAILABLE, text: 'no broker can be reached' });
}

/** Which route the user of --as takes, as a comment. */
const way = ({ as }: CommandLine, { config }: Loaded): string[] =>
  as === undefined ? [] : ['', `; ${describeRoute(config, as.user, as.vhost)}`];

function print(text: string): void {
  stdout.write(`${text}\n`);
  stdout.flush();
}
