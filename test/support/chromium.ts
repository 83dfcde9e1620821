/** Debian's Chromium without a window, looking at a page once. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { tempDir } from './cleanup.ts';

const exec = promisify(execFile);
const CHROMIUM = '/usr/bin/chromium';

export const hasChromium = (): boolean => existsSync(CHROMIUM);

/** Opens the page, lets it run for a few seconds of its own time, and gives what it prints. */
export async function chromium(url: string, ...args: string[]): Promise<string> {
  const { stdout } = await exec(
    CHROMIUM,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      `--user-data-dir=${tempDir('chromium')}`,
      '--virtual-time-budget=15000',
      ...args,
      url,
    ],
    { timeout: 90_000, maxBuffer: 1 << 26 },
  );
  return stdout;
}
