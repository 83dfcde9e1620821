/** What a number was measured on: without it, it says nothing. */
import { cpus, release, totalmem } from 'node:os';

export function machine(): Record<string, string> {
  const cores = cpus();
  return {
    processor: cores[0]?.model.trim() ?? 'unknown processor',
    cores: `${cores.length} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    runtime: `Node ${process.versions.node}`,
    date: new Date().toISOString().slice(0, 10),
  };
}
