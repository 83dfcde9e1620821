/** What is measured. Each row runs against every contender in turn, several times. */
import type { Job } from './load.ts';

export interface Scenario {
  name: string;
  title: string;
  /** What one operation is, for the table. */
  unit: 'messages' | 'cycles' | 'confirms' | 'logins';
  job: Omit<Job, 'port' | 'tls'>;
  /** Who works beside it, from before it starts until after it ends. */
  beside?: Omit<Job, 'port' | 'tls'>;
  /** `sink` isolates the proxy; `broker` is a real RabbitMQ; the others are either behind a delaying relay. */
  upstream: 'sink' | 'broker' | 'far' | 'far-tls';
  /** Where the operations are counted: publishes without confirms at the sink or by the broker, all else by the load. */
  countedBy: 'sink' | 'broker' | 'load';
  /** It is the times that say how good a contender is, not the rate. */
  timed?: boolean;
  /** Sends SIGHUP twice a second meanwhile. */
  reloads?: boolean;
  /** Where the run's own are too short: seconds before and while counting. */
  warmUp?: number;
  seconds?: number;
  /** Rounds, unless the run says how many. */
  rounds?: number;
}

const publish = (name: string, title: string, body: number, clients = 1, channels = 1): Scenario => ({
  name,
  title,
  unit: 'messages',
  job: { kind: 'publish', clients, channels, body },
  upstream: 'sink',
  countedBy: 'sink',
});

const consume = (name: string, title: string, body: number): Scenario => ({
  name,
  title,
  unit: 'messages',
  job: { kind: 'consume', clients: 1, body },
  upstream: 'sink',
  countedBy: 'load',
});

const cycle = (name: string, title: string, clients: number, upstream: Scenario['upstream']): Scenario => ({
  name,
  title,
  unit: 'cycles',
  job: { kind: 'cycle', clients, body: 1024, ...(upstream === 'sink' ? {} : { queue: 'bench' }) },
  upstream,
  countedBy: 'load',
});

const KIB = 1024;
/** There are many of these, and all have a broker to themselves: a few rounds have to do. */
export const LOADED = { upstream: 'broker', rounds: 3, seconds: 2 } as const;

/** Publishers at full speed: messages that the broker has taken, or confirmed. */
const publishMany = (clients: number, confirms: boolean, queues: boolean): Scenario => ({
  ...LOADED,
  name: `publish-many-${clients}${confirms ? '-confirms' : ''}${queues ? '-queues' : ''}`,
  title:
    `${clients} publisher${clients > 1 ? 's' : ''} at full speed, 1 KiB${confirms ? ', with confirms' : ''}, ` +
    `${queues ? 'each to a queue' : 'to no queue'}, RabbitMQ`,
  unit: 'messages',
  job: {
    kind: 'publish',
    clients,
    body: KIB,
    confirms,
    ...(queues ? { queue: 'bench-many', ownQueues: true } : {}),
  },
  countedBy: confirms ? 'load' : 'broker',
});

/** What a client feels of publishers at full speed. */
const neighbour = (kind: 'cycle' | 'confirm', publishers: number, body: number): Scenario => ({
  ...LOADED,
  name: `neighbour-${kind}-${publishers}${publishers > 0 ? `-${body / KIB}k` : ''}`,
  title:
    `${kind === 'cycle' ? 'connect-publish-close' : 'publish and confirm'}, 1 client beside ` +
    `${publishers} publisher${publishers === 1 ? '' : 's'}${publishers > 0 ? ` of ${body / KIB} KiB` : ''}, RabbitMQ`,
  unit: kind === 'cycle' ? 'cycles' : 'confirms',
  job: { kind, clients: 1, body: KIB, queue: 'bench' },
  ...(publishers > 0 ? { beside: { kind: 'publish', clients: publishers, body } } : {}),
  countedBy: 'load',
  timed: true,
});

const NEIGHBOURS: [publishers: number, body: number][] = [
  [0, KIB],
  ...[KIB, 64 * KIB].flatMap(body => [1, 2, 4].map((count): [number, number] => [count, body])),
];

