/** Holds a process to a part of a core, by a control group of its own (root; version 1 or 2). */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PERIOD_US = 50_000;
const [V1, V2] = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup'];

export class CpuLimit {
  private readonly dir: string;

  constructor(pid: number, cores: number) {
    const old = existsSync(join(V1, 'cpu.cfs_quota_us'));
    this.dir = join(old ? V1 : V2, `amqproxy-bench-${pid}`);
    const quota = Math.round(cores * PERIOD_US);
    if (!old) writeFileSync(join(V2, 'cgroup.subtree_control'), '+cpu');
    mkdirSync(this.dir);
    if (old) {
      this.set('cpu.cfs_period_us', PERIOD_US);
      this.set('cpu.cfs_quota_us', quota);
    } else this.set('cpu.max', `${quota} ${PERIOD_US}`);
    this.set('cgroup.procs', pid);
  }

  private set(file: string, value: number | string): void {
    writeFileSync(join(this.dir, file), String(value));
  }

  /** To be called when the process has ended. */
  remove(): void {
    rmdirSync(this.dir);
  }
}
