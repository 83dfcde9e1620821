/** One AMQP client of the load generator: says its steps one after the other, as a plain client library would. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  DELIVER,
  FrameReader,
  long,
  longstr,
  method,
  methodFrame,
  PROTOCOL_HEADER,
  short,
  shortstr,
  table,
} from './wire.ts';

const START_OK = methodFrame(
  0,
  method(10, 11),
  table({
    product: 'bench',
    capabilities: {
      publisher_confirms: true,
      authentication_failure_close: true,
      consumer_cancel_notify: true,
      'connection.blocked': true,
    },
  }),
  shortstr('PLAIN'),
  longstr('\0guest\0guest'),
  shortstr('en_US'),
);
/** tune-ok and open in one write, as most libraries do; heartbeats are off, so that no timer of the load disturbs. */
const tuneOkOpen = (vhost: string): Buffer =>
  Buffer.concat([
    methodFrame(0, method(10, 31), short(2047), long(131072), short(0)),
    methodFrame(0, method(10, 40), shortstr(vhost), shortstr(''), Buffer.from([0])),
  ]);
const opens = new Map<string, Buffer>();
const CLOSE_ARGUMENTS = Buffer.concat([short(200), shortstr('bye'), short(0), short(0)]);
const CLOSE = methodFrame(0, method(10, 50), CLOSE_ARGUMENTS);
const CLOSE_OK = methodFrame(0, method(10, 51));

const channelOpens = new Map<number, Buffer>();
const channelCloses = new Map<number, Buffer>();
function cached<Key>(cache: Map<Key, Buffer>, key: Key, make: () => Buffer): Buffer {
  let bytes = cache.get(key);
  if (bytes === undefined) cache.set(key, (bytes = make()));
  return bytes;
}

/** All clients read into this: what they read, they look at once. */
const READ = Buffer.allocUnsafeSlow(256 * 1024);

export interface Target {
  port: number;
  tls?: boolean;
}

export class LoadClient {
  readonly socket: Socket;
  readonly reader: FrameReader;
  private wanted = 0;
  private resolve: (() => void) | null = null;
  private reject: ((error: Error) => void) | null = null;
  private failure: Error | null = null;
  private closing = false;
  /** Called with the delivery tag of each basic.ack. */
  onAck: ((tag: number) => void) | null = null;

  constructor(target: Target) {
    const options = { port: target.port, host: '127.0.0.1', noDelay: true, highWaterMark: 256 * 1024 };
    this.reader = new FrameReader(DELIVER, this.onMethod.bind(this));
    if (target.tls) {
      this.socket = connectTls({ ...options, rejectUnauthorized: false });
      this.socket.on('data', chunk => this.reader.push(chunk));
    } else {
      const callback = (bytes: number): boolean => {
        this.reader.push(READ.subarray(0, bytes));
        return true;
      };
      this.socket = connect({ ...options, onread: { buffer: READ, callback } });
    }
    this.socket.on('error', error => this.fail(error));
    this.socket.on('close', () => this.fail(new Error('the connection was closed')));
  }

  private fail(error: Error): void {
    if (this.closing) return void this.done(method(10, 51));
    this.failure ??= error;
    this.reject?.(this.failure);
    this.reject = this.resolve = null;
  }

  private done(id: number): void {
    if (id !== this.wanted) return;
    const { resolve } = this;
    this.reject = this.resolve = null;
    this.wanted = 0;
    resolve?.();
  }

  private onMethod(_channel: number, id: number, bytes: Buffer, at: number): void {
    switch (id) {
      case method(60, 80):
        this.onAck?.(Number(bytes.readBigUInt64BE(at)));
        break;
      case method(10, 50):
      case method(20, 40): {
        const text = bytes.toString('latin1', at + 3, at + 3 + bytes[at + 2]);
        this.socket.write(CLOSE_OK);
        this.fail(new Error(`closed by the peer: ${bytes.readUInt16BE(at)} ${text}`));
        break;
      }
      default:
        this.done(id);
    }
  }

  /** Sends, and resolves when the answer with this id has come. */
  ask(bytes: Buffer, answer: number): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.wanted = answer;
      this.resolve = resolve;
      this.reject = reject;
      this.socket.write(bytes);
    });
  }

  async login(vhost = '/'): Promise<void> {
    await this.ask(PROTOCOL_HEADER, method(10, 10));
    await this.ask(START_OK, method(10, 30));
    await this.ask(
      cached(opens, vhost, () => tuneOkOpen(vhost)),
      method(10, 41),
    );
  }

  openChannel(channel: number): Promise<void> {
    return this.ask(
      cached(channelOpens, channel, () => methodFrame(channel, method(20, 10), shortstr(''))),
      method(20, 11),
    );
  }

  closeChannel(channel: number): Promise<void> {
    return this.ask(
      cached(channelCloses, channel, () => methodFrame(channel, method(20, 40), CLOSE_ARGUMENTS)),
      method(20, 41),
    );
  }

  /** basic.qos: a prefetch count for the channel. */
  qos(channel: number, count: number): Promise<void> {
    return this.ask(
      methodFrame(channel, method(60, 10), long(0), short(count), Buffer.from([0])),
      method(60, 11),
    );
  }

  /** A durable queue that keeps the last few messages only, so that a long run does not fill the broker. */
  declare(channel: number, queue: string): Promise<void> {
    const fields = [short(0), shortstr(queue), Buffer.from([2]), table({ 'x-max-length': 1000 })];
    return this.ask(methodFrame(channel, method(50, 10), ...fields), method(50, 11));
  }

  confirmSelect(channel: number): Promise<void> {
    return this.ask(methodFrame(channel, method(85, 10), Buffer.from([0])), method(85, 11));
  }

  /** basic.consume without acks. */
  consume(channel: number, queue: string): Promise<void> {
    const fields = [short(0), shortstr(queue), shortstr('c'), Buffer.from([2]), table({})];
    return this.ask(methodFrame(channel, method(60, 20), ...fields), method(60, 21));
  }

  async close(): Promise<void> {
    this.closing = true;
    if (this.socket.destroyed) return;
    await this.ask(CLOSE, method(10, 51));
    this.socket.end();
  }

  drop(): void {
    this.closing = true;
    this.socket.destroy();
  }
}
