/** Commands on the machine that has built the packages. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Runs a command; its output. Throws where it fails or is not done in `timeout` ms, with what it said. */
export async function run(
  file: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
  timeout = 240_000,
): Promise<string> {
  const options = { env: { ...process.env, LC_ALL: 'C.UTF-8', ...env }, maxBuffer: 1 << 26, timeout };
  const { stdout } = await promisify(execFile)(file, args, { ...options, killSignal: 'SIGKILL' }).catch(
    error => {
      throw new Error(
        `${[file, ...args].join(' ')}: ${error.killed ? 'not done in time ' : ''}${error.stdout}${error.stderr}`,
      );
    },
  );
  return stdout.trim();
}

export async function inDirectory(task: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'amqproxy-packages-'));
  try {
    await task(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
