/**
 * `make test-cluster`: three nodes of RabbitMQ, of which one after the other, the leader of the quorum queues each time, is
 * stopped, killed, frozen and drained, and comes back, while clients of all kinds go on. Nobody may wait longer than 10 s,
 * nothing confirmed may be lost, nothing acked come again, short clients may fail for 1 s after a kill and not at all in a
 * drain, and a node that is back has upstreams within a minute, without a rush.
 *
 * Where a leader is frozen, RabbitMQ itself makes clients wait, whoever asks: it is looked at while they do, and what it was
 * seen to stand still for does not count. It is in the table, and how long clients wait that go straight to a node that nothing
 * is done to.
 */
import { writeFileSync } from 'node:fs';
import * as f from '../differential/frames.ts';
import { exitOnSignals } from '../support/cleanup.ts';
import { settingsFile } from '../support/fixture.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Attempt, failed, Ledger, longest } from './ledger.ts';
import { type Cast, Consumer, Publisher, Received, visitor, wake } from './people.ts';
import { Standstill } from './standstill.ts';

const USERS = 6;
const IDLERS = 10;
/** Seconds nobody may wait longer than. */
const LONGEST = 10;
/** Seconds between two mishaps, and of each. */
const CALM = 5;
const AWAY = 8;
const FROZEN = 20;
/** Seconds in which a node that is back has upstreams. */
const BACK = 60;
const CONFIRMED = 'publishers';
const CLASSIC = 'publishers (classic queue)';
const SHORT = 'short clients';
const CONSUMERS = 'consumers';
/** Queues that all nodes have. */
const QUORUM = ['kept', 'short', 'short-direct'];
const KINDS = [CONFIRMED, CLASSIC, SHORT, CONSUMERS];
/** The same, straight to a node that nothing is done to. */
const direct = (kind: string): string => `${kind}, direct`;
/** Seconds after which these come anew, as those do that the proxy has told that a node is lost. */
const STAY = 1;

/** ONLY=frozen: that mishap only. LOG=file: keeps what the proxy has said. */
const { ONLY: only = '', LOG: kept = '' } = process.env;

exitOnSignals();
const failures: string[] = [];
const say = (text: string): void => console.log(text);

// ---- the cluster

const first = await RabbitMQ.start();
const nodes = [first];
for (let n = 1; n < 3; n++) {
  const node = await RabbitMQ.start({ beside: first });
  await node.join(first);
  nodes.push(node);
}
for (let n = 0; n < USERS; n++) await first.addUser(`user${n}`, 'secret', '/');
const setup = await RawClient.start(first.port);
await setup.open(1);
const quorum = f.table(f.text('x-queue-type', 'quorum'));
for (const [queue, args] of [
  ...QUORUM.map(queue => [queue, quorum] as const),
  ['classic', f.table()],
] as const)
  await setup.ask(f.declare(1, queue, f.DURABLE, args), 'queue.declare-ok', 60);
setup.destroy();
say(`three nodes: ${nodes.map(({ port }) => port).join(', ')}`);

// ---- the clients

const upstream = nodes.map(({ url }) => url).join(',');
const proxy = await AmqProxy.withMetrics(null, ['-c', settingsFile(`upstream = ${upstream}`)]);
const ledger = new Ledger();
let running = true;
let healthy = nodes[1];
const cast: Cast = { ledger, port: () => proxy.port, goesOn: () => running };
const beside: Cast = { ...cast, port: () => healthy.port };
let consuming = true;
const audience: Cast = { ...cast, goesOn: () => consuming };
const publishers = [new Publisher(CONFIRMED, 'kept'), new Publisher(CLASSIC, 'classic')];
const newcomer = new Publisher(direct(CONFIRMED), 'kept', 1_000_000, STAY);
const received = [new Received('kept'), new Received('classic')];
const consumers = [new Consumer(CONSUMERS, received[0]), new Consumer('classic consumers', received[1])];
const idlers = await Promise.all(Array.from({ length: IDLERS }, () => RawClient.start(proxy.port)));
const atWork = [
  ...publishers.map(one => one.run(cast)),
  newcomer.run(beside),
  visitor(beside, direct(SHORT), 'short-direct', {}),
  ...Array.from({ length: USERS }, (_, n) =>
    visitor(cast, SHORT, 'short', { user: `user${n}`, secret: 'secret' }),
  ),
];
const listening = [
  ...consumers.map(one => one.run(audience)),
  new Consumer(direct(CONSUMERS), received[0], STAY).run({ ...audience, port: () => healthy.port }),
];
const standstill = new Standstill(nodes, QUORUM, proxy);
const watching = standstill.watch(ledger, () => running);

