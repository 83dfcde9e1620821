/**
 * `make soak`: visitors, residents and idle clients for MINUTES, while reloads, other brokers, alarms and losses go on. A
 * client may be told that its connection is lost when one was; nobody may wait in vain, see what is another's, or lose
 * what was confirmed, and in the end nothing may be left in the proxy.
 */
import * as f from '../differential/frames.ts';
import { randomizer, visit } from '../support/acts.ts';
import { Authority } from '../support/certs.ts';
import { exitOnSignals } from '../support/cleanup.ts';
import { queueName } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { inVain, RawClient } from '../support/raw-client.ts';
import { Visitors } from '../support/visitors.ts';
import { Mishaps } from './mishaps.ts';

const VISITORS = 24;
/** Of so many visitors one comes by TLS. */
const SECURE = 4;
const RESIDENTS = 6;
/** Of so many residents one says something now and then only, and has no lease in between. */
const SILENT = 3;
const IDLERS = 50;
/** Descriptors that the proxy may have in the end besides its upstreams', and had not at first: of the metrics, the runtime. */
const DESCRIPTORS = 6;
/** delivery-mode 2: the message outlives the broker. */
const PERSISTENT: [number, Buffer] = [0x1000, Buffer.from([2])];
/** Milliseconds between two mishaps, at most. */
const PAUSE_MS = 2000;
/** Seconds within which every answer comes: lease_timeout is 10. */
const ANSWER_S = 15;
/** Seconds for a handshake, and for whoever comes to the TLS listener and does not complete one. */
const HANDSHAKE_S = 5;
const MODES = [
  [],
  ['consumers = shared'],
  ['consumers = shared', 'message_buffer = 4KiB'],
  ['pool_mode = session'],
  ['close = instant'],
  ['max_upstreams = 4'],
];

const minutes = Number(process.env.MINUTES ?? 5);
const seed = Number(process.env.SEED ?? Date.now() % 1e9);
/** Acts of visitors, mishaps, and `strangers` at the TLS listener. */
const without = (process.env.WITHOUT ?? '').split(',');
const failures: string[] = [];
let total = 0;

exitOnSignals();
const certificate = new Authority().sign('soak', 'IP:127.0.0.1');
const broker = await RabbitMQ.start();

interface Kept {
  queue: string;
  confirmed: number;
}

/**
 * A client that publishes with confirms. It may be told that it is blocked, and then that it is no longer, before or after
 * its confirm comes.
 */
async function reside(port: number, stay: Kept, goesOn: () => boolean, pause: () => number): Promise<void> {
  const client = await RawClient.start(port, {
    capabilities: { authentication_failure_close: true, 'connection.blocked': true },
  });
  let blocked = false;
  const next = async (): Promise<string> => {
    const answer = await client.next(() => true, 30);
    const name = answer?.name ?? 'the end';
    if (name !== (blocked ? 'connection.unblocked' : 'connection.blocked')) return name;
    blocked = !blocked;
    return next();
  };
  try {
    await client.open(1);
    await client.ask(f.declare(1, stay.queue, f.DURABLE), 'queue.declare-ok', ANSWER_S);
    await client.ask(f.confirmSelect(1), 'confirm.select-ok', ANSWER_S);
    while (goesOn()) {
      client.send(f.publish(1, stay.queue, 'kept', { properties: PERSISTENT }));
      const name = await next();
      if (name !== 'basic.ack') throw new Error(`${name} instead of basic.ack`);
      stay.confirmed++;
      await sleep(pause());
    }
    for (const { name } of client.frames)
      if (name.startsWith('connection.')) blocked = name.endsWith('.blocked');
    if (blocked) await client.next('connection.unblocked', 30);
  } finally {
    client.destroy();
  }
}

/** What the broker confirmed and has not got. */
async function lostMessages(kept: Kept[]): Promise<string[]> {
  const queues = new Map((await broker.list('list_queues', 'name', 'messages')) as [string, string][]);
  const there = ({ queue }: Kept): number => Number(queues.get(queue) ?? 0);
  return kept
    .filter(of => there(of) < of.confirmed)
    .map(of => `${of.confirmed} messages were confirmed, ${there(of)} are there`);
}

/** A client that was idle all the time has heard nothing, and goes on as if nothing had happened. */
async function wake(client: RawClient): Promise<void> {
  const told = client.frames.map(frame => frame.name).filter(name => name !== 'heartbeat');
  if (told.length > 0 || client.ended) throw new Error(`was told ${told.join() || 'nothing, and cut off'}`);
  await client.open(1);
  await client.ask(f.declare(1, queueName('idle'), f.AUTO_DELETE), 'queue.declare-ok', ANSWER_S);
  client.destroy();
}