const UNDER_LOAD: Scenario[] = [
  ...[1, 4, 16].flatMap(clients =>
    [false, true].flatMap(confirms => [false, true].map(queues => publishMany(clients, confirms, queues))),
  ),
  ...NEIGHBOURS.map(([publishers, body]) => neighbour('cycle', publishers, body)),
  ...NEIGHBOURS.map(([publishers, body]) => neighbour('confirm', publishers, body)),
  {
    ...LOADED,
    name: 'crowd',
    title: '200 publishers of 10 messages a second with confirms, beside 2 at full speed, 1 KiB, RabbitMQ',
    unit: 'confirms',
    job: { kind: 'pace', clients: 200, every: 100, body: KIB, queue: 'bench' },
    beside: { kind: 'publish', clients: 2, body: KIB },
    countedBy: 'load',
    timed: true,
  },
];

export const SCENARIOS: Scenario[] = [
  publish('publish-16', 'publish 16 B', 16),
  publish('publish-1k', 'publish 1 KiB', 1024),
  publish('publish-64k', 'publish 64 KiB', 65536),
  publish('publish-1m', 'publish 1 MiB', 1048576),
  publish('publish-16-8', 'publish 16 B, 8 clients', 16, 8),
  publish('publish-1k-8', 'publish 1 KiB, 8 clients', 1024, 8),
  publish('publish-64k-8', 'publish 64 KiB, 8 clients', 65536, 8),
  publish('publish-1m-8', 'publish 1 MiB, 8 clients', 1048576, 8),
  publish('publish-1k-ch64', 'publish 1 KiB, 64 channels in turn', 1024, 1, 64),
  { ...publish('publish-1k-hup', 'publish 1 KiB, 2 reloads a second', 1024), reloads: true },
  consume('consume-16', 'consume 16 B', 16),
  consume('consume-1k', 'consume 1 KiB', 1024),
  consume('consume-64k', 'consume 64 KiB', 65536),
  {
    name: 'confirm',
    title: 'publish and confirm, one at a time',
    unit: 'confirms',
    job: { kind: 'confirm', clients: 1, body: 1024 },
    upstream: 'sink',
    countedBy: 'load',
  },
  cycle('cycle-1', 'connect-publish-close, 1 client', 1, 'sink'),
  cycle('cycle-8', 'connect-publish-close, 8 clients', 8, 'sink'),
  cycle('cycle-32', 'connect-publish-close, 32 clients', 32, 'sink'),
  cycle('cycle-256', 'connect-publish-close, 256 clients', 256, 'sink'),
  {
    name: 'login-32',
    title: 'connect-close, 32 clients',
    unit: 'logins',
    job: { kind: 'login', clients: 32, body: 0 },
    upstream: 'sink',
    countedBy: 'load',
  },
  cycle('rabbit-cycle-1', 'connect-publish-close, 1 client, RabbitMQ', 1, 'broker'),
  cycle('rabbit-cycle-8', 'connect-publish-close, 8 clients, RabbitMQ', 8, 'broker'),
  cycle('rabbit-cycle-32', 'connect-publish-close, 32 clients, RabbitMQ', 32, 'broker'),
  cycle('rabbit-cycle-256', 'connect-publish-close, 256 clients, RabbitMQ', 256, 'broker'),
  {
    ...cycle('far-cycle', 'connect-publish-close, RabbitMQ 50 ms away', 4, 'far'),
    warmUp: 1.5,
    seconds: 4,
  },
  {
    ...cycle('far-tls-cycle', 'connect-publish-close, RabbitMQ 50 ms away, TLS', 4, 'far-tls'),
    warmUp: 1.5,
    seconds: 4,
  },
  ...UNDER_LOAD,
];

/** Scenarios of these names; a trailing `*` stands for any ending. */
export function choose(names: string[]): Scenario[] {
  return names.flatMap(wanted => {
    const found = SCENARIOS.filter(({ name }) =>
      wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted,
    );
    if (found.length === 0) throw new Error(`no such scenario: ${wanted}`);
    return found;
  });
}
