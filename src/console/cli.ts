/** `amqproxy show …`, `amqproxy kill …`: the console's commands on the command line. */
import { nearest } from '../config/suggest.ts';
import { stderr } from '../output.ts';
import { ask, askRows, DEFAULT_SOCKET, Unasked } from './ask.ts';
import { commandHelp } from './help.ts';
import type { Row } from './history.ts';
import { byMost } from './order.ts';
import { type CommandName, commandOf, isView, type ViewName, viewNames, viewOf } from './table.ts';
import { printable, table } from './text.ts';

const USAGE = 64;
const WATCH_SECONDS = 2;

interface Line {
  command: CommandName;
  words: string[];
  flags: Map<string, string>;
  socket: string;
}

class Misuse extends Error {}

/** Reads the words after the command's name. A flag takes `--flag VALUE` or `--flag=VALUE`; after `--` come no more flags. */
export function readLine(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Line {
  const command = args[0] as CommandName;
  const options = [
    ...(commandOf(command).options ?? []),
    { flag: 'socket', value: 'PATH', help: '' },
    { flag: 'help', help: '' },
  ];
  const line: Line = { command, words: [], flags: new Map(), socket: '' };
  for (let i = 1; i < args.length; i++) {
    const arg = args[i];
    if (arg === '--') {
      line.words.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith('--') && arg !== '-h') {
      line.words.push(arg);
      continue;
    }
    const [name, ...rest] = (arg === '-h' ? '--help' : arg).slice(2).split('=');
    const option = options.find(({ flag }) => flag === name);
    if (option === undefined) {
      const near = nearest(
        name,
        options.map(({ flag }) => flag),
      );
      throw new Misuse(
        `unknown flag --${printable(name)} of ${command}${near ? `: did you mean --${near}?` : ''}`,
      );
    }
    const value = 'value' in option ? option.value : undefined;
    if (rest.length > 0) {
      if (value === undefined) throw new Misuse(`--${name} takes no value`);
      line.flags.set(name, rest.join('='));
    } else if (value === undefined) line.flags.set(name, '');
    else if (value.startsWith('[')) line.flags.set(name, /^[\d.]+$/.test(args[i + 1] ?? '') ? args[++i] : '');
    else if (args[i + 1] === undefined) throw new Misuse(`--${name} needs a value`);
    else line.flags.set(name, args[++i]);
  }
  line.socket = line.flags.get('socket') || env.AMQPROXY_ADMIN_SOCKET || DEFAULT_SOCKET;
  return line;
}

/** Not as the log is written: a reader that takes its time is waited for. */
const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const terminalWidth = (): number =>
  process.stdout.columns || Number(process.env.COLUMNS) || Number.POSITIVE_INFINITY;

/** The rows of a view in their order, as lines. */
export function viewLines(view: ViewName, rows: Row[], columns: number): string[] {
  const { order } = viewOf(view);
  return table(viewOf(view), order.length > 0 ? [...rows].sort(byMost(order)) : rows, columns);
}

async function show({ words, flags, socket }: Line): Promise<number> {
  const [what, ...filters] = words;
  if (!isView(what)) {
    const near = what === undefined ? undefined : nearest(what, viewNames);
    throw new Misuse(
      `${what === undefined ? 'show what?' : `there is no ${printable(what)} to show${near ? `: did you mean ${near}?` : '.'}`} There are ${viewNames.join(', ')}`,
    );
  }
  const once = async (): Promise<string> => {
    const rows = await askRows(socket, what, filters);
    if (flags.has('json')) return JSON.stringify(rows, null, 2);
    if (flags.has('ids'))
      return rows.map(row => printable(String(row[viewOf(what).columns[0].key]))).join('\n');
    return viewLines(what, rows, terminalWidth()).join('\n');
  };
  if (!flags.has('watch')) {
    print(await once());
    return 0;
  }
  const seconds = Number(flags.get('watch') || WATCH_SECONDS);
  if (!(seconds >= 0.1)) throw new Misuse(`--watch ${flags.get('watch')}: at least 0.1 seconds`);
  const clears = process.stdout.isTTY && !flags.has('json');
  for (;;) {
    const text = await once();
    print(clears ? `\x1b[H\x1b[2J${new Date().toTimeString().slice(0, 8)}  ${what}\n${text}` : text);
    await new Promise(resolve => setTimeout(resolve, seconds * 1000));
  }
}

async function act({ command, words, flags, socket }: Line): Promise<number> {
  const query = new URLSearchParams();
  for (const word of words) query.append('arg', word);
  for (const [name, value] of flags) if (name !== 'socket') query.append(name, value);
  const { status, body } = await ask(socket, 'POST', `/${command}?${query}`);
  if (status === 200) {
    print(printable(body.text ?? '').replaceAll('\\u000a', '\n'));
    return 0;
  }
  for (const line of String(body.error ?? 'no answer').split('\n'))
    stderr.write(`amqproxy: ${printable(line)}\n`);
  return 1;
}

/** Runs a command; its exit code: 0 done, 1 not done, otherwise of sysexits(3). */
export async function runCommand(args: readonly string[]): Promise<number> {
  // whoever reads it has seen enough
  process.stdout.on('error', () => process.exit(0));
  try {
    const line = readLine(args);
    if (line.flags.has('help')) {
      print(commandHelp(line.command, Math.min(100, process.stdout.columns || 80)));
      return 0;
    }
    if (line.command === 'top') {
      const { runTop } = await import('./top.ts');
      return await runTop(line.socket);
    }
    return await (commandOf(line.command).kind === 'act' ? act(line) : show(line));
  } catch (error) {
    if (error instanceof Misuse) {
      const { message } = error;
      stderr.write(
        `amqproxy: ${message}${message.endsWith('?') ? '' : '.'} Try: amqproxy ${args[0]} --help\n`,
      );
      return USAGE;
    }
    if (!(error instanceof Unasked)) throw error;
    stderr.write(`amqproxy: ${printable(error.message)}\n`);
    return error.code;
  } finally {
    stderr.flush();
  }
}
