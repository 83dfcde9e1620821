/**
 * Two clients with everybody's credentials that must notice nothing: one publishes with confirms all the time, the
 * other consumes. Whatever is not an expected delivery or confirm, or comes too late, is written down.
 */
import { Writer } from '../../src/amqp/frame.ts';
import { sleep } from './rabbitmq.ts';
import { closeOf, declareArgs, type Frame, publish, RawClient } from './raw-client.ts';

/** A delivery or confirm that takes longer than this is a stall, in milliseconds. */
const STALL_MS = 2000;

export class Canary {
  /** What went wrong. */
  readonly complaints: string[] = [];
  /** Messages published, confirmed and delivered. */
  sung = 0;
  /** Times from publish to delivery and confirm, in milliseconds. */
  readonly times: number[] = [];
  private readonly publisher: RawClient;
  private readonly consumer: RawClient;
  private readonly queue: string;
  private singing = true;
  private song: Promise<void> = Promise.resolve();
  private readonly hurt = Promise.withResolvers<void>();

  private constructor(publisher: RawClient, consumer: RawClient, queue: string) {
    this.publisher = publisher;
    this.consumer = consumer;
    this.queue = queue;
  }

  static async start(port: number, queue: string): Promise<Canary> {
    const clients: RawClient[] = [];
    try {
      const publisher = await RawClient.start(port);
      clients.push(publisher);
      const consumer = await RawClient.start(port, { capabilities: { consumer_cancel_notify: true } });
      clients.push(consumer);
      await publisher.open(1);
      publisher.method(1, 'queue.declare', declareArgs(queue));
      await publisher.next('queue.declare-ok');
      publisher.method(1, 'confirm.select', Buffer.from([0]));
      await publisher.next('confirm.select-ok');
      await consumer.open(1);
      const args = new Writer().short(0).shortstr(queue).shortstr('canary').octet(2).long(0).take();
      consumer.method(1, 'basic.consume', args);
      await consumer.next('basic.consume-ok');
      const canary = new Canary(publisher, consumer, queue);
      canary.song = canary.sing();
      return canary;
    } catch (error) {
      for (const client of clients) client.destroy();
      throw error;
    }
  }

  /** The longest of these times. */
  get worst(): number {
    return this.times.reduce((worst, time) => Math.max(worst, time), 0);
  }

  private async sing(): Promise<void> {
    while (this.singing && this.complaints.length === 0) {
      const started = performance.now();
      this.sung++;
      this.publisher.send(publish(1, this.queue, Buffer.from(`tweet ${this.sung}`)));
      const heard = Promise.all([
        this.expect(this.publisher, ['basic.ack']),
        this.expect(this.consumer, ['basic.deliver', 'header', 'body']),
      ]);
      // when one of them has lost its connection, the other waits in vain
      await Promise.race([heard, this.hurt.promise]);
      this.times.push(performance.now() - started);
      await sleep(2);
    }
  }

  private complain(what: string): void {
    if (this.complaints.length > 0) return;
    this.complaints.push(what);
    this.hurt.resolve();
  }

  private async expect(client: RawClient, names: string[]): Promise<void> {
    for (const name of names) {
      const frame = await client
        .next(({ name }) => name !== 'heartbeat', STALL_MS / 1000)
        .catch(() => undefined);
      const what = client === this.publisher ? 'publisher' : 'consumer';
      if (frame === undefined)
        this.complain(`${what}: no ${name} within ${STALL_MS} ms (message ${this.sung})`);
      else if (frame === null) this.complain(`${what}: the connection ended (message ${this.sung})`);
      else if (frame.name !== name) this.complain(`${what}: ${show(frame)} instead of ${name}`);
      else if (name === 'body' && frame.payload.toString() !== `tweet ${this.sung}`)
        this.complain(`${what}: ${frame.payload} instead of tweet ${this.sung}`);
      else if (name === 'basic.ack' && frame.payload.readBigUInt64BE(4) !== BigInt(this.sung))
        this.complain(`${what}: confirm ${frame.payload.readBigUInt64BE(4)} instead of ${this.sung}`);
    }
  }

  async stop(): Promise<void> {
    this.singing = false;
    await this.song;
    this.publisher.destroy();
    this.consumer.destroy();
  }
}

function show(frame: Frame): string {
  if (!frame.name.endsWith('.close')) return frame.name;
  const { code, text } = closeOf(frame);
  return `${frame.name} ${code} ${text}`;
}
