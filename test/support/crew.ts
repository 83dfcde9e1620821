/** A proxy with several workers: who is on which, and what becomes of them. */
import { readFileSync } from 'node:fs';
import { Operator, type Row } from './operator.ts';
import type { AmqProxy } from './proxy.ts';
import { until } from './rabbitmq.ts';
import { type LoginOptions, RawClient } from './raw-client.ts';

/** Clients that may come until each worker has one: the kernel chooses who takes them. */
const MOST = 300;

export class Crew extends Operator {
  readonly workers: number;
  private readonly clients: RawClient[] = [];

  constructor(workers = 2) {
    super();
    this.workers = workers;
  }

  override async start(
    upstream: string | null,
    settings: string[] = [],
    args: string[] = [],
  ): Promise<AmqProxy> {
    const proxy = await super.start(upstream, [`workers = ${this.workers}`, ...settings], args);
    await this.allThere();
    return proxy;
  }

  /** Resolves when all workers take clients. */
  async allThere(): Promise<void> {
    await until(
      'all workers to take clients',
      async () => (await this.proxy.metric('workers')) === this.workers,
    );
  }

  /** The processes of the workers. */
  get pids(): number[] {
    const { pid } = this.proxy.process;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.trim().split(' ').filter(Boolean).map(Number);
  }

  async login(options: LoginOptions = {}, port = this.proxy.port): Promise<RawClient> {
    const client = await RawClient.start(port, options);
    this.clients.push(client);
    return client;
  }

  /** What the console knows of a client: its id, its worker … */
  async rowOf(client: RawClient): Promise<Row> {
    const [row] = await this.rows('clients', `address=127.0.0.1:${client.socket.localPort}`);
    return row;
  }

  /** A client on each worker, in their order; all others that had to come for that leave. */
  async oneOnEach(options: LoginOptions = {}, port = this.proxy.port): Promise<RawClient[]> {
    const found = new Map<number, RawClient>();
    for (let n = 0; found.size < this.workers; n++) {
      if (n > MOST) throw new Error(`${MOST} clients were all taken by the same worker`);
      const client = await this.login(options, port);
      const worker = Number((await this.rowOf(client)).worker);
      if (found.has(worker)) client.destroy();
      else found.set(worker, client);
    }
    return [...found].sort(([a], [b]) => a - b).map(([, client]) => client);
  }

  async stop(): Promise<void> {
    for (const client of this.clients.splice(0)) client.destroy();
    await this.proxy?.stop();
  }
}

/** Whether a process is there; one that is dead and not waited for is not. */
export function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
