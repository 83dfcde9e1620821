/** What is measured side by side: no proxy, HAProxy, amqproxy, and another one that runs already. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../support/ports.ts';
import { until } from '../support/rabbitmq.ts';

export interface Upstream {
  /** sink, broker …; the sink where it is not said. */
  kind?: string;
  port: number;
  tls?: boolean;
}

export interface Contender {
  name: string;
  port: number;
  /** Whether a client has to speak TLS to it, where the upstream does. */
  tls: boolean;
  /** 0 where there is no process to look at. */
  pid: number;
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export const NAMES = [
  'direct',
  'haproxy',
  'amqproxy',
  'amqproxy-instant',
  'amqproxy-workers',
  'before',
  'peer',
];

/** Workers of `amqproxy-workers`; it takes part only where somebody says how many. */
const { BENCH_WORKERS: workers } = process.env;

function contender(name: string, port: number, tls: boolean, child: ChildProcess | null): Contender {
  return {
    name,
    port,
    tls,
    pid: child?.pid ?? 0,
    signal: signal => void child?.kill(signal),
    stop: async () => {
      if (child === null || child.exitCode !== null) return;
      const ended = new Promise(done => child.once('exit', done));
      // politely, so that a profile asked for with BENCH_NODE_FLAGS is written; but not for long
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** One thread, TCP mode: the least that any proxy pays for moving the bytes. */
async function haproxy(upstream: Upstream): Promise<Contender> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'amqproxy-bench-'));
  const file = join(dir, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9900
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen bench
  bind 127.0.0.1:${port} backlog 4096
  server upstream 127.0.0.1:${upstream.port}
`,
  );
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
  await until('HAProxy to start', () => child.pid !== undefined || child.exitCode !== null);
  await new Promise(done => setTimeout(done, 200));
  if (child.exitCode !== null) throw new Error('HAProxy does not start: is it installed?');
  rmSync(dir, { recursive: true });
  return contender('haproxy', port, upstream.tls === true, child);
}

async function amqproxy(
  name: string,
  upstream: Upstream,
  root: string,
  settings: string[],
  nodeFlags = process.env.BENCH_NODE_FLAGS?.split(' ') ?? [],
): Promise<Contender> {
  const url = `${upstream.tls ? 'amqps' : 'amqp'}://127.0.0.1:${upstream.port}`;
  const dir = mkdtempSync(join(tmpdir(), 'amqproxy-bench-'));
  const file = join(dir, 'amqproxy.ini');
  writeFileSync(file, `${['[main]', 'max_clients = 0', ...settings].join('\n')}\n`);
  // built, it needs no memory for stripping types; the launcher has the flags that users get
  const main = ['src/main.js', 'src/main.ts'].map(name => join(root, name)).find(existsSync);
  const [program, ...first] =
    main === undefined ? [join(root, 'amqproxy')] : [process.execPath, ...nodeFlags, main];
  const child = spawn(program, [...first, ...['-l', '127.0.0.1', '-p', '0', '-b', '0', '-c', file], url], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  let port = 0;
  const add = (text: Buffer): void => {
    // only the beginning: the port is there, and so is what went wrong
    if (log.length < 100_000) log += text;
  };
  child.stdout!.on('data', add);
  child.stderr!.on('data', add);
  child.on('exit', (code, signal) => {
    // not before: a reload reads it again
    rmSync(dir, { recursive: true, force: true });
    if (code !== 0 && signal === null)
      console.error(`${name} has ended with ${code ?? signal}:\n${log.slice(-2000)}`);
  });
  await until(`${name} to listen`, () => {
    if (child.exitCode !== null) throw new Error(`${name} has ended:\n${log}`);
    const match = /listening on 127\.0\.0\.1:(\d+)/.exec(log);
    if (match) port = Number(match[1]);
    return match;
  });
  return contender(name, port, false, child);
}

/** Where the peer of each kind of upstream is said to be. */
export const PEERS: Partial<Record<string, string>> = { sink: 'BENCH_PEER', broker: 'BENCH_PEER_BROKER' };

/** BENCH_PEER=host:port[,pid]: it runs already, in front of the upstream it was given. */
function peer(variable: string): Contender {
  const match = /^(?:127\.0\.0\.1|localhost):(\d+)(?:,(\d+))?$/.exec(process.env[variable] ?? '');
  if (!match) throw new Error(`${variable} must be 127.0.0.1:PORT or 127.0.0.1:PORT,PID`);
  return { ...contender('peer', Number(match[1]), false, null), pid: Number(match[2] ?? 0) };
}

/**
 * Starts one of NAMES, or `name=directory` for another checkout of amqproxy, or `name=directory:--flag:--flag` with flags
 * for Node; `extra` are settings for [main].
 */
export function startContender(name: string, upstream: Upstream, extra: string[] = []): Promise<Contender> {
  const root = resolve(import.meta.dirname, '../..', process.env.BENCH_BUILT ? 'dist' : '.');
  const [, label, directory, flags] = /^([^=]+)=([^:]+):?(.*)$/.exec(name) ?? [];
  if (directory)
    return amqproxy(label, upstream, resolve(directory), extra, flags === '' ? [] : flags.split(':'));
  switch (name) {
    case 'direct':
      return Promise.resolve(contender('direct', upstream.port, upstream.tls === true, null));
    case 'haproxy':
      return haproxy(upstream);
    case 'amqproxy':
      return amqproxy(name, upstream, root, extra);
    case 'amqproxy-instant':
      return amqproxy(name, upstream, root, ['close = instant', ...extra]);
    case 'amqproxy-workers':
      return amqproxy(name, upstream, root, [`workers = ${workers ?? 2}`, ...extra]);
    case 'before': {
      const { BENCH_OLD: old } = process.env;
      if (!old)
        return Promise.reject(new Error('BENCH_OLD must name another build: its dist, or a checkout'));
      return amqproxy(name, upstream, old.replace(/\/amqproxy$/, ''), extra);
    }
    case 'peer':
      return Promise.resolve(peer(PEERS[upstream.kind ?? 'sink'] ?? ''));
    default:
      return Promise.reject(new Error(`no such contender: ${name}`));
  }
}
