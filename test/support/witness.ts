/**
 * A client that publishes to queues which nobody reads and keeps count of what it was promised: by a confirm, by the answer to
 * channel.close, by the answer to connection.close. All that was promised must be there in the end, and nothing twice.
 */
import * as f from '../differential/frames.ts';
import { Again, type Excuse } from './again.ts';
import type { RabbitMQ } from './rabbitmq.ts';
import { closeOf, RawClient } from './raw-client.ts';

/** Seconds within which every answer comes. */
const ANSWER_S = 15;
const PAUSE_MS = 5;

const PROMISES = ['basic.ack', 'channel.close-ok', 'connection.close-ok'] as const;
type Promised = (typeof PROMISES)[number];

export interface WitnessOptions {
  excuse: Excuse;
  /** Whether a close is answered when all before it is done. */
  closeMeansDone: boolean;
}

export class Witness {
  private readonly port: number;
  private readonly name: string;
  private readonly options: WitnessOptions;
  private readonly sent = { 'basic.ack': 0, 'channel.close-ok': 0, 'connection.close-ok': 0 };
  private readonly promised = { 'basic.ack': 0, 'channel.close-ok': 0, 'connection.close-ok': 0 };
  private readonly visits: Again;

  /** `name` is what its queues' names begin with. */
  constructor(port: number, name: string, options: WitnessOptions) {
    this.port = port;
    this.name = name;
    this.options = options;
    const visit = (round: number): Promise<void> =>
      this.visit(PROMISES[round % PROMISES.length], 1 + (round % 4));
    this.visits = new Again(visit, options.excuse, PAUSE_MS);
  }

  /** What went wrong; null while nothing has. */
  get complaint(): string | null {
    return this.visits.complaint;
  }

  private queue(by: Promised): string {
    return `${this.name}-${by}`;
  }

  private async visit(by: Promised, count: number): Promise<void> {
    const client = await RawClient.start(this.port);
    try {
      await answer(client, f.channelOpen(1), 'channel.open-ok');
      await answer(client, f.declare(1, this.queue(by), f.DURABLE), 'queue.declare-ok');
      if (by === 'basic.ack') await answer(client, f.confirmSelect(1), 'confirm.select-ok');
      this.sent[by] += count;
      for (let n = 0; n < count; n++) client.send(f.publish(1, this.queue(by), `${n}`));
      if (by === 'basic.ack') await this.confirmed(client, count);
      if (by === 'channel.close-ok') await this.close(client, f.channelClose(1), by, count);
      await this.close(
        client,
        f.connectionClose(),
        'connection.close-ok',
        by === 'connection.close-ok' ? count : 0,
      );
    } finally {
      client.destroy();
    }
  }

  private async confirmed(client: RawClient, count: number): Promise<void> {
    for (let done = 0; done < count; ) {
      const tag = Number((await answer(client, null, 'basic.ack')).readBigUInt64BE(4));
      this.promised['basic.ack'] += tag - done;
      done = tag;
    }
  }

  private async close(client: RawClient, bytes: Buffer, ok: Promised, count: number): Promise<void> {
    await answer(client, bytes, ok);
    if (this.options.closeMeansDone) this.promised[ok] += count;
  }

  /** Stops; what it has to complain of. */
  async stop(broker: RabbitMQ): Promise<string[]> {
    await this.visits.stop();
    const complaints = this.complaint === null ? [] : [this.complaint];
    const rows = new Map((await broker.list('list_queues', 'name', 'messages')) as [string, string][]);
    for (const by of PROMISES) {
      const there = Number(rows.get(this.queue(by)) ?? 0);
      if (there < this.promised[by])
        complaints.push(`${this.promised[by]} messages were promised by ${by}, ${there} are there`);
      if (there > this.sent[by])
        complaints.push(`${this.sent[by]} messages were sent before ${by}, ${there} are there`);
    }
    return complaints;
  }
}

async function answer(client: RawClient, request: Buffer | null, name: string): Promise<Buffer> {
  if (request !== null) client.send(request);
  const frame = await client.next(() => true, ANSWER_S);
  if (frame?.name === name) return frame.payload;
  const said = frame?.name.endsWith('.close') ? ` ${closeOf(frame).code} ${closeOf(frame).text}` : '';
  throw new Error(`${frame?.name ?? 'the end'}${said} instead of ${name}`);
}
