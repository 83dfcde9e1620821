/** Queues with much in them. */
import * as f from '../differential/frames.ts';
import { RawClient } from './raw-client.ts';

/** A queue of `count` messages of `size` bytes, each of which begins with its number, from 0. */
export async function fill(port: number, queue: string, count: number, size: number): Promise<void> {
  const publisher = await RawClient.start(port);
  await publisher.open(1);
  await publisher.ask(f.declare(1, queue), 'queue.declare-ok');
  for (let n = 0; n < count; n++) {
    const body = Buffer.alloc(size, n);
    body.writeUInt32BE(n);
    publisher.send(f.publish(1, queue, body));
    // not more on the way than a client library would have
    if (n % 20 === 19) await publisher.ask(f.declare(1, queue), 'queue.declare-ok');
  }
  publisher.destroy();
}

/** Messages of a queue that are ready to be delivered. */
export async function ready(port: number, queue: string): Promise<number> {
  const client = await RawClient.start(port);
  await client.open(1);
  const { payload } = await client.ask(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
  client.destroy();
  return payload.readUInt32BE(5 + payload[4]);
}

export async function drop(port: number, queue: string): Promise<void> {
  const client = await RawClient.start(port);
  await client.open(1);
  await client.ask(f.remove(1, queue), 'queue.delete-ok');
  client.destroy();
}
