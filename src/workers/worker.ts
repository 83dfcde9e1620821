/** A worker: a proxy in a process of its own. The main process tells it what to do, and shows what it does. */
import type { Row } from '../console/history.ts';
import { Absent, Refusal } from '../console/scope.ts';
import { EX, type Failure, listenFailure } from '../exit.ts';
import { statusLine } from '../log.ts';
import { stdout } from '../output.ts';
import { beginProcess } from '../process.ts';
import { ListenError } from '../proxy/listeners.ts';
import { ServiceError } from '../service/errors.ts';
import { clientNumbers, share, upstreamNumbers } from '../share.ts';
import { VERSION } from '../version.ts';
import type { Answer, AskName, Order, ToMain, ToWorker, With } from './protocol.ts';
import { type Answers, type Asking, Work } from './work.ts';

const REPORT_MS = 1000;
/** Milliseconds between two looks at whether something has changed that cannot wait so long. */
const LOOK_MS = 100;
/** Milliseconds that clients have when the main process has gone. */
const LAST_MS = 10_000;

let work: Work | null = null;
const cancels = new Map<number, AbortController>();

/** Resolves when the main process has taken it, or has gone. */
const send = (message: ToMain): Promise<void> =>
  new Promise(resolve => {
    if (process.connected) process.send!(message, undefined, {}, () => resolve());
    else resolve();
  });

async function start(order: Order): Promise<null> {
  if (order.version !== VERSION)
    throw new ServiceError(EX.SOFTWARE, `${VERSION} is installed, and ${order.version} runs: restart it`);
  const log = beginProcess(order.config, { worker: order.index + 1 });
  // sent to the whole group by a terminal, or by a service manager: the main process says what is to be done
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () =>
      log.debug(`${signal}: the main process (${process.ppid}) says what is to be done`),
    );
  statusLine.foreign = process.stdout.isTTY;
  share.begin(order.index, order.count);
  if (order.config.maxClients > 0) share.allot(order.clients);
  clientNumbers.last = order.made.clients;
  upstreamNumbers.last = order.made.upstreams;
  work = new Work(order, log, broker => void send({ broker }));
  await work.begin(order);
  await tell(work);
  return null;
}

/** Tells how it is, again and again: from the check phase, after a poll for I/O, so that it is proof of progress. */
async function tell(work: Work): Promise<void> {
  let sent = true;
  let told = '';
  let at = 0;
  const report = async (): Promise<void> => {
    at = performance.now();
    told = work.urgent;
    sent = false;
    await send({ report: work.report });
    sent = true;
  };
  setInterval(
    () =>
      setImmediate(() => {
        if (sent && (performance.now() - at >= REPORT_MS || work.urgent !== told)) void report();
      }),
    LOOK_MS,
  );
  await report();
}

function failureOf(error: unknown): Failure {
  if (error instanceof ListenError) return listenFailure(error);
  if (error instanceof ServiceError) return { code: error.exitCode, text: error.message };
  return { code: EX.SOFTWARE, text: `a worker has failed: ${(error as Error).stack}` };
}

/** Each question has a method of its name. */
function ask<K extends Exclude<AskName, 'start'>>(
  answers: Pick<Answers, K>,
  message: { ask: K; with: With<K> },
  asking: Asking,
): Answer<K> | Promise<Answer<K>> {
  return answers[message.ask](message.with, asking);
}

async function answer(message: Extract<ToWorker, { ask: AskName }>, handle: unknown): Promise<void> {
  const { id } = message;
  const cancel = new AbortController();
  cancels.set(id, cancel);
  const asking = { signal: cancel.signal, part: (rows: Row[]) => send({ id, part: rows }), handle };
  try {
    const answer = message.ask === 'start' ? await start(message.with) : await ask(work!, message, asking);
    await send({ id, answer });
  } catch (error) {
    if (error instanceof Refusal) await send({ id, refusal: error.message, absent: error instanceof Absent });
    else await send({ id, failure: failureOf(error) });
  } finally {
    cancels.delete(id);
  }
  if (message.ask === 'drain') end(0);
}

function end(code: number): never {
  stdout.flush();
  process.exit(code);
}

process.on('message', (message: ToWorker, handle: unknown) => {
  if ('cancel' in message) cancels.get(message.cancel)?.abort();
  else if ('abort' in message) {
    work?.abort();
    end(0);
  } else void answer(message, handle);
});

process.on('disconnect', () => {
  if (work === null) end(EX.SOFTWARE);
  work.log.warn('The main process has gone: this worker drains, and ends');
  setTimeout(() => end(EX.SOFTWARE), LAST_MS);
  if (!work.stopping) void work.drain().then(() => end(EX.SOFTWARE));
});
