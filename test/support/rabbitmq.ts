/**
 * A private RabbitMQ (Debian's rabbitmq-server) on free ports in a temporary directory; the one below
 * AMQPROXY_TEST_BROKER_ROOT where that names the root of another Debian (test/rabbitmq4).
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { atExit, tempDir } from './cleanup.ts';
import { freePort } from './ports.ts';
import { Rabbitmqctl } from './rabbitmqctl.ts';

const exec = promisify(execFile);
const SBIN = '/usr/lib/rabbitmq/bin';
const { AMQPROXY_TEST_BROKER_ROOT: brokerRoot } = process.env;
/** A program of the broker's Debian, with what it takes to run it there. */
const program = (file: string, ...args: string[]): [string, string[]] =>
  brokerRoot === undefined ? [file, args] : ['chroot', [brokerRoot, file, ...args]];

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** Polls until `check` gives something truthy; fails after `seconds`, saying what it waited for. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  seconds = 15,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await check();
    if (value) return value as NonNullable<T>;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for: ${what}`);
    await sleep(20);
  }
}

const accepts = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

export interface BrokerOptions {
  /** Lines for rabbitmq.conf. */
  conf?: string[];
  /** Instead of a free one. */
  port?: number;
  /** It can join the cluster of this one. */
  beside?: RabbitMQ;
  /** Certificate files of a TLS listener. */
  tls?: { ca: string; cert: string; key: string };
}

export class RabbitMQ {
  readonly port: number;
  readonly tlsPort: number;
  readonly dir: string;
  private readonly env: NodeJS.ProcessEnv;
  private server: ChildProcess | null = null;
  private control: Rabbitmqctl | null = null;
  private readonly gone: () => void;

  private constructor(ports: number[], options: BrokerOptions) {
    const [port, dist, ownEpmd, tlsPort] = ports;
    // nodes that are to know each other share the list of them, and the cookie in HOME
    const { beside } = options;
    const epmd = beside?.env.ERL_EPMD_PORT ?? ownEpmd;
    this.port = port;
    this.tlsPort = tlsPort;
    this.dir = tempDir('rabbitmq');
    this.gone = atExit(() => this.destroy());
    const conf = ['loopback_users.guest = false', 'log.console = false', ...(options.conf ?? [])];
    if (options.tls)
      conf.push(
        `listeners.ssl.1 = 127.0.0.1:${tlsPort}`,
        `ssl_options.cacertfile = ${options.tls.ca}`,
        `ssl_options.certfile = ${options.tls.cert}`,
        `ssl_options.keyfile = ${options.tls.key}`,
        'ssl_options.verify = verify_none',
        'ssl_options.fail_if_no_peer_cert = false',
      );
    // here, so that its two nodes do not both make one
    if (beside === undefined) writeFileSync(join(this.dir, '.erlang.cookie'), randomUUID(), { mode: 0o400 });
    writeFileSync(join(this.dir, 'rabbit.conf'), `${conf.join('\n')}\n`);
    writeFileSync(join(this.dir, 'plugins'), '[].\n');
    this.env = {
      ...process.env,
      HOME: beside?.env.HOME ?? this.dir,
      ERL_CRASH_DUMP: join(this.dir, 'erl_crash.dump'),
      // an address, so that a machine without /etc/hosts will do
      RABBITMQ_NODENAME: `amqproxy-test-${port}@127.0.0.1`,
      RABBITMQ_USE_LONGNAME: 'true',
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(dist),
      ERL_EPMD_PORT: String(epmd),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      // lets it be ended while a node that was just killed is still in its list
      ERL_EPMD_RELAXED_COMMAND_CHECK: 'true',
      RABBITMQ_MNESIA_BASE: join(this.dir, 'mnesia'),
      RABBITMQ_LOG_BASE: join(this.dir, 'log'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(this.dir, 'plugins'),
      // none: the machine's own has no part in this, and rabbitmqctl would run it through a shell with each command
      RABBITMQ_CONF_ENV_FILE: join(this.dir, 'none'),
      RABBITMQ_CONFIG_FILE: join(this.dir, 'rabbit'),
      RABBITMQ_PID_FILE: join(this.dir, 'pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
    };
  }

  static async start(options: BrokerOptions = {}): Promise<RabbitMQ> {
    const ports = options.port === undefined ? [] : [options.port];
    while (ports.length < 4) {
      const port = await freePort();
      if (!ports.includes(port)) ports.push(port);
    }
    const broker = new RabbitMQ(ports, options);
    await broker.run();
    return broker;
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  /** Starts the server and waits until it takes logins. */
  async run(): Promise<void> {
    const output = join(this.dir, 'output');
    const fd = openSync(output, 'w');
    const server = spawn(...program(join(SBIN, 'rabbitmq-server')), {
      env: this.env,
      // where Mnesia leaves a core of a node that is killed as it starts
      cwd: this.dir,
      stdio: ['ignore', fd, fd],
      detached: true,
    });
    closeSync(fd);
    this.server = server;
    this.control ??= new Rabbitmqctl(
      (...command) => spawn(...program(...command), { env: this.env, stdio: 'pipe' }),
      SBIN,
    );
    await until(
      'RabbitMQ to listen',
      () => {
        if (server.exitCode !== null) throw new Error(`RabbitMQ has ended:\n${readFileSync(output, 'utf8')}`);
        return accepts(this.port);
      },
      90,
    );
    await this.ctl('await_startup');
  }

  /** rabbitmqctl; its output without headings. */
  ctl(...args: string[]): Promise<string> {
    return this.control!.run(...args);
  }

  /** The broker's name among Erlang nodes. */
  get node(): string {
    return this.env.RABBITMQ_NODENAME!;
  }

  /** Joins the cluster of another one that was started beside it. */
  async join(other: RabbitMQ): Promise<void> {
    await this.ctl('stop_app');
    await this.ctl('join_cluster', other.node);
    await this.ctl('start_app');
    await this.ctl('await_startup');
  }

  /** rabbitmq-upgrade: `drain` and `revive`. */
  async upgrade(...args: string[]): Promise<void> {
    await exec(...program(join(SBIN, 'rabbitmq-upgrade'), '-q', ...args), { env: this.env });
  }

  /** All of its processes stand still, as on a machine that hangs. */
  freeze(): void {
    process.kill(-this.server!.pid!, 'SIGSTOP');
  }

  /** All threads of the server have stopped: a signal takes its time to reach each of them. */
  get frozen(): boolean {
    const tasks = `/proc/${this.pid}/task`;
    return readdirSync(tasks).every(id => readFileSync(`${tasks}/${id}/stat`, 'utf8').includes(') T '));
  }

  thaw(): void {
    process.kill(-this.server!.pid!, 'SIGCONT');
  }

  /** Rows of a rabbitmqctl list, each split at tabs. */
  async list(what: string, ...columns: string[]): Promise<string[][]> {
    const out = await this.ctl(what, ...columns, '--no-table-headers');
    return out
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.split('\t'));
  }

  /** Messages in a queue; null when there is no such queue. */
  async messages(queue: string, vhost = '/'): Promise<number | null> {
    const rows = await this.list('list_queues', '-p', vhost, 'name', 'messages');
    const row = rows.find(([name]) => name === queue);
    return row === undefined ? null : Number(row[1]);
  }

  async addUser(user: string, secret: string, ...vhosts: string[]): Promise<void> {
    await this.ctl('add_user', user, secret);
    for (const vhost of vhosts) await this.ctl('set_permissions', '-p', vhost, user, '.*', '.*', '.*');
  }

  /** Begins or ends its memory alarm. */
  async alarm(on: boolean): Promise<void> {
    await this.ctl('set_vm_memory_high_watermark', on ? '0.0000001' : '0.4');
    // connections have been told when it is in the list
    await until(on ? 'an alarm' : 'the end of the alarm', async () => {
      const alarms = await this.ctl('eval', 'rabbit_alarm:get_alarms().');
      return alarms.includes('memory') === on;
    });
  }

  get pid(): number {
    return Number(readFileSync(join(this.dir, 'pid'), 'utf8'));
  }

  /** CPU seconds the broker has used so far. */
  get cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Stops the server politely. */
  async halt(): Promise<void> {
    const { server } = this;
    if (server === null) return;
    this.server = null;
    const ended = new Promise(resolve => server.once('exit', resolve));
    await this.ctl('stop').catch(() => {
      try {
        process.kill(-server.pid!, 'SIGKILL');
      } catch {}
    });
    await ended;
  }

  /** Ends the server as a power cut would. Its data stays, `run` starts it again. */
  async kill(): Promise<void> {
    const { server } = this;
    if (server === null) return;
    this.server = null;
    const ended = new Promise(resolve => server.once('exit', resolve));
    process.kill(-server.pid!, 'SIGKILL');
    await ended;
    // the shell that started it may end before it does
    await until('the killed broker to be gone', async () => !(await accepts(this.port)));
  }

  /** Connections the broker has let in since it started (its own counter: its log leaves lines out in a burst). */
  async accepted(): Promise<number> {
    const out = await this.ctl('eval', 'element(2, hd(ets:tab2list(connection_churn_metrics))).');
    return Number(out);
  }

  /** The broker's log so far. */
  get log(): string {
    const dir = join(this.dir, 'log');
    return readdirSync(dir)
      .filter(name => name.endsWith('.log'))
      .map(name => readFileSync(join(dir, name), 'utf8'))
      .join('');
  }

  /** Ends and removes everything, its epmd too. */
  async stop(): Promise<void> {
    await this.kill();
    this.control?.end();
    await exec(...program('/usr/bin/epmd', '-port', this.env.ERL_EPMD_PORT!, '-kill')).catch(() => {});
    rmSync(this.dir, { recursive: true, force: true });
    this.gone();
  }

  /** The same at once, for the end of the process. */
  private destroy(): void {
    if (this.server !== null) process.kill(-this.server.pid!, 'SIGKILL');
    execFileSync('epmd', ['-port', this.env.ERL_EPMD_PORT!, '-kill'], { stdio: 'ignore' });
  }
}

let shared: Promise<RabbitMQ> | null = null;

/** The broker that the tests of one process share; it ends with the process. */
export const sharedBroker = (): Promise<RabbitMQ> => (shared ??= RabbitMQ.start());
