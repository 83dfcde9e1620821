/**
 * How `systemctl reload` hears what came of it: its command (packaging/reload) sends the signal and waits for a file in
 * RuntimeDirectory=. The process itself answers, since only it reads the settings as it was started: with its flags, its
 * environment and its credentials.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { inWords } from '../words.ts';

/** Without a runtime directory nobody waits. */
export function answerReload(done: boolean, log: Logger, env: NodeJS.ProcessEnv = process.env): void {
  const dir = env.RUNTIME_DIRECTORY?.split(':')[0];
  if (!dir) return;
  const file = join(dir, 'reload');
  try {
    // all of it or nothing
    writeFileSync(`${file}.new`, done ? 'done\n' : 'failed\n');
    renameSync(`${file}.new`, file);
  } catch (error) {
    log.warn(`systemctl reload cannot be told what came of it: ${file}: ${inWords(error as Error)}`);
  }
}