// ---- the mishaps

const broker = (node: RabbitMQ): string => `upstream="127.0.0.1:${node.port}"`;
const upstreamsAt = async (node: RabbitMQ): Promise<number> => {
  const response = await fetch(`${proxy.http}/show/brokers`);
  const { rows } = (await response.json()) as { rows: { id: string; upstreams: number }[] };
  return rows.find(({ id }) => id === `127.0.0.1:${node.port}`)?.upstreams ?? 0;
};
const table: string[][] = [
  ['mishap', ...KINDS.map(kind => `${kind}: failures, longest wait [direct]`), 'upstreams back'],
];

interface Mishap {
  name: string;
  node: RabbitMQ;
  begin(node: RabbitMQ): Promise<void>;
  seconds: number;
  end(node: RabbitMQ): Promise<void>;
  /** For which of them short clients may fail from its beginning on; null while nobody can know better. */
  excused: number | 'none' | null;
}

/** Waits until the node has upstreams again; the seconds it took, and how many were opened meanwhile. */
async function comesBack({ name, node }: Mishap): Promise<string> {
  await until(
    `${name}: the node to be up`,
    async () => (await proxy.metric(`broker_up{${broker(node)}}`)) === 1,
    60,
  );
  const began = performance.now();
  const before = await proxy.metric('upstreams_opened_total');
  await until(`${name}: upstreams to come back`, async () => (await upstreamsAt(node)) > 0, BACK);
  const opened = (await proxy.metric('upstreams_opened_total')) - before;
  if (opened > 3 * (USERS + 4)) failures.push(`${name}: ${opened} upstreams were opened in a rush`);
  return `${((performance.now() - began) / 1000).toFixed(0)} s, ${opened} opened`;
}

/** Milliseconds that this process was kept from its work at most: what waits for that says nothing of the proxy. */
let stall = 0;
let pulse = performance.now();
setInterval(() => {
  const now = performance.now();
  stall = Math.max(stall, now - pulse - 100);
  pulse = now;
}, 100);

/** Makes the node lead the quorum queues: that is the worst that can be taken away. */
async function lead({ node }: RabbitMQ): Promise<void> {
  for (const queue of QUORUM) {
    const at = (name: string): string => `{'%2F_${queue}', '${name}'}`;
    await until(`the leader of ${queue} to move`, async () => {
      await first.ctl('eval', `ra:transfer_leadership(${at(first.node)}, ${at(node)}).`);
      const queueOf = `rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${queue}">>))`;
      return (await first.ctl('eval', `amqqueue:get_pid(element(2, ${queueOf})).`)).includes(`'${node}'`);
    });
  }
}

/** How many failed, and the longest wait; what RabbitMQ stood still for of that is not the proxy's. */
function judge(name: string, kind: string, from: number, to: number): string {
  const attempts = ledger.between(kind, from, to);
  if (kept !== '') attempts.forEach(attempt => void explain(attempt, from));
  const wait = Math.max(0, ...attempts.map(attempt => attempt.took(to) - attempt.stood));
  if (wait > LONGEST) failures.push(`${name}: ${kind} waited ${wait.toFixed(1)} s`);
  const one = longest(attempts, to);
  const itself = one !== null && one.stood > 0 ? `, ${one.stood.toFixed(1)} of it in RabbitMQ` : '';
  const beside = ledger.between(direct(kind), from, to);
  const compared =
    beside.length === 0 ? '' : ` [${failed(beside).length}, ${longest(beside, to)?.took(to).toFixed(1)} s]`;
  return `${failed(attempts).length}, ${one?.took(to).toFixed(1)} s${itself}${compared}`;
}

/** Says what became of one that failed, or took long. */
function explain({ kind, began, ended, error, stood, where }: Attempt, from: number): void {
  if (error === null && ended - began < 3000) return;
  const times = [began, ended].map(at => ((at - from) / 1000).toFixed(1)).join(' to ');
  const itself = stood === 0 ? '' : `, RabbitMQ stood still for ${stood.toFixed(1)} s in ${where}`;
  say(`  ${kind}: ${times} s: ${error ?? 'worked'}${itself}`);
}

