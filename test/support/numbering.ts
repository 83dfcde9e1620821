/** A publisher of numbered messages, and what is there of them in the end: each once, in order, none missing. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import type { RabbitMQ } from './rabbitmq.ts';
import { sleep, until } from './rabbitmq.ts';
import { dial, type Frame, RawClient } from './raw-client.ts';

/** Messages in one write. */
const BATCH = 200;
/** Messages on a channel without a confirm, at most: so that a move does not wait for long. */
const WINDOW = 1000;
/** Bytes of a message, at least: many of them span what is read at once. */
const PADDING = 'x'.repeat(100);
const CLOSES = /^(channel|connection)\.close$/;

export const message = (name: string, n: number): string => `${name}:${n}:${PADDING}`;

export class Numbering extends RawClient {
  /** Messages that were sent, by channel. */
  readonly sent: number[] = [];
  /** Messages that were confirmed without a gap, by channel. */
  readonly confirmed: number[] = [];
  /** It has been told that its connection, or a channel, is closed. */
  told: Frame | null = null;
  private confirms = false;

  /** Logs in, opens so many channels, and declares a queue for each: `name-1` … */
  static async begin(port: number, name: string, channels: number, confirm: boolean): Promise<Numbering> {
    const client = new Numbering(await dial(port));
    await client.login();
    client.confirms = confirm;
    for (let channel = 1; channel <= channels; channel++) {
      client.sent[channel] = client.confirmed[channel] = 0;
      await client.open(channel);
      await client.call(f.declare(channel, `${name}-${channel}`, f.DURABLE), 'queue.declare-ok');
      if (confirm) await client.call(f.confirmSelect(channel), 'confirm.select-ok');
    }
    return client;
  }

  protected override received(frame: Frame): void {
    if (frame.name === 'basic.ack') {
      const tag = Number(frame.payload.readBigUInt64BE(4));
      const multiple = (frame.payload[12] & 1) !== 0;
      const before = this.confirmed[frame.channel];
      // RabbitMQ confirms what goes to one queue in order
      if (multiple ? tag <= before : tag !== before + 1) throw new Error(`confirm ${tag} after ${before}`);
      this.confirmed[frame.channel] = tag;
      return;
    }
    if (CLOSES.test(frame.name)) this.told ??= frame;
    super.received(frame);
  }

  /** Publishes on all channels in turn until there are so many on each, or it is told that it is closed. */
  async publish(name: string, count: number): Promise<void> {
    const { socket, sent } = this;
    const channels = Object.keys(sent).map(Number);
    while (channels.some(channel => sent[channel] < count) && this.told === null && !this.ended) {
      for (const channel of channels) {
        if (this.confirms && sent[channel] - this.confirmed[channel] > WINDOW) continue;
        const last = Math.min(count, sent[channel] + BATCH);
        const frames: Buffer[] = [];
        for (let n = sent[channel] + 1; n <= last; n++)
          frames.push(f.publish(channel, `${name}-${channel}`, message(name, n)));
        sent[channel] = last;
        this.send(...frames);
      }
      if (socket.writableNeedDrain)
        await new Promise<void>(resolve => {
          const go = (): void => {
            socket.off('drain', go).off('close', go);
            resolve();
          };
          socket.on('drain', go).on('close', go);
        });
      else await sleep(1);
    }
  }

  async allConfirmed(): Promise<void> {
    await until('all confirms', () => this.confirmed.every((n, channel) => n === this.sent[channel]), 60);
  }
}

/** Reads a queue to its end. */
class Reader extends RawClient {
  readonly seen = createHash('sha256');
  count = 0;

  static async begin(port: number): Promise<Reader> {
    const reader = new Reader(await dial(port));
    await reader.login();
    await reader.open(1);
    return reader;
  }

  protected override received(frame: Frame): void {
    if (frame.name === 'body') {
      this.seen.update(frame.payload);
      this.count++;
    } else if (frame.name !== 'basic.deliver' && frame.name !== 'header') super.received(frame);
  }
}

/** Reads a queue at the broker, and checks that the messages 1 … n are there, each once and in order; gives n. */
export async function countUp(broker: RabbitMQ, queue: string, name: string): Promise<number> {
  const reader = await Reader.begin(broker.port);
  const { payload } = (await reader.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok'))!;
  const there = payload.readUInt32BE(5 + payload[4]);
  reader.send(f.consume(1, queue, '', f.NO_ACK));
  await until(`${there} messages`, () => reader.count >= there, 60);
  await reader.call(f.remove(1, queue), 'queue.delete-ok');
  reader.destroy();
  const wanted = createHash('sha256');
  for (let n = 1; n <= reader.count; n++) wanted.update(message(name, n));
  expect(reader.seen.digest('hex'), queue).to.equal(wanted.digest('hex'));
  return reader.count;
}
