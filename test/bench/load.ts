/**
 * The load generator, in its own process: one job at a time. A job runs until it is told to stop; counts are asked for
 * with `sample`, so that a rate is taken between two points in the middle of the run and neither start nor end counts.
 */
import { LoadClient, type Target } from './load-client.ts';
import { chunkOf, publish } from './wire.ts';

const CHUNK = 256 * 1024;
/** Bytes of messages without a confirm that a publisher with confirms has on the way. */
const WINDOW = 2 * 1024 * 1024;
const BACKLOG = 2000;

export interface Job extends Target {
  kind: 'publish' | 'consume' | 'cycle' | 'login' | 'confirm' | 'pace' | 'idle';
  /** Connections (publish, consume, confirm, pace, idle) or clients at a time (cycle, login). */
  clients: number;
  /** Channels on each connection; 1 where not given. */
  channels?: number;
  /** Bytes of a message body. */
  body: number;
  /** idle: each client publishes one message first, so that it holds a lease. */
  publishes?: boolean;
  /** cycle: take turns among so many vhosts. */
  vhosts?: number;
  /** Queue to declare first, so that a real broker routes the messages to it; none: the messages go nowhere. */
  queue?: string;
  /** publish: each client has a queue of its own, named after `queue`. */
  ownQueues?: boolean;
  /** publish: with confirms, as many on the way as a bounded window takes. */
  confirms?: boolean;
  /** pace: milliseconds between two messages of one client, each with a confirm. */
  every?: number;
}

export interface LoadSample {
  /** Messages consumed, or cycles, confirms and logins done so far. */
  count: number;
  /** Milliseconds of each operation since the last sample. */
  latencies: number[];
  /** CPU seconds of this process so far. */
  cpu: number;
}

let count = 0;
let turn = 0;
let latencies: number[] = [];
let running = false;
let clients: LoadClient[] = [];
let finished: Promise<unknown> = Promise.resolve();

const now = (): number => performance.now();

async function opened(job: Job): Promise<LoadClient> {
  const client = new LoadClient(job);
  await client.login();
  for (let channel = 1; channel <= (job.channels ?? 1); channel++) await client.openChannel(channel);
  return client;
}

async function openAll(job: Job): Promise<void> {
  // no more at a time than a listen backlog takes
  for (let left = job.clients; left > 0; left -= BACKLOG)
    clients.push(...(await Promise.all(Array.from({ length: Math.min(left, BACKLOG) }, () => opened(job)))));
}

/** Writes the same bytes again and again, as fast as the peer reads them. */
async function publishOn(client: LoadClient, chunk: Buffer, channels: number): Promise<void> {
  const { socket } = client;
  await new Promise<void>((resolve, reject) => {
    const more = (): void => {
      while (running) {
        socket.write(chunk);
        if (socket.writableNeedDrain) return;
      }
      socket.off('drain', more);
      resolve();
    };
    socket.on('drain', more);
    socket.once('close', () => reject(new Error('closed while publishing')));
    more();
  });
  for (let channel = 1; channel <= channels; channel++) await client.closeChannel(channel);
  await client.close();
}

/** The same with confirms: never more on the way than the window takes. */
async function publishConfirmed(
  client: LoadClient,
  chunk: Buffer,
  messages: number,
  body: number,
): Promise<void> {
  const { socket } = client;
  const most = Math.max(messages, Math.floor(WINDOW / body));
  await client.confirmSelect(1);
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let confirmed = 0;
    const more = (): void => {
      while (running && sent - confirmed + messages <= most && !socket.writableNeedDrain) {
        socket.write(chunk);
        sent += messages;
      }
      if (!running && confirmed >= sent) resolve();
    };
    client.onAck = tag => {
      // one queue confirms in order, several at once or one by one
      if (tag > confirmed) {
        count += tag - confirmed;
        confirmed = tag;
      }
      more();
    };
    socket.on('drain', more);
    socket.once('close', () => reject(new Error('closed while publishing')));
    more();
  });
  await client.closeChannel(1);
  await client.close();
}

/** A message every so often, whether or not the last one is confirmed; the times from each to its confirm. */
async function pace(client: LoadClient, bytes: Buffer, every: number, delay: number): Promise<void> {
  await client.confirmSelect(1);
  await new Promise<void>((resolve, reject) => {
    const due: number[] = [];
    let confirmed = 0;
    let timer: NodeJS.Timeout;
    const done = (): void => {
      clearInterval(timer);
      if (due.length === 0) resolve();
    };
    const tick = (): void => {
      if (!running) return void done();
      due.push(now());
      client.socket.write(bytes);
    };
    timer = setTimeout(() => {
      timer = setInterval(tick, every);
      tick();
    }, delay);
    client.onAck = tag => {
      for (; confirmed < tag && due.length > 0; confirmed++) {
        count++;
        latencies.push(now() - due.shift()!);
      }
      if (!running) done();
    };
    client.socket.once('close', () => reject(new Error('closed while publishing')));
  });
  await client.closeChannel(1);
  await client.close();
}

