/** A client of bytes: sends whatever a test wants, and shows the frames that come back. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { CloseReason } from '../../src/amqp/errors.ts';
import { methodFrame, PROTOCOL_HEADER, readClose, Writer } from '../../src/amqp/frame.ts';
import { key, METHODS } from '../../src/amqp/methods.ts';
import { encodeTable, type Table } from '../../src/amqp/table.ts';
import { Frame, FrameReader } from './frame.ts';

export { Frame };

/** Announced unless a test says otherwise. */
const CAPABILITIES: Table = { authentication_failure_close: true };
const BY_NAME = new Map([...METHODS.values()].map(method => [method.name, method.key]));

/** A connected socket to a port of this machine. */
export function dial(port: number, host = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, allowHalfOpen: true }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** The same by TLS, whoever it is that answers. */
export function dialTls(port: number, host = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host, rejectUnauthorized: false }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  /** The peer has ended the connection; RabbitMQ resets its sockets when it is done, so how does not count. */
  ended = false;
  /** It has reset it: a write after that fails, where after a mere end it would seem to succeed. */
  wasReset = false;
  private readonly reader = new FrameReader(frame => this.received(frame));
  private wake: (() => void)[] = [];

  protected constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.wasReset ||= error.code === 'ECONNRESET';
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

  protected read(chunk: Buffer): void {
    this.reader.read(chunk);
    this.woken();
  }

  /** A frame has come. */
  protected received(frame: Frame): void {
    this.frames.push(frame);
  }

  static async connect(port: number, { host, tls = false }: Reach = {}): Promise<RawClient> {
    return new RawClient(await (tls ? dialTls(port, host) : dial(port, host)));
  }

  /** Over a connection that is there. */
  static over(socket: Socket): RawClient {
    return new RawClient(socket);
  }

  send(...bytes: Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
  }

  method(channel: number, name: string, args: Buffer = Buffer.alloc(0)): void {
    this.send(methodFrame(channel, BY_NAME.get(name)!, args));
  }

  /** The next frame not taken yet for which `want` holds; null when the connection ends first, undefined after `seconds`. */
  protected async find(want: (frame: Frame) => boolean, seconds: number): Promise<Frame | null | undefined> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const at = this.frames.findIndex(want);
      if (at >= 0) return this.frames.splice(at, 1)[0];
      if (this.ended) return null;
      const left = deadline - Date.now();
      if (left <= 0) return undefined;
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** The next frame not taken yet for which `want` holds (a name, or a test); null when the connection ends first. */
  async next(
    want: string | ((frame: Frame) => boolean),
    seconds = 10,
    what = String(want),
  ): Promise<Frame | null> {
    const found = await this.find(typeof want === 'string' ? frame => frame.name === want : want, seconds);
    if (found === undefined)
      throw new Error(`no ${what} within ${seconds} s; seen: ${this.frames.map(f => f.name).join(', ')}`);
    return found;
  }

  /** Sends and waits for the answer. */
  call(bytes: Buffer, answer: string): Promise<Frame | null> {
    this.send(bytes);
    return this.next(answer);
  }

  /** The next frame of this name; what closes the channel or the connection before it is the error. */
  async answered(name: string, seconds?: number): Promise<Frame> {
    const closes = /^(channel|connection)\.close$/;
    const frame = await this.next(frame => frame.name === name || closes.test(frame.name), seconds, name);
    if (frame?.name === name) return frame;
    const instead = frame === null ? 'the end of the connection' : `${frame.name} ${closeOf(frame).text}`;
    throw new Error(`${instead} instead of ${name}`);
  }

  /** Sends, and waits for the answer in the same way. */
  ask(bytes: Buffer, answer: string, seconds?: number): Promise<Frame> {
    this.send(bytes);
    return this.answered(answer, seconds);
  }

  /** Resolves when the peer has ended the connection. */
  async closed(seconds = 10): Promise<void> {
    await this.next(() => false, seconds);
  }

  /** Logs in as far as connection.open-ok, or a refusal; null when the socket was closed. */
  async login(options: LoginOptions = {}): Promise<Frame | null> {
    const { user = 'guest', secret = 'guest', vhost = '/', mechanism = 'PLAIN' } = options;
    const { heartbeat = 0, frameMax = 131072, channelMax = 2047 } = options;
    this.send(PROTOCOL_HEADER);
    if ((await this.next('connection.start')) === null) return null;
    const response = options.response ?? Buffer.from(`\0${user}\0${secret}`);
    this.startOk(options.capabilities, mechanism, response, options.title);
    const tune = await this.next(f => f.name === 'connection.tune' || f.name === 'connection.close');
    if (tune?.name !== 'connection.tune') return tune;
    this.tuneOk(channelMax, frameMax, heartbeat);
    this.openVhost(vhost);
    return this.next(f => f.name === 'connection.open-ok' || f.name === 'connection.close');
  }

  startOk(capabilities: Table = CAPABILITIES, mechanism: string, response: Buffer, title?: string): void {
    const named: Table = title === undefined ? {} : { connection_name: title };
    const args = new Writer().bytes(encodeTable({ product: 'test', ...named, capabilities }));
    this.method(
      0,
      'connection.start-ok',
      args.shortstr(mechanism).longstr(response).shortstr('en_US').take(),
    );
  }

  tuneOk(channelMax: number, frameMax: number, heartbeat: number): void {
    const args = new Writer().short(channelMax).long(frameMax).short(heartbeat).take();
    this.method(0, 'connection.tune-ok', args);
  }

  openVhost(vhost: string): void {
    this.method(0, 'connection.open', new Writer().shortstr(vhost).octet(0).octet(0).take());
  }

  async open(channel: number): Promise<void> {
    this.method(channel, 'channel.open', Buffer.from([0]));
    await this.next(f => f.channel === channel && f.name === 'channel.open-ok');
  }

  /** Connects and logs in; fails when refused. */
  static async start(port: number, options: LoginOptions = {}): Promise<RawClient> {
    const client = await RawClient.connect(port, options);
    const answer = await client.login(options);
    if (answer?.name === 'connection.open-ok') return client;
    client.destroy();
    throw new Error(`login refused: ${answer && JSON.stringify(closeOf(answer))}`);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Whether an error is that of `next`: nothing came for as long as anybody waits. */
export const inVain = (message: string): boolean => message.includes(' s; seen: ');

/** How to connect. */
export interface Reach {
  /** Address to connect to; loopback unless given. */
  host?: string;
  /** The port speaks TLS. */
  tls?: boolean;
}

export interface LoginOptions extends Reach {
  user?: string;
  secret?: string;
  vhost?: string;
  capabilities?: Table;
  heartbeat?: number;
  frameMax?: number;
  channelMax?: number;
  mechanism?: string;
  response?: Buffer;
  /** What the application calls its connection. */
  title?: string;
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