async function soak(settings: string[], seconds: number): Promise<void> {
  const tlsPort = await freePort();
  const { cert, key } = certificate;
  const listen = ['[listen]', `tls_port = ${tlsPort}`, `tls_cert = ${cert}`, `tls_key = ${key}`];
  const all = [...settings, `handshake_timeout = ${HANDSHAKE_S}`, ...listen];
  const mishaps = await Mishaps.between(broker, all, without);
  const proxy = await AmqProxy.withMetrics(null, ['-c', mishaps.file]);
  const title = settings.join(', ') || 'as installed';
  const descriptors = proxy.descriptors;
  let visits = 0;
  let excused = 0;
  const end = performance.now() + seconds * 1000;
  const goesOn = (): boolean => performance.now() < end && failures.length < 5;
  /** Does it again and again; an error is a failure unless a loss explains it. */
  const repeat = async (who: string, what: () => Promise<void>): Promise<void> => {
    while (goesOn()) {
      const since = performance.now();
      try {
        await what();
      } catch (error) {
        const { message } = error as Error;
        // who waits in vain has no excuse
        if (mishaps.excuse(since) && !inVain(message)) {
          excused++;
          await sleep(100);
        } else failures.push(`${title}: ${who}: ${message}`);
      }
    }
  };
  const visitor = (number: number): Promise<void> => {
    const random = randomizer(seed + number);
    const tls = number % SECURE === 0;
    let queue = queueName('none');
    return repeat(`visitor ${number}`, async () => {
      queue = await visit(tls ? tlsPort : proxy.port, queue, random, { tls, without });
      visits++;
    });
  };
  const strangers = new Visitors(tlsPort, HANDSHAKE_S + 10);
  const passing = async (): Promise<void> => {
    const random = randomizer(seed + VISITORS);
    if (without.includes('strangers')) return;
    const kinds = ['half hello', 'nothing', 'fin', 'garbage', 'reset'] as const;
    while (goesOn()) {
      strangers.come(kinds[random(kinds.length)]);
      await sleep(random(200));
    }
  };
  const kept: Kept[] = [];
  const resident = async (number: number): Promise<void> => {
    const random = randomizer(seed + VISITORS + 1 + number);
    const stay = { queue: queueName('resident'), confirmed: 0 };
    const pause = number % SILENT === 0 ? () => random(3000) : () => 5;
    await repeat(`resident ${number}`, () => reside(proxy.port, stay, goesOn, pause));
    kept.push(stay);
  };
  const idlers = await Promise.all(Array.from({ length: IDLERS }, () => RawClient.start(proxy.port)));
  const monkey = async (): Promise<void> => {
    const random = randomizer(seed - 1 - MODES.indexOf(settings));
    while (goesOn()) {
      await sleep(random(PAUSE_MS));
      await mishaps
        .happen(proxy, random)
        .catch(error => failures.push(`${title}: ${(error as Error).message}`));
    }
  };
  await Promise.all([
    monkey(),
    passing(),
    ...Array.from({ length: VISITORS }, (_, number) => visitor(number)),
    ...Array.from({ length: RESIDENTS }, (_, number) => resident(number)),
  ]);
  failures.push(...(await lostMessages(kept)).map(what => `${title}: ${what}`));
  for (const [number, client] of idlers.entries())
    await wake(client).catch((error: Error) =>
      failures.push(`${title}: idle client ${number}: ${error.message}`),
    );
  failures.push(...(await strangers.gone()).map(what => `${title}: ${what}`));
  await proxy.left().catch(error => failures.push(`${title}: ${(error as Error).message}`));
  const most = descriptors + (await proxy.metric('upstream_connections')) + DESCRIPTORS;
  await until(`${proxy.descriptors} descriptors to be ${most}`, () => proxy.descriptors <= most).catch(
    error => failures.push(`${title}: ${(error as Error).message}`),
  );
  if (/uncaught|TypeError|RangeError/i.test(proxy.log) || !proxy.running)
    failures.push(`${title}: ${proxy.log.slice(-4000)}`);
  const mishapsSeen = Object.entries(mishaps.counts).map(([name, count]) => `${name} ${count}`);
  console.log(
    `${title}: ${visits} visits, and ${excused} cut short; memory ${Math.round(proxy.rss / 1048576)} MiB; ${mishapsSeen.join(', ')}`,
  );
  total += visits;
  await proxy.stop();
  await mishaps.end();
}

console.log(`seed ${seed}`);
for (const settings of MODES) {
  await soak(settings, (minutes * 60) / MODES.length);
  if (failures.length > 0) break;
}
await broker.stop();
for (const failure of failures) console.log(failure);
console.log(`${total} visits, ${failures.length} failures`);
process.exitCode = failures.length > 0 ? 1 : 0;
