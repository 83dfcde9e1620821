/** Many clients that publish at once, with confirms, until they are told to leave. */
import { type ChannelModel, connect } from 'amqplib';
import { sleep } from './rabbitmq.ts';

/** They share this many queues, `crowd-0` … */
const QUEUES = 5;

export class Crowd {
  /** Messages that the broker has confirmed. */
  published = 0;
  private readonly url: string;
  private readonly gone: Promise<unknown>;
  private running = true;

  /** `visitors` connect for each message, as web requests do; `residents` stay. */
  constructor(url: string, visitors: number, residents: number) {
    this.url = url;
    this.gone = Promise.all(
      Array.from({ length: visitors + residents }, (_, i) =>
        i < visitors ? this.visit(`crowd-${i % QUEUES}`) : this.reside(`crowd-${i % QUEUES}`),
      ),
    );
    // told by `leave`
    this.gone.catch(() => {
      this.running = false;
    });
  }

  /** Resolves when all have left; rejects with the first failure that one of them has met. */
  async leave(): Promise<void> {
    this.running = false;
    await this.gone;
  }

  private async publish(connection: ChannelModel, queue: string): Promise<void> {
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(queue);
    channel.sendToQueue(queue, Buffer.from('hello'));
    await channel.waitForConfirms();
    this.published++;
    await channel.close();
  }

  private async visit(queue: string): Promise<void> {
    while (this.running) {
      const connection = await connect(this.url, { noDelay: true });
      await this.publish(connection, queue);
      await connection.close();
    }
  }

  private async reside(queue: string): Promise<void> {
    const connection = await connect(this.url, { noDelay: true });
    while (this.running) {
      await this.publish(connection, queue);
      await sleep(5);
    }
    await connection.close();
  }
}
