/**
 * `make demo`: 1,000 short-lived clients through the proxy, then the same straight to the broker, side by side. Says what
 * it does while it does it, and leaves both running for the reader to try; DEMO_ONCE=1 ends after the table.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import amqp from 'amqplib';
import { freePort } from '../support/ports.ts';
import { RabbitMQ, until } from '../support/rabbitmq.ts';
import { type Load, shortLivedClients } from './load.ts';

const CYCLES = 1000;
const CONCURRENCY = 8;
const QUEUE = 'demo';

interface Row extends Load {
  who: string;
  /** Connections the broker saw. */
  connections: number;
  /** Seconds of CPU time the broker used. */
  cpu: number;
}

const undo: (() => Promise<unknown>)[] = [];
let ending: Promise<void> | undefined;

/** Undoes everything in reverse order, once. */
function end(code: number): Promise<void> {
  return (ending ??= (async () => {
    for (const step of undo.reverse()) await step().catch(error => console.error(String(error)));
    process.exit(code);
  })());
}

async function startBroker(): Promise<RabbitMQ> {
  const broker = await RabbitMQ.start();
  undo.push(() => broker.stop());
  return broker;
}

/** Does a task while its line says since when, on a terminal; then how long it took. */
async function say<T>(what: string, task: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  const live = process.stdout.isTTY;
  if (live) process.stdout.write(`${what} …`);
  const ticker = live ? setInterval(() => process.stdout.write(`\r${what} … ${seconds()}`), 500) : undefined;
  try {
    const result = await task();
    console.log(live ? `\r${what}: ${seconds()}   ` : `${what}: ${seconds()}`);
    return result;
  } finally {
    clearInterval(ticker);
  }
}

/** Runs dist/amqproxy in front of `broker`; resolves to its ports when it listens. */
async function startProxy(broker: RabbitMQ): Promise<{ port: number; http: number }> {
  const [port, http] = [await freePort(), await freePort()];
  const launcher = resolve(import.meta.dirname, '../../dist/amqproxy');
  // a group of its own, so that Ctrl-C reaches us first and the proxy ends politely
  const proxy = spawn(
    launcher,
    ['-l', '127.0.0.1', '-p', `${port}`, '-b', `${http}`, '-t', '3600', broker.url],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let log = '';
  for (const stream of [proxy.stdout, proxy.stderr]) stream.on('data', text => (log += text));
  undo.push(async () => {
    if (proxy.exitCode !== null || proxy.signalCode !== null) return;
    const ended = once(proxy, 'exit');
    proxy.kill('SIGTERM');
    const patience = setTimeout(() => proxy.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(patience);
  });
  proxy.on('exit', code => {
    if (ending) return;
    console.error(`demo: amqproxy has ended (${code}):\n${log}`);
    void end(1);
  });
  await until('amqproxy to listen', () => log.includes('Proxy listening on'));
  return { port, http };
}

async function measure(who: string, port: number, broker: RabbitMQ): Promise<Row> {
  const connections = await broker.accepted();
  const cpu = broker.cpuSeconds;
  const load = await shortLivedClients(`amqp://guest:guest@127.0.0.1:${port}`, QUEUE, CYCLES, CONCURRENCY);
  const used = broker.cpuSeconds - cpu;
  return { who, ...load, connections: (await broker.accepted()) - connections, cpu: used };
}

/** Makes the queue (`messages` 0) or reads how many messages it holds, over a connection of its own. */
async function countMessages(broker: RabbitMQ): Promise<number> {
  const connection = await amqp.connect(broker.url);
  const channel = await connection.createChannel();
  const { messageCount } = await channel.assertQueue(QUEUE);
  await connection.close();
  return messageCount;
}

const table = (rows: string[][]): string => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)));
  return rows
    .map(row =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('   '),
    )
    .join('\n');
};

async function demo(): Promise<void> {
  console.log(
    'A private RabbitMQ and amqproxy before it, on free ports; nothing of this machine is touched.',
  );
  const broker = await say('Starting RabbitMQ', startBroker);
  await countMessages(broker);
  const { port, http } = await say('Starting amqproxy', () => startProxy(broker));
  const clients = `${CYCLES} clients that connect, publish one message and close, ${CONCURRENCY} at a time`;
  const rows = [
    await say(`${clients}, through amqproxy`, () => measure('through amqproxy', port, broker)),
    await say('the same straight to RabbitMQ', () => measure('straight to RabbitMQ', broker.port, broker)),
  ];
  console.log();
  console.log(
    table([
      ['', 'cycles/s', 'median ms', 'p99 ms', 'connections', 'broker CPU s'],
      ...rows.map(row => [
        row.who,
        row.rate.toFixed(0),
        row.median.toFixed(1),
        row.p99.toFixed(1),
        `${row.connections}`,
        row.cpu.toFixed(2),
      ]),
    ]),
  );
  const wanted = 2 * CYCLES;
  await until(`all ${wanted} messages`, async () => (await countMessages(broker)) === wanted);
  console.log(`\nAll ${wanted} messages have arrived.`);
  if (process.env.DEMO_ONCE === '1') return end(0);
  const direct = `amqp://guest:guest@127.0.0.1:${broker.port}`;
  const pooled = `amqp://guest:guest@127.0.0.1:${port}`;
  console.log(`
Both are running: point your own client to
  ${pooled}   (amqproxy)
  ${direct}   (the broker)
What to try next, in another terminal:
  curl -s http://127.0.0.1:${http}/metrics | grep -E '^amqproxy_(logins|upstreams_opened)'
  ${resolve(import.meta.dirname, '../../dist/amqproxy')} --help
  make deb && apt install ./dist/amqproxy_*.deb
Ctrl-C stops both and removes everything.`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));
demo().catch(error => {
  console.error(`demo: ${(error as Error).message}`);
  void end(1);
});
