/**
 * A client of bytes that writes down what it sees. Two transcripts of the same actions can be compared: what the broker
 * makes up (queue names, consumer tags, process ids) is numbered by first sight, confirms are gathered, bodies joined.
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Table } from '../../src/amqp/table.ts';
import { dial, Frame, type LoginOptions, RawClient } from '../support/raw-client.ts';
import { channelOpen, connectionCloseOk } from './frames.ts';

/** Ends a case: what it waited for did not come. The transcript says so. */
export class CaseEnd extends Error {}

const CAPABILITIES: Table = {
  authentication_failure_close: true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  publisher_confirms: true,
  'basic.nack': true,
};

export class Actor extends RawClient {
  readonly label: string;
  private readonly lines = new Map<number, string[]>();
  private readonly confirms = new Map<number, { seen: string[] }>();
  private readonly messages = new Map<number, { header: Buffer; left: number; bodies: Buffer[] }>();
  lastRead = Date.now();
  heartbeats = 0;
  private lastHeader: Buffer = Buffer.alloc(0);
  closedByUs = false;

  private constructor(socket: Socket, label: string) {
    super(socket);
    this.label = label;
  }

  static async dial(port: number, label: string): Promise<Actor> {
    return new Actor(await dial(port), label);
  }

  // ---- acting

  override login(options: LoginOptions = {}): Promise<Frame | null> {
    return super.login({ capabilities: CAPABILITIES, ...options });
  }

  override async open(channel = 1): Promise<void> {
    this.send(channelOpen(channel));
    await this.wait('channel.open-ok', channel);
  }

  /** Hangs up as a client does that has died. */
  hangUp(): void {
    this.closedByUs = true;
    this.socket.destroy();
  }

  // ---- waiting

  /** As of any client, but null, too, when nothing comes. */
  override async next(want: string | ((frame: Frame) => boolean), seconds = 5): Promise<Frame | null> {
    return (await this.find(typeof want === 'string' ? frame => frame.name === want : want, seconds)) ?? null;
  }

  /** The next frame of this name (of any, if several: `a|b`), on `channel` if given; ends the case when there is none. */
  async wait(names: string, channel?: number): Promise<Frame> {
    const wanted = names.split('|');
    const seen = await this.next(
      frame => wanted.includes(frame.name) && (channel === undefined || frame.channel === channel),
    );
    if (seen !== null) return seen;
    this.note(channel ?? 0, `(waited for ${names} in vain${this.ended ? ': the socket ended' : ''})`);
    throw new CaseEnd();
  }

  /** Sends and waits for the answer. */
  override call(bytes: Buffer, answer: string): Promise<Frame> {
    this.send(bytes);
    return this.wait(answer);
  }

  /** The broker closes the connection: answers it and waits for the end of the socket. */
  async closedWith(seconds = 5): Promise<void> {
    await this.wait('connection.close');
    this.send(connectionCloseOk());
    await this.over(seconds);
  }

  /** Waits for the peer to end the connection; answers a connection.close. */
  async over(seconds = 5): Promise<void> {
    const close = await this.next(seen => seen.name === 'connection.close', seconds);
    if (close !== null) this.send(connectionCloseOk());
    await this.next(() => false, seconds);
    this.note(0, this.ended ? '(the socket ends)' : '(the socket stays open)');
  }

  /** Resolves when publishes up to `last` have been confirmed on the channel, either way. */
  async confirmed(channel: number, last: number): Promise<void> {
    while ((this.confirms.get(channel)?.seen.length ?? 0) < last)
      await this.wait('basic.ack|basic.nack', channel);
  }

  /** Proves that the connection is alive: opens and closes another channel. */
  async alive(channel = 1999): Promise<void> {
    this.send(channelOpen(channel));
    const answer = await this.next(seen => seen.channel === channel || seen.name === 'connection.close');
    this.note(0, answer?.name === 'channel.open-ok' ? '(alive)' : '(not alive)');
  }

