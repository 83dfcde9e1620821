/**
 * `make soak`: visitors, residents and idle clients for MINUTES, while reloads, other brokers, alarms and losses go on. A
 * client may be told that its connection is lost when one was; nobody may wait in vain, see what is another's, or lose
 * what was confirmed, and in the end nothing may be left in the proxy.
 */
import * as f from '../differential/frames.ts';
import { randomizer, visit } from '../support/acts.ts';
import { exitOnSignals } from '../support/cleanup.ts';
import { queueName } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sleep } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';
import { Mishaps } from './mishaps.ts';

const VISITORS = 24;
const RESIDENTS = 6;
const IDLERS = 50;
/** delivery-mode 2: the message outlives the broker. */
const PERSISTENT: [number, Buffer] = [0x1000, Buffer.from([2])];
/** Milliseconds between two mishaps, at most. */
const PAUSE_MS = 2000;
const MODES = [
  [],
  ['consumers = shared'],
  ['pool_mode = session'],
  ['close = instant'],
  ['max_upstreams = 4'],
];

const minutes = Number(process.env.MINUTES ?? 5);
const seed = Number(process.env.SEED ?? Date.now() % 1e9);
const failures: string[] = [];
let total = 0;

exitOnSignals();
const broker = await RabbitMQ.start();

interface Kept {
  queue: string;
  confirmed: number;
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
  const answer = await client.call(f.declare(1, queueName('idle'), f.AUTO_DELETE), 'queue.declare-ok');
  if (answer === null) throw new Error('lost its connection with the first request');
  client.destroy();
}

async function soak(settings: string[], seconds: number): Promise<void> {
  const mishaps = await Mishaps.between(broker, settings);
  const proxy = await AmqProxy.withMetrics(null, ['-c', mishaps.file]);
  const title = settings[0] ?? 'as installed';
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
        if (mishaps.excuse(since) && !message.includes('within')) {
          excused++;
          await sleep(100);
        } else failures.push(`${title}: ${who}: ${message}`);
      }
    }
  };
  const visitor = (number: number): Promise<void> => {
    const random = randomizer(seed + number);
    let queue = queueName('none');
    return repeat(`visitor ${number}`, async () => {
      queue = await visit(proxy.port, queue, random);
      visits++;
    });
  };
  const kept: Kept[] = [];
  const resident = async (number: number): Promise<void> => {
    const queue = queueName('resident');
    let confirmed = 0;
    await repeat(`resident ${number}`, async () => {
      const client = await RawClient.start(proxy.port);
      try {
        await client.open(1);
        await client.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
        await client.call(f.confirmSelect(1), 'confirm.select-ok');
        while (goesOn()) {
          client.send(f.publish(1, queue, 'kept', { properties: PERSISTENT }));
          const answer = await client.next(() => true, 30);
          if (answer?.name !== 'basic.ack')
            throw new Error(`${answer?.name ?? 'the end'} instead of basic.ack`);
          confirmed++;
          await sleep(5);
        }
      } finally {
        client.destroy();
      }
    });
    kept.push({ queue, confirmed });
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
    ...Array.from({ length: VISITORS }, (_, number) => visitor(number)),
    ...Array.from({ length: RESIDENTS }, (_, number) => resident(number)),
  ]);
  failures.push(...(await lostMessages(kept)).map(what => `${title}: ${what}`));
  for (const [number, client] of idlers.entries())
    await wake(client).catch((error: Error) =>
      failures.push(`${title}: idle client ${number}: ${error.message}`),
    );
  await proxy.left().catch(error => failures.push(`${title}: ${(error as Error).message}`));
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
