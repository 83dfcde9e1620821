/** The clients of a cluster: who publishes with confirms, who comes for one message, who consumes, who is idle. */
import * as f from '../differential/frames.ts';
import { sleep } from '../support/rabbitmq.ts';
import { closeOf, type Frame, type LoginOptions, RawClient } from '../support/raw-client.ts';
import type { Attempt, Ledger } from './ledger.ts';

/** Seconds after which a client says that it waits in vain. */
const PATIENCE = 30;
/** Milliseconds a failed client waits before it comes again. */
const AGAIN_MS = 100;
/** An ack has arrived when something that came so many milliseconds later shows that the broker was there. */
const ACKED_MS = 1000;
/** delivery-mode 2 */
const PERSISTENT: [number, Buffer] = [0x1000, Buffer.from([2])];

export interface Cast {
  readonly ledger: Ledger;
  /** Where to connect to now. */
  port(): number;
  goesOn(): boolean;
}

/** What is expected, or an error that says what came instead. */
async function expectNext(client: RawClient, ...names: string[]): Promise<Frame> {
  const frame = await client.next(({ name }) => name !== 'heartbeat', PATIENCE);
  if (frame !== null && names.includes(frame.name)) return frame;
  const said = frame?.name.endsWith('.close') ? ` ${closeOf(frame).text}` : '';
  throw new Error(`${frame?.name ?? 'the end'}${said} instead of ${names.join(' or ')}`);
}

/** The client, when that has worked; it is gone when it has not. */
async function orGone(client: RawClient, what: () => Promise<void>): Promise<RawClient> {
  try {
    await what();
    return client;
  } catch (error) {
    client.destroy();
    throw error;
  }
}

/** Publishes one message after the other, each when the one before was confirmed. */
export class Publisher {
  /** Numbers of the messages that were confirmed. */
  readonly confirmed = new Set<number>();
  private readonly kind: string;
  private readonly queue: string;
  private readonly stay: number;
  private number: number;

  /** `stay`: seconds after which it comes anew. */
  constructor(kind: string, queue: string, firstNumber = 0, stay = Number.POSITIVE_INFINITY) {
    this.kind = kind;
    this.queue = queue;
    this.stay = stay;
    this.number = firstNumber;
  }

  async run({ ledger, port, goesOn }: Cast): Promise<void> {
    let client: RawClient | null = null;
    let came = performance.now();
    while (goesOn()) {
      if (performance.now() - came > this.stay * 1000) {
        (client as RawClient | null)?.destroy();
        client = null;
        came = performance.now();
      }
      const worked = await ledger.attempt(this.kind, async attempt => {
        client ??= await this.come(port(), attempt);
        attempt.is(client, this.queue);
        const number = this.number++;
        client.send(f.publish(1, this.queue, String(number), { flags: f.MANDATORY, properties: PERSISTENT }));
        let returned = false;
        for (;;) {
          const { name } = await expectNext(
            client,
            'basic.ack',
            'basic.nack',
            'basic.return',
            'header',
            'body',
          );
          if (name === 'basic.nack') throw new Error('refused by the broker');
          returned ||= name === 'basic.return';
          if (name === 'basic.ack') break;
        }
        // the queue is on a node that is away
        if (returned) throw new Error('returned by the broker');
        this.confirmed.add(number);
      });
      if (!worked) {
        (client as RawClient | null)?.destroy();
        client = null;
      }
      await sleep(worked ? 10 : AGAIN_MS);
    }
    (client as RawClient | null)?.destroy();
  }

  private async come(port: number, attempt: Attempt): Promise<RawClient> {
    const client = await RawClient.start(port);
    attempt.is(client, this.queue);
    return orGone(client, async () => {
      await client.open(1);
      client.send(f.confirmSelect(1));
      await expectNext(client, 'confirm.select-ok');
    });
  }
}

/** Comes for each message, as a web request does. */
export async function visitor(
  { ledger, port, goesOn }: Cast,
  kind: string,
  queue: string,
  login: LoginOptions,
): Promise<void> {
  while (goesOn()) {
    await ledger.attempt(kind, async attempt => {
      const client = await RawClient.start(port(), login);
      attempt.is(client, queue);
      try {
        await client.open(1);
        client.send(f.publish(1, queue, 'short'), f.channelClose(1));
        await expectNext(client, 'channel.close-ok');
        client.send(f.connectionClose());
        await expectNext(client, 'connection.close-ok');
      } finally {
        client.destroy();
      }
    });
    await sleep(AGAIN_MS);
  }
}

/** The messages of a queue that have come to some consumer. */
export class Received {
  readonly queue: string;
  /** Their numbers. */
  readonly seen = new Set<number>();
  /** Of those that came again although their ack had arrived. */
  readonly again: number[] = [];
  readonly acked = new Map<number, { at: number; stay: { heard: number } }>();

  constructor(queue: string) {
    this.queue = queue;
  }
}

/** Consumes with acks; an attempt lasts from one delivery to the next. */
export class Consumer {
  private readonly received: Received;
  private stay = { heard: 0 };
  private readonly kind: string;
  private readonly staying: number;

  /** `staying`: seconds after which it comes anew. */
  constructor(kind: string, received: Received, staying = Number.POSITIVE_INFINITY) {
    this.kind = kind;
    this.received = received;
    this.staying = staying;
  }

  async run({ ledger, port, goesOn }: Cast): Promise<void> {
    let client: RawClient | null = null;
    let came = performance.now();
    while (goesOn()) {
      const worked = await ledger.attempt(this.kind, async attempt => {
        client ??= await this.come(port(), attempt);
        attempt.is(client, this.received.queue);
        await this.take(client);
      });
      if (worked && performance.now() - came <= this.staying * 1000) continue;
      came = performance.now();
      (client as RawClient | null)?.destroy();
      client = null;
      this.stay = { heard: 0 };
      await sleep(AGAIN_MS);
    }
    (client as RawClient | null)?.destroy();
  }

  private async come(port: number, attempt: Attempt): Promise<RawClient> {
    const client = await RawClient.start(port, {
      capabilities: { authentication_failure_close: true, consumer_cancel_notify: true },
    });
    attempt.is(client, this.received.queue);
    return orGone(client, async () => {
      await client.open(1);
      client.send(f.qos(1, 20));
      await expectNext(client, 'basic.qos-ok');
      client.send(f.consume(1, this.received.queue, 'c'));
      await expectNext(client, 'basic.consume-ok');
    });
  }

  private async take(client: RawClient): Promise<void> {
    const [, tag] = (await expectNext(client, 'basic.deliver')).args;
    await expectNext(client, 'header');
    const number = Number((await expectNext(client, 'body')).payload.toString());
    const { seen, again, acked } = this.received;
    const before = acked.get(number);
    if (before !== undefined && before.stay.heard > before.at + ACKED_MS) again.push(number);
    seen.add(number);
    client.send(f.ack(1, Number(tag)));
    this.stay.heard = performance.now();
    acked.set(number, { at: performance.now(), stay: this.stay });
  }
}

/** Is logged in and does nothing; complains of what it has been told, and of what does not work in the end. */
export async function wake(client: RawClient, queue: string): Promise<string | null> {
  const told = client.frames.map(({ name }) => name).filter(name => name !== 'heartbeat');
  if (told.length > 0 || client.ended) return `was told ${told.join() || 'nothing, and cut off'}`;
  try {
    await client.open(1);
    client.send(f.declare(1, queue, f.PASSIVE));
    await expectNext(client, 'queue.declare-ok');
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    client.destroy();
  }
}
