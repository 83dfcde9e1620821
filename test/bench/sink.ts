/**
 * A minimal AMQP peer, in its own process: answers everything, keeps nothing, counts the publishes it gets, and
 * delivers prepared bytes to consumers as fast as they are read. Queue `bytes-N` delivers messages of N bytes.
 */

import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  chunkOf,
  deliver,
  FrameReader,
  HEARTBEAT,
  long,
  longlong,
  longstr,
  method,
  methodFrame,
  PROTOCOL_HEADER,
  PUBLISH,
  short,
  shortstr,
  table,
} from './wire.ts';

const DELIVERY_CHUNK = 256 * 1024;

/** What `sample` answers. */
export interface SinkSample {
  /** Messages published to it so far. */
  count: number;
  /** Connections accepted so far. */
  accepted: number;
  open: number;
}

let closedCount = 0;
let accepted = 0;
const peers = new Set<Peer>();

const START = methodFrame(
  0,
  method(10, 10),
  Buffer.from([0, 9]),
  table({
    product: 'sink',
    version: '1',
    capabilities: {
      publisher_confirms: true,
      'basic.nack': true,
      consumer_cancel_notify: true,
      'connection.blocked': true,
      authentication_failure_close: true,
      per_consumer_qos: true,
      direct_reply_to: true,
      exchange_exchange_bindings: true,
    },
  }),
  longstr('PLAIN AMQPLAIN'),
  longstr('en_US'),
);
const TUNE = methodFrame(0, method(10, 30), short(2047), long(131072), short(60));

/** Methods answered with fixed arguments: [id, answer, arguments]. */
const ANSWERS = new Map<number, [number, Buffer]>(
  (
    [
      [10, 40, 41, shortstr('')],
      [10, 70, 71, Buffer.alloc(0)],
      [20, 10, 11, long(0)],
      [20, 40, 41, Buffer.alloc(0)],
      [40, 10, 11, Buffer.alloc(0)],
      [40, 20, 21, Buffer.alloc(0)],
      [40, 30, 31, Buffer.alloc(0)],
      [40, 40, 51, Buffer.alloc(0)],
      [50, 10, 11, Buffer.concat([shortstr('q'), long(0), long(0)])],
      [50, 20, 21, Buffer.alloc(0)],
      [50, 30, 31, long(0)],
      [50, 40, 41, long(0)],
      [50, 50, 51, Buffer.alloc(0)],
      [60, 10, 11, Buffer.alloc(0)],
      [60, 70, 72, shortstr('')],
      [60, 110, 111, Buffer.alloc(0)],
      [90, 10, 11, Buffer.alloc(0)],
      [90, 20, 21, Buffer.alloc(0)],
      [90, 30, 31, Buffer.alloc(0)],
    ] as [number, number, number, Buffer][]
  ).map(([classId, id, answer, fields]) => [method(classId, id), [method(classId, answer), fields]]),
);

class Peer {
  readonly reader: FrameReader;
  private readonly socket: Socket;
  private greeted = false;
  private out: Buffer[] = [];
  /** Confirms in hand: the last sequence number of each channel, and those to be acknowledged this turn. */
  private readonly confirms = new Map<number, number>();
  private readonly toAck = new Set<number>();
  private delivery: Buffer | null = null;
  /** The channel of the consumer that gets them. */
  private consuming = 0;
  private closing = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.reader = new FrameReader(PUBLISH, this.onMethod.bind(this), channel => {
      const number = this.confirms.get(channel);
      if (number === undefined) return;
      this.confirms.set(channel, number + 1);
      this.toAck.add(channel);
    });
    socket.setNoDelay(true);
    socket.on('data', chunk => this.onData(chunk));
    socket.on('drain', () => this.deliverMore());
    socket.on('error', () => {});
    socket.on('close', () => {
      closedCount += this.reader.count;
      peers.delete(this);
    });
  }

  heartbeat(): void {
    if (this.delivery === null && this.greeted) this.socket.write(HEARTBEAT);
  }

  private onData(chunk: Buffer): void {
    let bytes = chunk;
    if (!this.greeted) {
      // nobody sends these eight bytes in two pieces on loopback
      if (!bytes.subarray(0, 8).equals(PROTOCOL_HEADER)) return void this.socket.destroy();
      this.greeted = true;
      this.out.push(START);
      bytes = bytes.subarray(8);
    }
    this.reader.push(bytes);
    for (const channel of this.toAck)
      this.out.push(
        methodFrame(channel, method(60, 80), longlong(this.confirms.get(channel)!), Buffer.from([1])),
      );
    this.toAck.clear();
    if (this.out.length === 0) return;
    const answer = this.out.length === 1 ? this.out[0] : Buffer.concat(this.out);
    this.out = [];
    if (this.closing) this.socket.end(answer);
    else this.socket.write(answer);
    this.deliverMore();
  }

  private onMethod(channel: number, id: number, bytes: Buffer, at: number): void {
    switch (id) {
      case method(10, 11):
        this.out.push(TUNE);
        break;
      case method(10, 50):
        this.out.push(methodFrame(0, method(10, 51)));
        this.closing = true;
        this.delivery = null;
        break;
      case method(20, 20):
        this.out.push(methodFrame(channel, method(20, 21), bytes.subarray(at, at + 1)));
        break;
      case method(20, 40):
        this.confirms.delete(channel);
        // others come and go beside the consumer's
        if (channel === this.consuming) this.delivery = null;
        this.out.push(methodFrame(channel, method(20, 41)));
        break;
      case method(85, 10):
        if (!this.confirms.has(channel)) this.confirms.set(channel, 0);
        this.reader.exact = true;
        this.out.push(methodFrame(channel, method(85, 11)));
        break;
      case method(60, 20): {
        const queueEnd = at + 3 + bytes[at + 2];
        const queue = bytes.toString('latin1', at + 3, queueEnd);
        const tag = bytes.toString('latin1', queueEnd + 1, queueEnd + 1 + bytes[queueEnd]) || 'ctag';
        this.out.push(methodFrame(channel, method(60, 21), shortstr(tag)));
        const size = /^bytes-(\d+)$/.exec(queue);
        this.consuming = channel;
        if (size) this.delivery = chunkOf([deliver(channel, tag, Number(size[1]))], DELIVERY_CHUNK);
        break;
      }
      case method(60, 30):
        this.delivery = null;
        this.out.push(
          methodFrame(channel, method(60, 31), Buffer.from(bytes.subarray(at, at + 1 + bytes[at]))),
        );
        break;
      default: {
        const answer = ANSWERS.get(id);
        if (answer) this.out.push(methodFrame(channel, answer[0], answer[1]));
      }
    }
  }

  private deliverMore(): void {
    // stops when the socket says that it is full, so that a slow reader slows the sink
    while (this.delivery !== null && this.socket.writable && !this.socket.writableNeedDrain)
      this.socket.write(this.delivery);
  }
}

function accept(socket: Socket): void {
  accepted++;
  peers.add(new Peer(socket));
}

setInterval(() => {
  for (const peer of peers) peer.heartbeat();
}, 25_000);

process.on('message', () => {
  let count = closedCount;
  for (const peer of peers) count += peer.reader.count;
  process.send!({ count, accepted, open: peers.size } satisfies SinkSample);
});
process.on('disconnect', () => process.exit(0));

const server = createServer({ highWaterMark: 256 * 1024 }, accept);
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', 4096, () =>
  process.send!((server.address() as AddressInfo).port),
);
