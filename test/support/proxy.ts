/** amqproxy as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { atExit, tempDir } from './cleanup.ts';
import { freePort } from './ports.ts';
import { until } from './rabbitmq.ts';

const root = resolve(import.meta.dirname, '../..');
const MAIN = resolve(root, 'src/main.ts');

/** The command that users start, with all that it gives to the runtime; it runs the sources, not what is built of them. */
export function launcher(): string {
  const dir = tempDir('launcher');
  const command = join(dir, 'amqproxy');
  copyFileSync(join(root, 'packaging/launcher'), command);
  symlinkSync(process.execPath, join(dir, 'node'));
  mkdirSync(join(dir, 'lib/src'), { recursive: true });
  writeFileSync(join(dir, 'lib/package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'lib/src/main.js'), `import ${JSON.stringify(pathToFileURL(MAIN))};\n`);
  return command;
}

/** Metrics of what clients take, and leave behind when they go. */
const TAKEN = [
  'client_connections',
  'channels_leased',
  'upstream_connections_private',
  'buffered_bytes{buffer="client_buffer"}',
  'buffered_bytes{buffer="upstream_buffer"}',
  'buffered_bytes{buffer="message_buffer"}',
];

/** Listens on a path, and becomes the program that follows with that as its descriptor 3. */
const GIVE_PATH = `
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
`;

export class AmqProxy {
  readonly process: ChildProcess;
  log = '';
  exitCode: number | null = null;
  port = 0;
  private httpPort = 0;

  private constructor(
    args: string[],
    env: NodeJS.ProcessEnv,
    command = [process.execPath, MAIN],
    fds: number[] = [],
  ) {
    const [program, ...first] = command;
    this.process = spawn(program, [...first, ...args], {
      env: { AMQPROXY_POISON: '1', ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...fds],
    });
    const add = (text: Buffer): void => {
      this.log += text;
    };
    this.process.stdout!.on('data', add);
    this.process.stderr!.on('data', add);
    const gone = atExit(() => this.process.kill('SIGKILL'));
    this.process.on('exit', (code, signal) => {
      gone();
      this.exitCode = code ?? (signal === null ? 0 : 128);
    });
  }

  /** Runs it with these arguments, without waiting for anything. */
  static spawn(args: string[], env: NodeJS.ProcessEnv = {}): AmqProxy {
    return new AmqProxy(args, env);
  }

  /** Runs it in front of a broker (null: as its settings say) on a free port; resolves when it listens. */
  static async start(
    upstream: string | null,
    args: string[] = [],
    env: NodeJS.ProcessEnv = {},
    command?: string[],
    fds: number[] = [],
  ): Promise<AmqProxy> {
    const proxy = new AmqProxy(
      ['-l', '127.0.0.1', '-p', '0', '-b', '0', '-d', ...args, ...(upstream === null ? [] : [upstream])],
      env,
      command,
      fds,
    );
    const listens = (): RegExpExecArray | null => {
      if (proxy.exitCode !== null) throw new Error(`amqproxy has ended:\n${proxy.log}`);
      const match = /Proxy listening on [\d.]+:(\d+)/.exec(proxy.log);
      if (match) proxy.port = Number(match[1]);
      return match;
    };
    // a busy machine may take long over a start
    await until('amqproxy to listen', listens, 60);
    return proxy;
  }

  /** Hands sockets over to it, as a service manager does (sd_listen_fds(3)): these, by these names. */
  static onSockets(
    fds: number[],
    names: string[],
    upstream: string | null,
    args: string[] = [],
  ): Promise<AmqProxy> {
    // LISTEN_PID is its own: the shell becomes the proxy
    const command = ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh', process.execPath, MAIN];
    const env = { LISTEN_FDS: String(fds.length), LISTEN_FDNAMES: names.join(':') };
    return AmqProxy.start(upstream, args, env, command, fds);
  }

  /** Hands a Unix socket over to it, by this name. */
  static onPath(path: string, name: string, upstream: string | null, args: string[] = []): Promise<AmqProxy> {
    const command = ['python3', '-c', GIVE_PATH, path, process.execPath, MAIN];
    return AmqProxy.start(upstream, args, { LISTEN_FDS: '1', LISTEN_FDNAMES: name }, command);
  }

  /** The same with an HTTP server, for `metric` and `ready`. */
  static async withMetrics(
    upstream: string | null,
    args: string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Promise<AmqProxy> {
    const httpPort = await freePort();
    const proxy = await AmqProxy.start(upstream, [...args, '-b', String(httpPort)], env);
    proxy.httpPort = httpPort;
    return proxy;
  }

  /** The value of a metric; `name` without the prefix, with its labels if it has some. */
  async metric(name: string): Promise<number> {
    const response = await fetch(`${this.http}/metrics`);
    const start = `amqproxy_${name} `;
    const line = (await response.text()).split('\n').find(line => line.startsWith(start));
    if (line === undefined) throw new Error(`there is no metric ${name}`);
    return Number(line.slice(start.length));
  }

  /** What /readyz says. */
  async ready(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.httpPort}/readyz`)).status === 200;
  }

  /** Resolves when all clients have left; fails, naming it, when something of one stays. Started with metrics only. */
  async left(): Promise<void> {
    try {
      for (const name of TAKEN) await until(`${name} to be 0`, async () => (await this.metric(name)) === 0);
    } catch (error) {
      const views = ['clients', 'upstreams'].map(async view =>
        (await fetch(`${this.http}/show/${view}`)).text(),
      );
      throw new Error([(error as Error).message, ...(await Promise.all(views))].join('\n'));
    }
  }

  /** Where its HTTP server is. */
  get http(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  /** Bytes of resident memory. */
  get rss(): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024;
  }

  /** Seconds of processor time it has taken so far. */
  get cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.process.pid}/stat`, 'utf8');
    // the name in parentheses may have blanks; utime and stime are in hundredths of a second
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Sockets and files it has open. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.process.pid}/fd`).length;
  }

  get running(): boolean {
    return this.exitCode === null && existsSync(`/proc/${this.process.pid}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async exited(seconds = 15): Promise<number> {
    await until('amqproxy to exit', () => this.exitCode !== null, seconds);
    return this.exitCode!;
  }

  async stop(): Promise<void> {
    if (this.exitCode !== null) return;
    this.process.kill('SIGKILL');
    await this.exited();
  }
}
