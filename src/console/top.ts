/** `amqproxy top`: the terminal around the screen. */
import { askRows, Unasked } from './ask.ts';
import { Screen } from './screen.ts';

const EVERY_MS = 1000;

/** Keys as they come: one character, or an escape sequence as a whole. */
function* keysOf(text: string): Generator<string> {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how a terminal sends keys
  for (const [key] of text.matchAll(/\x1b\[[\d;]*[A-Za-z~]|\x1bO[A-Z]|./gsu))
    yield key.replace('\x1bO', '\x1b[').replace('\n', '\r');
}

export async function runTop(socket: string): Promise<number> {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY)
    throw new Unasked(64, 'top needs a terminal; amqproxy show prints to anything');
  const screen = new Screen();
  const draw = (): void => {
    const lines = screen.lines(stdout.columns || 80, stdout.rows || 24);
    stdout.write(`\x1b[H${lines.map(line => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  };
  let asking = 0;
  const ask = async (): Promise<void> => {
    const mine = ++asking;
    try {
      const [rows, stats] = await Promise.all([
        askRows(socket, screen.view, screen.filters),
        askRows(socket, 'stats'),
      ]);
      // another view was asked for meanwhile
      if (mine !== asking) return;
      screen.show(rows, stats);
    } catch (error) {
      screen.fails((error as Error).message);
    }
    draw();
  };
  // the first answer decides whether there is anything to show
  await askRows(socket, 'stats');
  // the other screen of the terminal, without a cursor
  stdout.write('\x1b[?1049h\x1b[?25l');
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  const timer = setInterval(ask, EVERY_MS);
  stdout.on('resize', draw);
  void ask();
  await new Promise<void>(resolve => {
    stdin.on('data', (text: string) => {
      for (const key of keysOf(text)) {
        const then = screen.key(key);
        if (then === 'quit') resolve();
        else if (then === 'ask') void ask();
        else draw();
      }
    });
    stdin.on('end', resolve);
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  clearInterval(timer);
  stdin.setRawMode(false);
  stdin.pause();
  stdout.write('\x1b[?25h\x1b[?1049l');
  return 0;
}
