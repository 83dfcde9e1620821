/**
 * `make picture`: the page of the console in a real browser, light and dark, of a proxy with a bit of load in front of a
 * RabbitMQ of its own. PICTURE_SECONDS: how long it runs before (120), since the page draws what was.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as f from '../differential/frames.ts';
import { chromium } from '../support/chromium.ts';
import { exitOnSignals } from '../support/cleanup.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sleep } from '../support/rabbitmq.ts';
import { type LoginOptions, publish, RawClient } from '../support/raw-client.ts';

const SECONDS = Number(process.env.PICTURE_SECONDS ?? 120);
const DIRECTORY = resolve(import.meta.dirname, '../../packaging/readme');
const SHOP: LoginOptions = { user: 'shop', secret: 'secret', vhost: '/' };
const MAIL: LoginOptions = { user: 'mailer', secret: 'secret', vhost: 'mail' };
const QUEUES = ['orders', 'mails'];
/** A bit of basic.consume. */
const NO_ACK = 2;

exitOnSignals();
const broker = await RabbitMQ.start();
await broker.ctl('add_vhost', 'mail');
await broker.addUser('shop', 'secret', '/');
await broker.addUser('mailer', 'secret', 'mail');
const proxy = await AmqProxy.withMetrics(broker.url);

/** A web request: it connects, publishes and leaves. */
async function visit(options: LoginOptions, queue: string): Promise<void> {
  const client = await RawClient.start(proxy.port, options);
  await client.open(1);
  client.send(publish(1, queue, Buffer.alloc(700, 'x')), f.connectionClose());
  await client.next('connection.close-ok');
  client.destroy();
}

/** A worker that stays, and takes what comes. */
async function work(options: LoginOptions, queue: string, title: string): Promise<void> {
  const client = await RawClient.start(proxy.port, { ...options, title });
  await client.open(1);
  await client.ask(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
  await client.ask(f.consume(1, queue, '', NO_ACK), 'basic.consume-ok');
}

for (const n of [1, 2, 3]) void work(SHOP, QUEUES[0], `orders worker ${n}`);
void work(MAIL, QUEUES[1], 'mail worker');
const there = new Set<Promise<void>>();
function come(options: LoginOptions, queue: string): void {
  const stay = visit(options, queue);
  there.add(stay);
  void stay.then(() => there.delete(stay));
}
const began = Date.now();
let visits = 0;
const load = setInterval(() => {
  // some go up and some down, as traffic does
  const tide = 1 + Math.sin((Date.now() - began) / 17_000);
  if (Math.random() < 0.3 + 0.35 * tide) come(SHOP, QUEUES[0]);
  if (visits++ % 5 === 0) come(MAIL, QUEUES[1]);
}, 20);

console.log(`${SECONDS} s of load, for the plots`);
await sleep(SECONDS * 1000);
for (const [name, ...look] of [['light'], ['dark', '--force-dark-mode']]) {
  const file = join(DIRECTORY, `console-${name}.png`);
  await chromium(
    `${proxy.http}/`,
    '--window-size=1140,830',
    '--hide-scrollbars',
    ...look,
    `--screenshot=${file}`,
  );
  console.log(`${file}: ${Math.round(statSync(file).size / 1000)} kB`);
}
clearInterval(load);
await Promise.all(there);
await proxy.stop();
await broker.stop();
process.exit(0);
