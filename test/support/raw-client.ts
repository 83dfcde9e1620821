/** A client of bytes: sends whatever a test wants, and shows the frames that come back. */
import { connect, type Socket } from 'node:net';
import type { CloseReason } from '../../src/amqp/errors.ts';
import { methodFrame, PROTOCOL_HEADER, readClose, Writer } from '../../src/amqp/frame.ts';
import { key, METHODS } from '../../src/amqp/methods.ts';
import { encodeTable, type Table } from '../../src/amqp/table.ts';

export interface Frame {
  type: number;
  channel: number;
  payload: Buffer;
  /** Name of the method, "header", "body" or "heartbeat". */
  name: string;
}

const BY_NAME = new Map([...METHODS.values()].map(method => [method.name, method.key]));

export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  /** The peer has ended the connection. */
  ended = false;
  reset = false;
  private input: Buffer = Buffer.alloc(0);
  private wake: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', () => {
      this.reset = true;
      this.end();
    });
    socket.on('close', () => this.end());
    socket.on('end', () => this.end());
  }

  private end(): void {
    this.ended = true;
    this.woken();
  }

  private woken(): void {
    for (const wake of this.wake.splice(0)) wake();
  }

  private read(chunk: Buffer): void {
    this.input = Buffer.concat([this.input, chunk]);
    while (this.input.length >= 8) {
      if (this.input.toString('latin1', 0, 4) === 'AMQP') {
        this.frames.push({
          type: 0,
          channel: 0,
          payload: this.input.subarray(0, 8),
          name: 'protocol-header',
        });
        this.input = this.input.subarray(8);
        continue;
      }
      const size = this.input.readUInt32BE(3);
      if (this.input.length < size + 8) break;
      const type = this.input[0];
      const payload = this.input.subarray(7, 7 + size);
      const name =
        type === 1
          ? (METHODS.get(payload.readInt32BE(0))?.name ??
            `method ${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`)
          : type === 2
            ? 'header'
            : type === 3
              ? 'body'
              : 'heartbeat';
      this.frames.push({ type, channel: this.input.readUInt16BE(1), payload, name });
      this.input = this.input.subarray(size + 8);
    }
    this.woken();
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () =>
        resolve(new RawClient(socket)),
      );
      socket.once('error', reject);
    });
  }

  send(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  method(channel: number, name: string, args: Buffer = Buffer.alloc(0)): void {
    this.send(methodFrame(channel, BY_NAME.get(name)!, args));
  }

  /** The next frame not taken yet for which `want` holds (a name, or a test); null when the connection ends first. */
  async next(want: string | ((frame: Frame) => boolean), seconds = 10): Promise<Frame | null> {
    const matches = typeof want === 'string' ? (frame: Frame) => frame.name === want : want;
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const at = this.frames.findIndex(matches);
      if (at >= 0) return this.frames.splice(at, 1)[0];
      if (this.ended) return null;
      const left = deadline - Date.now();
      if (left <= 0)
        throw new Error(`no ${want} within ${seconds} s; seen: ${this.frames.map(f => f.name).join(', ')}`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Sends and waits for the answer. */
  call(bytes: Buffer, answer: string): Promise<Frame | null> {
    this.send(bytes);
    return this.next(answer);
  }

  /** Resolves when the peer has ended the connection. */
  async closed(seconds = 10): Promise<void> {
    await this.next(() => false, seconds);
  }

  /** Logs in as far as connection.open-ok, or the broker's refusal. */
  async login(options: LoginOptions = {}): Promise<Frame | null> {
    const {
      user = 'guest',
      secret = 'guest',
      vhost = '/',
      capabilities = {},
      heartbeat = 0,
      frameMax = 131072,
      channelMax = 2047,
    } = options;
    this.send(PROTOCOL_HEADER);
    const start = await this.next('connection.start');
    if (start === null) return null;
    this.method(
      0,
      'connection.start-ok',
      new Writer()
        .bytes(
          encodeTable({
            product: 'test',
            capabilities: { authentication_failure_close: true, ...capabilities },
          }),
        )
        .shortstr('PLAIN')
        .longstr(`\0${user}\0${secret}`)
        .shortstr('en_US')
        .take(),
    );
    const tune = await this.next(f => f.name === 'connection.tune' || f.name === 'connection.close');
    if (tune === null || tune.name === 'connection.close') return tune;
    this.method(
      0,
      'connection.tune-ok',
      new Writer().short(channelMax).long(frameMax).short(heartbeat).take(),
    );
    this.method(0, 'connection.open', new Writer().shortstr(vhost).octet(0).octet(0).take());
    return this.next(f => f.name === 'connection.open-ok' || f.name === 'connection.close');
  }

  async open(channel: number): Promise<void> {
    this.method(channel, 'channel.open', Buffer.from([0]));
    await this.next(f => f.channel === channel && f.name === 'channel.open-ok');
  }

  /** Connects and logs in; fails when refused. */
  static async start(port: number, options: LoginOptions = {}): Promise<RawClient> {
    const client = await RawClient.connect(port);
    const answer = await client.login(options);
    if (answer?.name !== 'connection.open-ok')
      throw new Error(`login refused: ${answer && JSON.stringify(closeOf(answer))}`);
    return client;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export interface LoginOptions {
  user?: string;
  secret?: string;
  vhost?: string;
  capabilities?: Table;
  heartbeat?: number;
  frameMax?: number;
  channelMax?: number;
}

/** What a close frame says. */
export const closeOf = (frame: Frame): CloseReason => readClose(frame.payload, 4);

/** The frames of a publish to the default exchange. */
export function publish(channel: number, routingKey: string, body: Buffer, exchange = '', flags = 0): Buffer {
  const method = methodFrame(
    channel,
    key(60, 40),
    new Writer().short(0).shortstr(exchange).shortstr(routingKey).octet(flags).take(),
  );
  return Buffer.concat([
    method,
    header(channel, body.length),
    ...(body.length > 0 ? [bodyFrame(channel, body)] : []),
  ]);
}

export function header(channel: number, size: number, classId = 60): Buffer {
  const payload = new Writer().short(classId).short(0).longlong(BigInt(size)).short(0).take();
  return rawFrame(2, channel, payload);
}

export const bodyFrame = (channel: number, body: Buffer): Buffer => rawFrame(3, channel, body);

export function rawFrame(type: number, channel: number, payload: Buffer, end = 0xce): Buffer {
  return new Writer().octet(type).short(channel).longstr(payload).octet(end).take();
}

export const declareArgs = (queue: string, flags = 0): Buffer =>
  new Writer().short(0).shortstr(queue).octet(flags).long(0).take();
