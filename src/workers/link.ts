/** The main process's end of the way to one worker: questions and their answers, and what the worker tells by itself. */
import type { ChildProcess, SendHandle } from 'node:child_process';
import type { Row } from '../console/history.ts';
import { Absent, Refusal } from '../console/scope.ts';
import { ServiceError } from '../service/errors.ts';
import type { BrokerNews } from '../upstream/broker-news.ts';
import type { Answer, AskName, Report, ToMain, ToWorker, With } from './protocol.ts';

/** The worker has ended before it answered, or does not answer in time. */
export class Gone extends Error {}

/** Milliseconds that a worker has for an answer that takes no time; one that is stuck holds up nobody. */
export const ANSWER_MS = 2000;

/** Rejects when it takes longer. */
export function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Gone()), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

interface Question {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  part(rows: Row[]): void;
}

interface AskOptions {
  /** Nobody waits for the answer any more. */
  signal?: AbortSignal;
  /** Gets rows as they come. */
  part?: (rows: Row[]) => void;
  /** Goes with it. */
  handle?: SendHandle;
}

export class Link {
  private readonly child: ChildProcess;
  private readonly open = new Map<number, Question>();
  private asked = 0;
  private ended = false;

  constructor(child: ChildProcess, hears: { report(report: Report): void; broker(news: BrokerNews): void }) {
    this.child = child;
    child.on('message', (message: ToMain) => {
      if ('report' in message) hears.report(message.report);
      else if ('broker' in message) hears.broker(message.broker);
      else this.answered(message);
    });
  }

  ask<K extends AskName>(
    ask: K,
    argument: With<K>,
    { signal, part = () => {}, handle }: AskOptions = {},
  ): Promise<Answer<K>> {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(new Gone());
      const id = ++this.asked;
      this.open.set(id, { resolve: answer => resolve(answer as Answer<K>), reject, part });
      signal?.addEventListener('abort', () => this.open.has(id) && this.send({ cancel: id }), { once: true });
      this.send({ id, ask, with: argument } as ToWorker, handle);
    });
  }

  private send(message: ToWorker, handle?: SendHandle): void {
    // one that is ending hears no more
    if (this.child.connected) this.child.send(message, handle, {}, () => {});
  }

  private answered(message: Exclude<ToMain, { report: Report } | { broker: BrokerNews }>): void {
    const question = this.open.get(message.id);
    if (question === undefined) return;
    if ('part' in message) {
      question.part(message.part);
      return;
    }
    this.open.delete(message.id);
    if ('answer' in message) question.resolve(message.answer);
    else if ('refusal' in message) question.reject(new (message.absent ? Absent : Refusal)(message.refusal));
    else question.reject(new ServiceError(message.failure.code, message.failure.text));
  }

  /** The worker has gone: so have its answers. */
  end(): void {
    this.ended = true;
    for (const { reject } of this.open.values()) reject(new Gone());
    this.open.clear();
  }
}
