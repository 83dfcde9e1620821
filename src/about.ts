/** What --help and --version say. */
import { helpText } from './config/help.ts';
import { commandsHelp } from './console/help.ts';
import { stdout } from './output.ts';
import { VERSION } from './version.ts';

export function about(what: 'help' | 'version'): void {
  const width = Math.max(80, Math.min(100, process.stdout.columns || 80));
  const text = what === 'version' ? `amqproxy ${VERSION}` : `${helpText(width)}\n\n${commandsHelp(width)}`;
  stdout.write(`${text}\n`);
  stdout.flush();
}