async function happen(mishap: Mishap): Promise<void> {
  if (only !== '' && !mishap.name.includes(only)) return;
  const { name, node, begin, seconds, end, excused } = mishap;
  healthy = node === first ? nodes[1] : first;
  await lead(node);
  await sleep(CALM * 1000);
  say(`${name}: ${await upstreamsAt(node)} upstreams are there`);
  const from = performance.now();
  stall = 0;
  await begin(node);
  const known = performance.now();
  await sleep(seconds * 1000);
  await end(node);
  const back = await comesBack(mishap).catch((error: Error) => {
    failures.push(error.message);
    return 'never';
  });
  await standstill.atRest().catch((error: Error) => failures.push(error.message));
  const to = performance.now();
  const cells = KINDS.map(kind => judge(name, kind, from, to));
  if (excused !== null) {
    const due = excused === 'none' ? from : known + excused * 1000;
    const late = failed(ledger.between(SHORT, from, to)).filter(({ ended }) => ended > due);
    for (const { began, ended, error } of late) {
      const [came, left] = [began, ended].map(at => ((at - known) / 1000).toFixed(1));
      failures.push(`${name}: a short client failed from ${came} to ${left} s after it: ${error}`);
    }
  }
  table.push([name, ...cells, back]);
  say(
    `${name}: ${cells.join('; ')}; ${back}; this machine stood still for up to ${(stall / 1000).toFixed(1)} s`,
  );
}

/** The node that has most upstreams, but for the first one, where the classic queue lives. */
async function busiest(): Promise<RabbitMQ> {
  const [, ...others] = nodes;
  const counts = await Promise.all(others.map(upstreamsAt));
  return others[counts.indexOf(Math.max(...counts))];
}
await happen({
  name: 'a node is stopped',
  node: first,
  begin: node => node.halt(),
  seconds: AWAY,
  end: node => node.run(),
  excused: 1,
});
await happen({
  name: 'a node is killed',
  node: await busiest(),
  begin: node => node.kill(),
  seconds: AWAY,
  end: node => node.run(),
  excused: 1,
});
await happen({
  name: 'a node is frozen',
  node: await busiest(),
  begin: async node => {
    standstill.frozen = node;
    node.freeze();
  },
  seconds: FROZEN,
  end: async node => {
    node.thaw();
    standstill.frozen = null;
  },
  excused: null,
});
await happen({
  name: 'a node is drained',
  node: await busiest(),
  begin: node => node.upgrade('drain'),
  seconds: AWAY,
  end: node => node.upgrade('revive'),
  excused: 'none',
});

// ---- what is left in the end

await sleep(CALM * 1000);
running = false;
await Promise.all(atWork);
await watching;
for (const number of newcomer.confirmed) publishers[0].confirmed.add(number);
for (const [n, publisher] of publishers.entries()) {
  const missing = (): number =>
    [...publisher.confirmed].filter(number => !received[n].seen.has(number)).length;
  await until('what was confirmed to be consumed', () => missing() === 0, 30).catch(() =>
    failures.push(
      `${missing()} of ${publisher.confirmed.size} confirmed messages were lost (${n === 0 ? 'quorum' : 'classic'})`,
    ),
  );
  say(
    `${publisher.confirmed.size} messages confirmed, ${received[n].seen.size} consumed, ${received[n].again.length} again after their ack`,
  );
  if (received[n].again.length > 0)
    failures.push(`${received[n].again.length} messages came again after their ack`);
}
// without confirms RabbitMQ says nothing of what it drops while a queue has no leader
for (const [kind, queue] of [
  [SHORT, 'short'],
  [direct(SHORT), 'short-direct'],
]) {
  const attempts = ledger.between(kind, 0, performance.now());
  const worked = attempts.length - failed(attempts).length;
  say(`${kind}: ${worked} messages, of which ${worked - ((await first.messages(queue)) ?? 0)} were dropped`);
}
for (const [n, idler] of idlers.entries()) {
  const complaint = await wake(idler, 'kept');
  if (complaint !== null) failures.push(`idle client ${n}: ${complaint}`);
}
consuming = false;
await proxy.stop();
if (kept !== '') writeFileSync(kept, proxy.log);
await Promise.all(listening);
for (const node of nodes) await node.stop();

const widths = table[0].map((_, column) => Math.max(...table.map(row => row[column].length)));
say('');
for (const row of table) say(row.map((cell, column) => cell.padEnd(widths[column])).join('  '));
say('');
if (/uncaught|TypeError|RangeError/i.test(proxy.log)) failures.push(proxy.log.slice(-4000));
for (const failure of failures) say(failure);
say(`${failures.length} failures`);
process.exit(failures.length > 0 ? 1 : 0);
