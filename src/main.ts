/** Entry: a command for one that runs, a question, or a start. Only what that needs is loaded: nobody waits for the rest. */
import { isCommand } from './console/table.ts';

const args = process.argv.slice(2);
if (isCommand(args[0])) {
  const { runCommand } = await import('./console/cli.ts');
  process.exitCode = await runCommand(args);
} else if (args.length === 1 && /^(-[hv]|--help|--version)$/.test(args[0])) {
  const { about } = await import('./about.ts');
  about(/^--?h/.test(args[0]) ? 'help' : 'version');
} else {
  const { start } = await import('./start.ts');
  await start(args);
}