  /** Resolves when nothing has come for `ms` from now on. */
  async quiet(ms: number): Promise<void> {
    this.lastRead = Date.now();
    for (;;) {
      const left = this.lastRead + ms - Date.now();
      if (left <= 0 || this.ended) return;
      await new Promise(resolve => setTimeout(resolve, left));
    }
  }

  // ---- writing down

  /** Takes what was seen so far out of the transcript: the handshake has cases of its own. */
  forget(): void {
    this.lines.clear();
  }

  /** The confirms so far belong to a channel that is gone: shows them, and begins anew. */
  forgetConfirms(): void {
    for (const [channel, { seen }] of this.confirms)
      this.note(channel, `(confirms ${seen.sort().join(' ')})`);
    this.confirms.clear();
  }

  /** The reply_to of the last message; property flags must be those of reply_to alone. */
  get lastReplyTo(): string {
    return this.lastHeader.toString('latin1', 15, 15 + (this.lastHeader[14] ?? 0));
  }

  /** Adds a line of the case's own to the transcript. */
  note(channel: number, line: string): void {
    const lines = this.lines.get(channel);
    if (lines) lines.push(line);
    else this.lines.set(channel, [line]);
  }

  /** What was seen, by channel; confirms last, by number. */
  transcript(): string[] {
    const all: string[] = [];
    for (const [channel, lines] of [...this.lines].sort(([a], [b]) => a - b))
      for (const line of lines) all.push(`${this.label} ${channel}: ${line}`);
    for (const [channel, { seen }] of [...this.confirms].sort(([a], [b]) => a - b))
      all.push(`${this.label} ${channel}: confirms ${seen.sort().join(' ')}`);
    return all;
  }

  protected override read(chunk: Buffer): void {
    this.lastRead = Date.now();
    super.read(chunk);
  }

  protected override received(frame: Frame): void {
    const { type, channel, payload, name, args } = frame;
    if (type === 0) this.note(0, `protocol header ${payload.toString('hex', 4)}`);
    else if (type === 1) {
      if (name === 'basic.ack' || name === 'basic.nack') this.confirm(frame);
      else this.note(channel, `${name} ${args.map(arg => JSON.stringify(arg)).join(' ')}`.trim());
      this.frames.push(frame);
    } else if (type === 2) {
      const left = Number(payload.readBigUInt64BE(4));
      this.messages.set(channel, { header: payload, left, bodies: [] });
      if (left === 0) this.message(channel);
    } else if (type === 3) {
      const message = this.messages.get(channel);
      if (!message) {
        this.note(channel, `a body of ${payload.length} bytes out of place`);
        return;
      }
      message.left -= payload.length;
      message.bodies.push(payload);
      if (message.left <= 0) this.message(channel);
    } else if (type === 8) this.heartbeats++;
    else this.note(channel, name);
  }

  private message(channel: number): void {
    const { header, bodies } = this.messages.get(channel)!;
    this.lastHeader = header;
    this.messages.delete(channel);
    const body = Buffer.concat(bodies);
    const shown =
      body.length <= 64
        ? JSON.stringify(body.toString('latin1'))
        : `${body.length} bytes ${createHash('sha1').update(body).digest('hex').slice(0, 8)}`;
    this.note(channel, `  message ${JSON.stringify(header.toString('latin1', 12))} ${shown}`);
    this.frames.push(new Frame(3, channel, body, 'message'));
  }

  /** How many confirms come in one frame is a matter of time: each number is written down for itself. */
  private confirm({ channel, name, args }: Frame): void {
    let confirms = this.confirms.get(channel);
    if (!confirms) {
      confirms = { seen: [] };
      this.confirms.set(channel, confirms);
    }
    const [tag, bits] = args as number[];
    const known = new Set(confirms.seen.map(line => Number(line.split(':')[0])));
    for (let n = bits & 1 ? 1 : tag; n <= tag; n++)
      if (!known.has(n) || !(bits & 1)) confirms.seen.push(`${n}:${name}`);
  }
}
