/** An operator at a running proxy: its commands on the command line, and the control socket itself. */
import { execFile } from 'node:child_process';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { tempDir } from './cleanup.ts';
import { settingsFile } from './fixture.ts';
import { AmqProxy } from './proxy.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

export type Row = Record<string, string | number>;

export interface Ended {
  code: number;
  out: string;
  err: string;
}

export class Operator {
  readonly socket = join(tempDir('console'), 'admin.sock');
  proxy!: AmqProxy;
  /** The file with the proxy's settings. */
  file = '';

  /** Starts a proxy with a console, in front of a broker. */
  async start(upstream: string | null, settings: string[] = [], args: string[] = []): Promise<AmqProxy> {
    this.file = settingsFile(...settings, '[admin]', `socket = ${this.socket}`);
    this.proxy = await AmqProxy.withMetrics(upstream, ['-c', this.file, ...args]);
    return this.proxy;
  }

  /** `amqproxy COMMAND …` as a process of its own. */
  run(...args: string[]): Promise<Ended> {
    return this.runWith({}, ...args);
  }

  runWith(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> {
    return new Promise(done => {
      execFile(
        process.execPath,
        [main, ...args],
        { env: { ...process.env, AMQPROXY_ADMIN_SOCKET: this.socket, ...env }, maxBuffer: 1 << 27 },
        (error, out, err) => done({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });
  }

  /** A request to the control socket; its answer as JSON. */
  ask(method: string, path: string): Promise<{ status: number; body: Record<string, unknown> }> {
    return new Promise((done, failed) => {
      request({ socketPath: this.socket, method, path }, response => {
        let text = '';
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('end', () => done({ status: response.statusCode!, body: JSON.parse(text) }));
      })
        .on('error', failed)
        .end();
    });
  }

  /** The rows of a view, for which all filters hold. */
  async rows(view: string, ...filters: string[]): Promise<Row[]> {
    const query = filters.map(filter => `filter=${encodeURIComponent(filter)}`).join('&');
    return (await this.ask('GET', `/show/${view}?${query}`)).body.rows as Row[];
  }
}
