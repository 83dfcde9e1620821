/** A broker that is no RabbitMQ: the LavinMQ whose binary LAVINMQ names, or one that runs, at LAVINMQ_URL. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atExit, tempDir } from './cleanup.ts';
import { freePort } from './ports.ts';
import { until } from './rabbitmq.ts';
import { RawClient } from './raw-client.ts';

const { LAVINMQ: binary = '', LAVINMQ_URL: url = '' } = process.env;

export class OtherBroker {
  readonly port: number;
  private readonly server: ChildProcess | null;
  /** File with what it prints. */
  private readonly output: string;

  private constructor(port: number, server: ChildProcess | null, output = '') {
    this.port = port;
    this.server = server;
    this.output = output;
  }

  /** Somebody wants one. */
  static get wanted(): boolean {
    return `${binary}${url}` !== '';
  }

  static async start(): Promise<OtherBroker> {
    const broker =
      url === '' ? await OtherBroker.run() : new OtherBroker(Number(new URL(url).port || 5672), null);
    await until('the broker to take logins', () => broker.takesLogins(), 30);
    return broker;
  }

  private static async run(): Promise<OtherBroker> {
    const dir = tempDir('lavinmq');
    const [port, http, metrics, mqtt] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const file = join(dir, 'lavinmq.ini');
    writeFileSync(
      file,
      [
        ...['[main]', `data_dir = ${dir}`, `metrics_http_port = ${metrics}`],
        ...['[mgmt]', 'bind = 127.0.0.1', `port = ${http}`, `unix_path = ${join(dir, 'http.sock')}`],
        ...['[amqp]', 'bind = 127.0.0.1', `port = ${port}`],
        ...['[mqtt]', 'bind = 127.0.0.1', `port = ${mqtt}`, ''],
      ].join('\n'),
    );
    const output = join(dir, 'output');
    const fd = openSync(output, 'w');
    const server = spawn(binary, ['--config', file], { stdio: ['ignore', fd, fd] });
    closeSync(fd);
    server.on('error', error => {
      throw new Error(`${binary} cannot be run: ${error.message}`);
    });
    atExit(() => server.kill('SIGKILL'));
    return new OtherBroker(port, server, output);
  }

  private async takesLogins(): Promise<boolean> {
    if (this.server !== null && this.server.exitCode !== null)
      throw new Error(
        `${binary} has ended with ${this.server.exitCode}:\n${readFileSync(this.output, 'utf8').slice(-2000)}`,
      );
    try {
      (await RawClient.start(this.port)).destroy();
      return true;
    } catch {
      return false;
    }
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.server?.kill('SIGTERM');
  }
}
