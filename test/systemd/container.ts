/** A Debian root booted with systemd-nspawn: what is written goes to a layer in TMPDIR that is thrown away. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { until } from '../support/rabbitmq.ts';

export interface Result {
  code: number;
  /** stdout and stderr. */
  output: string;
}

export class Container {
  private readonly dir: string;
  readonly root: string;
  private nspawn: ChildProcess | null = null;
  private leader = 0;

  /** `base` is the directory of the root; it stays as it is. */
  constructor(base: string) {
    this.dir = mkdtempSync(join(tmpdir(), 'amqproxy-systemd-'));
    const layer = (name: string): string => {
      const path = join(this.dir, name);
      mkdirSync(path);
      return path;
    };
    this.root = layer('root');
    const options = `lowerdir=${base},upperdir=${layer('upper')},workdir=${layer('work')}`;
    execFileSync('mount', ['-t', 'overlay', '-o', options, 'amqproxy-systemd', this.root]);
  }

  /** Copies a file into /root of the container; gives its path there. */
  bring(file: string): string {
    cpSync(file, join(this.root, 'root', basename(file)));
    return `/root/${basename(file)}`;
  }

  get booted(): boolean {
    return this.leader > 0;
  }

  /** Boots it; resolves when systemd is up. The output of the boot is given to `onOutput`. */
  async boot(onOutput: (text: string) => void): Promise<void> {
    const args = [
      '--quiet',
      '-D',
      this.root,
      '--boot',
      '--register=no',
      '--keep-unit',
      '--console=pipe',
      '--machine=amqproxy-test',
    ];
    this.nspawn = spawn('systemd-nspawn', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.nspawn.stdout?.on('data', data => onOutput(String(data)));
    this.nspawn.stderr?.on('data', data => onOutput(String(data)));
    const { pid } = this.nspawn;
    let state = '';
    await until(
      'systemd in the container',
      async () => {
        if (this.nspawn?.exitCode !== null) throw new Error('systemd-nspawn has ended');
        // the first child only makes the container, the one that stays is its first process
        const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
        this.leader = Number(children.pop());
        if (this.leader > 0) state = (await this.run('systemctl is-system-running')).output;
        return /running|degraded/.test(state);
      },
      60,
    ).catch(error => {
      throw new Error(`${error.message} (${state})`);
    });
  }

  /** Runs a line of shell in the container, 60 s at most. */
  run(line: string): Promise<Result> {
    const args = [
      '-t',
      String(this.leader),
      '-a',
      '--',
      '/usr/bin/env',
      '-i',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      'LC_ALL=C.UTF-8',
      'SYSTEMD_PAGER=cat',
      'DEBIAN_FRONTEND=noninteractive',
      '/bin/sh',
      '-c',
      `${line} 2>&1`,
    ];
    return new Promise(resolve => {
      execFile('nsenter', args, { timeout: 60_000, maxBuffer: 1 << 26 }, (error, stdout) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
        resolve({ code, output: stdout.trim() });
      });
    });
  }

  /** Like `run`, but fails where the command does. */
  async do(line: string): Promise<string> {
    const { code, output } = await this.run(line);
    if (code !== 0) throw new Error(`${line}: exit code ${code}: ${output.slice(-1500)}`);
    return output;
  }

  async stop(): Promise<void> {
    const { nspawn } = this;
    if (nspawn !== null && nspawn.exitCode === null) {
      nspawn.kill('SIGTERM');
      const ended = new Promise<void>(resolve => nspawn.once('exit', () => resolve()));
      const timer = setTimeout(() => nspawn.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(timer);
    }
    execFileSync('umount', ['-l', this.root]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
