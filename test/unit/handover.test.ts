/**
 * Listening sockets that are handed over, as systemd does (sd_listen_fds(3)), and kept open while the proxy restarts.
 * To be greeted needs no broker.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { BoundSocket, connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { PROTOCOL_HEADER } from '../../src/amqp/frame.ts';
import { until } from '../support/rabbitmq.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');
/** Node's own backlog is 511: more than that must be able to wait. */
const CROWD = 900;

describe('A socket that is handed over', () => {
  /** Holds the socket while no proxy does; nobody accepts from it here. */
  let holder: BoundSocket;
  let port: number;
  let proxy: ChildProcess | undefined;
  let log = '';
  const sockets: Socket[] = [];

  /** A proxy with the holder's socket as its descriptor 3. LISTEN_PID is its own: the shell becomes the proxy. */
  async function start(): Promise<void> {
    log = '';
    proxy = spawn(
      'sh',
      ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', process.execPath, main, '-b', '0', 'amqp://127.0.0.1:1'],
      {
        env: { ...process.env, LISTEN_FDS: '1', LISTEN_FDNAMES: 'amqp' },
        stdio: ['ignore', 'pipe', 'pipe', holder.fd()],
      },
    );
    proxy.stdout!.on('data', text => {
      log += text;
    });
    await until('the proxy to listen', () => log.includes(`listening on 127.0.0.1:${port}`));
  }
  const stop = async (): Promise<void> => {
    const ended = new Promise(resolve => proxy!.once('exit', resolve));
    proxy!.kill('SIGTERM');
    expect(await ended).to.equal(0);
  };

  /** One client: what has become of it. */
  interface Visit {
    connected: boolean;
    greeted: boolean;
    error: string;
  }
  function visit(): Visit {
    const one: Visit = { connected: false, greeted: false, error: '' };
    const socket = connect(port, '127.0.0.1', () => {
      one.connected = true;
      socket.write(PROTOCOL_HEADER);
    });
    socket.once('data', () => {
      one.greeted = true;
      socket.destroy();
    });
    socket.on('error', error => {
      one.error = error.message;
    });
    sockets.push(socket);
    return one;
  }

  before(() => {
    holder = new BoundSocket({ host: '127.0.0.1' });
    ({ port } = holder.address());
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    if (proxy?.exitCode === null) proxy.kill('SIGKILL');
  });
  after(() => holder.close());

  it(`keeps its backlog: ${CROWD} connects wait while the proxy cannot accept`, async () => {
    await start();
    expect(log).to.include('Sockets come from the service manager');
    proxy!.kill('SIGSTOP');
    const visits = Array.from({ length: CROWD }, visit);
    await until('all to be connected', () => visits.every(one => one.connected));
    proxy!.kill('SIGCONT');
    await until('all to be greeted', () => visits.every(one => one.greeted));
    await stop();
  });

  it(`refuses none of ${CROWD} connects across a restart`, async () => {
    await start();
    await stop();
    const visits = Array.from({ length: CROWD }, visit);
    await until('all to be connected', () => visits.every(one => one.connected));
    await start();
    await until('all to be greeted', () => visits.every(one => one.greeted));
    expect(visits.filter(one => one.error !== '')).to.deep.equal([]);
    await stop();
  });
});
