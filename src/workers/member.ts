/** One worker, as the main process knows it: from its start to its end. */
import { type ChildProcess, fork } from 'node:child_process';
import { extname, join } from 'node:path';
import type { Config } from '../config/options.ts';
import type { GivenSocket } from '../proxy/listeners.ts';
import type { BrokerNews } from '../upstream/broker-news.ts';
import { handleOf } from './handles.ts';
import { Link } from './link.ts';
import type { Order, Report, ToWorker } from './protocol.ts';

const PROGRAM = join(import.meta.dirname, `worker${extname(import.meta.filename)}`);
/** A worker's first descriptor of a listening socket: before it are input, output, errors, and the way to it. */
const FIRST_FD = 4;

/** Without what is the main process's alone: only that one speaks to the service manager. */
function environment(): NodeJS.ProcessEnv {
  const { NOTIFY_SOCKET: _, WATCHDOG_USEC: __, WATCHDOG_PID: ___, ...env } = process.env;
  return env;
}

interface Owner {
  reported(): void;
  brokerTells(member: Member, news: BrokerNews): void;
  ended(member: Member, how: string): void;
}

export class Member {
  /** From 0. */
  readonly index: number;
  readonly link: Link;
  readonly startedAt = performance.now();
  /** Its last word, null until it listens, and when that was. */
  report: Report | null = null;
  heardAt = performance.now();
  /** It takes clients. */
  listens = false;
  private readonly child: ChildProcess;
  /** Resolves when it has ended. */
  readonly gone: Promise<void>;
  /** Listening sockets that it has. */
  private sockets: readonly GivenSocket[];

  constructor(index: number, sockets: readonly GivenSocket[], owner: Owner) {
    this.index = index;
    this.sockets = sockets;
    this.child = fork(PROGRAM, [], {
      env: environment(),
      stdio: ['ignore', 1, 2, 'ipc', ...sockets.map(({ fd }) => fd)],
      serialization: 'advanced',
    });
    this.link = new Link(this.child, {
      report: report => {
        this.report = report;
        this.heardAt = performance.now();
        owner.reported();
      },
      broker: news => owner.brokerTells(this, news),
    });
    let over = false;
    let gone = (): void => {};
    this.gone = new Promise(resolve => {
      gone = resolve;
    });
    const end = (how: string): void => {
      if (over) return;
      over = true;
      this.link.end();
      owner.ended(this, how);
      gone();
    };
    this.child.on('exit', (code, signal) => end(signal === null ? `with exit code ${code}` : `by ${signal}`));
    // it could not be started, or it could not be told something that it does not hear any more
    this.child.on('error', error => {
      if (this.child.pid === undefined) end(`before it began: ${error.message}`);
    });
  }

  get name(): string {
    return `Worker ${this.index + 1} (pid ${this.child.pid})`;
  }

  async start(order: Omit<Order, 'sockets'>): Promise<void> {
    const sockets = this.sockets.map((socket, i) => ({ ...socket, fd: FIRST_FD + i }));
    await this.link.ask('start', { ...order, sockets });
    this.listens = true;
  }

  /** It gets the settings, and first those of its sockets that it has not got yet. `tells`: see there. */
  async configure(config: Config, sockets: readonly GivenSocket[], tells: boolean): Promise<void> {
    const more = sockets.filter(socket => !this.sockets.includes(socket));
    this.sockets = sockets;
    const { link } = this;
    const adopted = more.map(({ fd, ...socket }) => link.ask('adopt', socket, { handle: handleOf(fd) }));
    await Promise.all([...adopted, link.ask('configure', { config, tells })]);
  }

  /** Has it end all connections, and itself. */
  end(): void {
    this.link.end();
    if (this.child.connected) this.child.send({ abort: true } satisfies ToWorker, () => {});
  }

  /** Ends it at once. */
  kill(): void {
    this.child.kill('SIGKILL');
  }
}
