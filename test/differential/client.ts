/**
 * A client of bytes that writes down what it sees. Two transcripts of the same actions can be compared: what the broker
 * makes up (queue names, consumer tags, process ids) is numbered by first sight, confirms are gathered, bodies joined.
 */
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { PROTOCOL_HEADER, Writer } from '../../src/amqp/frame.ts';
import { METHODS } from '../../src/amqp/methods.ts';
import { decodeTable, encodeTable, type Table } from '../../src/amqp/table.ts';
import { channelOpen, connectionCloseOk, method } from './frames.ts';

/** A frame as the client saw it; a message's header and bodies are joined to one. */
export interface Seen {
  channel: number;
  name: string;
  payload: Buffer;
  /** Method arguments in order. */
  args: (string | number)[];
}

/** Ends a case: what it waited for did not come. The transcript says so. */
export class CaseEnd extends Error {}

export interface LoginOptions {
  user?: string;
  secret?: string;
  vhost?: string;
  capabilities?: Table;
  heartbeat?: number;
  frameMax?: number;
  channelMax?: number;
  mechanism?: string;
  response?: Buffer;
}

const CAPABILITIES: Table = {
  authentication_failure_close: true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  publisher_confirms: true,
  'basic.nack': true,
};

/** The arguments of a method as text and numbers, following its line in the method table. */
function decodeArgs(spec: string, payload: Buffer): (string | number)[] {
  const args: (string | number)[] = [];
  let at = 4;
  for (const letter of spec)
    switch (letter) {
      case 'o':
      case 'b':
        args.push(payload[at++]);
        break;
      case 's':
        args.push(payload.readUInt16BE(at));
        at += 2;
        break;
      case 'l':
        args.push(payload.readUInt32BE(at));
        at += 4;
        break;
      case 'L':
        args.push(Number(payload.readBigUInt64BE(at)));
        at += 8;
        break;
      case 'S':
        args.push(payload.toString('utf8', at + 1, at + 1 + payload[at]));
        at += 1 + payload[at];
        break;
      case 'T': {
        const end = at + 4 + payload.readUInt32BE(at);
        args.push(JSON.stringify(decodeTable(payload, at, end)));
        at = end;
        break;
      }
      default:
        args.push(payload.toString('latin1', at + 4, at + 4 + payload.readUInt32BE(at)));
        at += 4 + payload.readUInt32BE(at);
    }
  if (at !== payload.length) args.push(`and ${payload.length - at} bytes too many`);
  return args;
}

export class Actor {
  readonly socket: Socket;
  readonly label: string;
  /** Frames not waited for yet. */
  private readonly waiting: Seen[] = [];
  private readonly lines = new Map<number, string[]>();
  private readonly confirms = new Map<number, { seen: string[] }>();
  private readonly messages = new Map<number, { header: Buffer; left: number; bodies: Buffer[] }>();
  private input: Buffer = Buffer.alloc(0);
  private wake: (() => void)[] = [];
  /** The peer has ended the connection. RabbitMQ resets its sockets when it is done, so how does not count. */
  ended = false;
  lastRead = Date.now();
  heartbeats = 0;
  private lastHeader: Buffer = Buffer.alloc(0);
  closedByUs = false;

  private constructor(socket: Socket, label: string) {
    this.socket = socket;
    this.label = label;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', () => this.end());
    socket.on('end', () => this.end());
    socket.on('close', () => this.end());
  }

