/** What a run has made is gone when it ends, however it ends: temporary directories, brokers and proxies. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const tasks = new Set<() => void>();

process.on('exit', () => {
  for (const task of [...tasks].reverse())
    try {
      task();
    } catch (error) {
      console.error(error);
    }
});

/** Runs `task` when the process exits, unless the function it gives was called before: it is done already. */
export function atExit(task: () => void): () => void {
  tasks.add(task);
  return () => void tasks.delete(task);
}

/** A new directory, gone when the process ends. */
export function tempDir(what: string): string {
  const dir = mkdtempSync(join(tmpdir(), `amqproxy-${what}-`));
  atExit(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));
  return dir;
}

/** Makes the usual signals end the process by way of its exit handlers. */
export function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
}