async function confirmOne(client: LoadClient, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    const next = (): void => {
      if (running) {
        sent = now();
        client.socket.write(bytes);
      } else {
        resolve();
      }
    };
    client.onAck = () => {
      count++;
      latencies.push(now() - sent);
      next();
    };
    client.socket.once('close', () => reject(new Error('closed while publishing')));
    next();
  });
  await client.closeChannel(1);
  await client.close();
}

/** Connect, publish, close, again and again: what a web request does. Without a message: connect, close. */
async function cycles(job: Job, bytes: Buffer | null): Promise<void> {
  const vhosts = job.vhosts ?? 1;
  while (running) {
    const started = now();
    const client = new LoadClient(job);
    await client.login(vhosts === 1 ? '/' : `v${turn++ % vhosts}`);
    if (bytes !== null) {
      await client.openChannel(1);
      client.socket.write(bytes);
      await client.closeChannel(1);
    }
    await client.close();
    count++;
    latencies.push(now() - started);
  }
}

const queueOf = ({ queue = 'q', ownQueues }: Job, n: number): string => (ownQueues ? `${queue}-${n}` : queue);

function publisher(job: Job, client: LoadClient, n: number, channels: number[]): Promise<void> {
  const messages = channels.map(channel => publish(channel, queueOf(job, n), job.body));
  if (!job.confirms) return publishOn(client, chunkOf(messages, CHUNK), channels.length);
  const chunk = chunkOf(messages, Math.min(CHUNK, WINDOW / 4));
  return publishConfirmed(client, chunk, chunk.length / messages[0].length, job.body);
}

async function start(job: Job): Promise<void> {
  count = 0;
  latencies = [];
  clients = [];
  running = true;
  if (job.queue && job.kind !== 'consume') {
    const client = await opened({ ...job, channels: 1 });
    for (let n = 0; n < (job.ownQueues ? job.clients : 1); n++) await client.declare(1, queueOf(job, n));
    await client.close();
  }
  const channels = Array.from({ length: job.channels ?? 1 }, (_, index) => index + 1);
  const messages = channels.map(channel => publish(channel, queueOf(job, 0), job.body));
  switch (job.kind) {
    case 'publish': {
      await openAll(job);
      finished = Promise.all(clients.map((client, n) => publisher(job, client, n, channels)));
      break;
    }
    case 'consume':
      await openAll(job);
      await Promise.all(clients.map(client => client.consume(1, `bytes-${job.body}`)));
      break;
    case 'confirm':
      await openAll(job);
      await Promise.all(clients.map(client => client.confirmSelect(1)));
      finished = Promise.all(clients.map(client => confirmOne(client, messages[0])));
      break;
    case 'pace': {
      await openAll(job);
      const every = job.every ?? 1000;
      finished = Promise.all(
        clients.map((client, n) => pace(client, messages[0], every, (n * every) / clients.length)),
      );
      break;
    }
    case 'cycle':
    case 'login':
      finished = Promise.all(
        Array.from({ length: job.clients }, () => cycles(job, job.kind === 'cycle' ? messages[0] : null)),
      );
      break;
    case 'idle':
      await openAll(job);
      if (job.publishes) {
        for (const { socket } of clients) socket.write(messages[0]);
        // the answer of a second channel comes after the message has been handled
        await Promise.all(clients.map(client => client.openChannel(2)));
      }
  }
  finished.catch(error => process.send!({ error: (error as Error).message }));
}

async function stop(kind: Job['kind']): Promise<void> {
  running = false;
  if (kind === 'consume' || kind === 'idle') for (const client of clients) client.drop();
  else await finished;
}

function sample(kind: Job['kind']): LoadSample {
  const { user, system } = process.cpuUsage();
  const consumed = clients.reduce((sum, client) => sum + client.reader.count, 0);
  const result = {
    count: kind === 'consume' ? consumed : count,
    latencies,
    cpu: (user + system) / 1e6,
  };
  latencies = [];
  return result;
}

export type Command =
  | { do: 'start'; job: Job }
  | { do: 'sample'; kind: Job['kind'] }
  | { do: 'stop'; kind: Job['kind'] };

process.on('message', async (command: Command) => {
  try {
    if (command.do === 'start') await start(command.job);
    else if (command.do === 'stop') await stop(command.kind);
    process.send!({ ok: command.do === 'sample' ? sample(command.kind) : null });
  } catch (error) {
    process.send!({ error: (error as Error).message });
  }
});
process.on('disconnect', () => process.exit(0));