  static dial(port: number, label: string): Promise<Actor> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => {
        socket.off('error', reject);
        resolve(new Actor(socket, label));
      });
      socket.once('error', reject);
    });
  }

  // ---- acting

  send(...bytes: Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
  }

  /** Logs in as far as open-ok, or a refusal; gives the frame that ended it, null when the socket was closed. */
  async login(options: LoginOptions = {}): Promise<Seen | null> {
    const { user = 'guest', secret = 'guest', vhost = '/', mechanism = 'PLAIN' } = options;
    const { heartbeat = 0, frameMax = 131072, channelMax = 2047, capabilities = CAPABILITIES } = options;
    this.send(PROTOCOL_HEADER);
    if ((await this.next(seen => seen.name === 'connection.start')) === null) return null;
    this.startOk(capabilities, mechanism, options.response ?? Buffer.from(`\0${user}\0${secret}`));
    const tune = await this.next(seen => seen.name === 'connection.tune' || seen.name === 'connection.close');
    if (tune?.name !== 'connection.tune') return tune;
    this.tuneOk(channelMax, frameMax, heartbeat);
    this.openVhost(vhost);
    return this.next(seen => seen.name === 'connection.open-ok' || seen.name === 'connection.close');
  }

  startOk(capabilities: Table, mechanism: string, response: Buffer): void {
    const args = new Writer().bytes(encodeTable({ product: 'differential test', capabilities }));
    this.send(method(0, 10, 11, args.shortstr(mechanism).longstr(response).shortstr('en_US').take()));
  }

  tuneOk(channelMax: number, frameMax: number, heartbeat: number): void {
    this.send(method(0, 10, 31, new Writer().short(channelMax).long(frameMax).short(heartbeat).take()));
  }

  openVhost(vhost: string): void {
    this.send(method(0, 10, 40, new Writer().shortstr(vhost).shortstr('').octet(0).take()));
  }

  async open(channel = 1): Promise<void> {
    this.send(channelOpen(channel));
    await this.wait('channel.open-ok', channel);
  }

  /** Hangs up as a client does that has died. */
  hangUp(): void {
    this.closedByUs = true;
    this.socket.destroy();
  }

  // ---- waiting

  private async next(want: (seen: Seen) => boolean, seconds = 5): Promise<Seen | null> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const at = this.waiting.findIndex(want);
      if (at >= 0) return this.waiting.splice(at, 1)[0];
      const left = deadline - Date.now();
      if (this.ended || left <= 0) return null;
      await this.sleepUntilWoken(left);
    }
  }

  private sleepUntilWoken(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms);
      this.wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The next frame of this name (of any, if several: `a|b`), on `channel` if given; ends the case when there is none. */
  async wait(names: string, channel?: number): Promise<Seen> {
    const wanted = names.split('|');
    const seen = await this.next(
      frame => wanted.includes(frame.name) && (channel === undefined || frame.channel === channel),
    );
    if (seen !== null) return seen;
    this.note(channel ?? 0, `(waited for ${names} in vain${this.ended ? ': the socket ended' : ''})`);
    throw new CaseEnd();
  }

  /** Sends and waits for the answer. */
  async call(bytes: Buffer, answer: string): Promise<Seen> {
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

  private end(): void {
    this.ended = true;
    for (const wake of this.wake.splice(0)) wake();
  }

  private read(chunk: Buffer): void {
    this.lastRead = Date.now();
    this.input = this.input.length > 0 ? Buffer.concat([this.input, chunk]) : chunk;
    while (this.input.length >= 8) {
      if (this.input.toString('latin1', 0, 4) === 'AMQP') {
        this.note(0, `protocol header ${this.input.toString('hex', 4, 8)}`);
        this.input = this.input.subarray(8);
        continue;
      }
      const size = this.input.readUInt32BE(3);
      if (this.input.length < size + 8) break;
      this.frame(this.input[0], this.input.readUInt16BE(1), this.input.subarray(7, 7 + size));
      this.input = this.input.subarray(size + 8);
    }
    for (const wake of this.wake.splice(0)) wake();
  }

  private frame(type: number, channel: number, payload: Buffer): void {
    if (type === 1) {
      const spec = METHODS.get(payload.readInt32BE(0));
      const name = spec?.name ?? `method ${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`;
      const seen: Seen = { channel, name, payload, args: decodeArgs(spec?.args ?? '', payload) };
      if (name === 'basic.ack' || name === 'basic.nack') this.confirm(seen);
      else this.note(channel, `${name} ${seen.args.map(arg => JSON.stringify(arg)).join(' ')}`.trim());
      this.waiting.push(seen);
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
    else this.note(channel, `frame type ${type}`);
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
    this.waiting.push({ channel, name: 'message', payload: body, args: [] });
  }

  /** How many confirms come in one frame is a matter of time: each number is written down for itself. */
  private confirm({ channel, name, args }: Seen): void {
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
