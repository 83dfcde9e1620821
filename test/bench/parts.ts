/** The bench's own processes: the sink and the load generator, spoken to over IPC. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Command, Job, LoadSample } from './load.ts';
import type { SinkSample } from './sink.ts';

const here = import.meta.dirname;

/** The next message of a child; fails when it ends instead. */
export function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (value: T): void => {
      child.off('exit', onExit);
      resolve(value);
    };
    const onExit = (code: number | null): void => {
      child.off('message', onMessage);
      reject(new Error(`a part of the bench has ended with ${code}`));
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}

export class Sink {
  readonly port: number;
  readonly pid: number;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.pid = child.pid!;
    this.port = port;
  }

  /** `port` 0 takes any that is free. */
  static async start(port = 0): Promise<Sink> {
    const child = fork(join(here, 'sink.ts'), [String(port)]);
    return new Sink(child, await message<number>(child));
  }

  sample(): Promise<SinkSample> {
    const answer = message<SinkSample>(this.child);
    this.child.send('sample');
    return answer;
  }

  stop(): void {
    this.child.disconnect();
  }
}

export class Load {
  readonly pid: number;
  private readonly child: ChildProcess;
  private kind: Job['kind'] = 'publish';

  constructor() {
    this.child = fork(join(here, 'load.ts'));
    this.pid = this.child.pid!;
  }

  private async command<T>(command: Command): Promise<T> {
    const answer = message<{ ok: T } | { error: string }>(this.child);
    this.child.send(command);
    const result = await answer;
    if ('error' in result) throw new Error(result.error);
    return result.ok;
  }

  /** Resolves when the load is running. */
  async start(job: Job): Promise<void> {
    this.kind = job.kind;
    await this.command({ do: 'start', job });
  }

  sample(): Promise<LoadSample> {
    return this.command<LoadSample>({ do: 'sample', kind: this.kind });
  }

  /** Resolves when all of its clients are gone, politely. */
  async stop(): Promise<void> {
    await this.command({ do: 'stop', kind: this.kind });
  }

  end(): void {
    this.child.disconnect();
  }
}
