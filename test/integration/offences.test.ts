/**
 * What a misbehaving client hears is what the broker itself says, and nobody beside it notices. Each offence runs
 * straight to RabbitMQ and twice through the proxy; what the client saw must be equal. Adding one is adding a line.
 */
import { expect } from 'chai';
import { PROTOCOL_HEADER, Writer } from '../../src/amqp/frame.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sharedBroker } from '../support/rabbitmq.ts';
import {
  bodyFrame,
  closeOf,
  declareArgs,
  type Frame,
  header,
  publish,
  RawClient,
  rawFrame,
} from '../support/raw-client.ts';

const w = (): Writer => new Writer();
const method = (channel: number, classId: number, methodId: number, args: Buffer = Buffer.alloc(0)): Buffer =>
  rawFrame(1, channel, w().short(classId).short(methodId).bytes(args).take());
const publishMethod = (channel: number, flags = 0): Buffer =>
  method(channel, 60, 40, w().short(0).shortstr('').shortstr('offence').octet(flags).take());
const get = (queue: string): Buffer => w().short(0).shortstr(queue).octet(1).take();
const consume = (queue: string, tag = 't', flags = 2): Buffer =>
  w().short(0).shortstr(queue).shortstr(tag).octet(flags).long(0).take();
const headerWith = (channel: number, size: number, flags: number, properties: Buffer): Buffer =>
  rawFrame(2, channel, w().short(60).short(0).longlong(BigInt(size)).short(flags).bytes(properties).take());
const badTable = w()
  .long(6)
  .octet(1)
  .bytes(Buffer.from('a'))
  .octet(0x53)
  .bytes(Buffer.from([0, 0, 9]))
  .take();
const unknownType = w().long(4).octet(1).bytes(Buffer.from('a')).octet(0x7a).octet(0).take();

/** Each is sent on a connection with channel 1 open. */
const OFFENCES: Record<string, () => Buffer[]> = {
  'a wrong end byte': () => [rawFrame(1, 1, w().short(20).short(10).octet(0).take(), 0xcd)],
  'a wrong end byte of a body': () => [publishMethod(1), header(1, 3), rawFrame(3, 1, Buffer.from('abc'), 0)],
  'a frame over frame_max': () => [publishMethod(1), header(1, 200_000), bodyFrame(1, Buffer.alloc(140_000))],
  'a length of 4 GiB': () => [Buffer.from([1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
  'an unknown frame type': () => [rawFrame(5, 1, Buffer.from('what'))],
  'frame type 0': () => [rawFrame(0, 1, Buffer.from('what'))],
  'a heartbeat on a channel': () => [rawFrame(8, 1, Buffer.alloc(0))],
  'a heartbeat with a payload': () => [rawFrame(8, 0, Buffer.from('x'))],
  'an empty method': () => [rawFrame(1, 1, Buffer.alloc(0))],
  'a method of three bytes': () => [rawFrame(1, 1, Buffer.from([0, 60, 0]))],
  'truncated arguments': () => [method(1, 50, 10, w().short(0).octet(9).bytes(Buffer.from('abc')).take())],
  'no arguments': () => [method(1, 50, 10)],
  'arguments that are too long': () => [method(1, 60, 10, w().long(0).short(1).octet(0).octet(0).take())],
  'a malformed table': () => [method(1, 50, 10, w().short(0).shortstr('x').octet(0).bytes(badTable).take())],
  'a table with an unknown type': () => [
    method(1, 50, 10, w().short(0).shortstr('x').octet(0).bytes(unknownType).take()),
  ],
  'invalid UTF-8 in a queue name': () => [
    method(
      1,
      50,
      10,
      w()
        .short(0)
        .octet(2)
        .bytes(Buffer.from([0xc3, 0x28]))
        .octet(0)
        .long(0)
        .take(),
    ),
  ],
  'invalid UTF-8 in a routing key': () => [
    method(
      1,
      60,
      40,
      w()
        .short(0)
        .shortstr('')
        .octet(2)
        .bytes(Buffer.from([0xff, 0xfe]))
        .octet(0)
        .take(),
    ),
    header(1, 0),
  ],
  'malformed properties: cut off': () => [publishMethod(1), headerWith(1, 0, 0x8000, Buffer.alloc(0))],
  'malformed properties: too long': () => [publishMethod(1), headerWith(1, 0, 0, Buffer.from('extra'))],
  'malformed properties: a bad header table': () => [publishMethod(1), headerWith(1, 0, 0x2000, badTable)],
  'malformed properties: a continuation flag': () => [
    publishMethod(1),
    headerWith(1, 0, 0x0001, Buffer.alloc(2)),
  ],
  'malformed properties: an unknown flag': () => [
    publishMethod(1),
    headerWith(1, 0, 0x0002, Buffer.alloc(0)),
  ],
  'invalid UTF-8 in the content type': () => [
    publishMethod(1),
    headerWith(1, 0, 0x8000, Buffer.from([2, 0xc3, 0x28])),
  ],
  'a short content header': () => [publishMethod(1), rawFrame(2, 1, Buffer.from([0, 60, 0, 0]))],
  'an empty content header': () => [publishMethod(1), rawFrame(2, 1, Buffer.alloc(0))],
  'a weight in the content header': () => [
    publishMethod(1),
    rawFrame(2, 1, w().short(60).short(7).longlong(0n).short(0).take()),
    method(1, 20, 20, Buffer.from([1])),
  ],
  'a header without a method': () => [header(1, 0)],
  'a body without a method': () => [bodyFrame(1, Buffer.from('x'))],
  'an empty body frame without a method': () => [bodyFrame(1, Buffer.alloc(0))],
  'a body instead of a header': () => [publishMethod(1), bodyFrame(1, Buffer.from('x'))],
  'a header twice': () => [publishMethod(1), header(1, 3), header(1, 3)],
  'a body longer than its header says': () => [
    publishMethod(1),
    header(1, 3),
    bodyFrame(1, Buffer.from('abcdef')),
  ],
  'the wrong class in a header': () => [publishMethod(1), header(1, 0, 50)],
  'a method instead of a header': () => [
    publishMethod(1),
    method(1, 60, 10, w().long(0).short(1).octet(0).take()),
  ],
  'a method instead of a body': () => [
    publishMethod(1),
    header(1, 3),
    method(1, 60, 10, w().long(0).short(1).octet(0).take()),
  ],
  'a publish in the middle of one': () => [publishMethod(1), publishMethod(1)],
  'channel.close in the middle of content': () => [
    publishMethod(1),
    method(1, 20, 40, w().short(200).shortstr('').short(0).short(0).take()),
  ],
  'channel.open twice': () => [method(1, 20, 10, Buffer.from([0]))],
  'a channel above channel_max': () => [method(2048, 20, 10, Buffer.from([0]))],
  'channel 65535': () => [method(65535, 20, 10, Buffer.from([0]))],
  'invalid UTF-8 in an exchange name of a publish': () => [
    method(
      1,
      60,
      40,
      w()
        .short(0)
        .octet(2)
        .bytes(Buffer.from([0xff, 0xfe]))
        .shortstr('')
        .octet(0)
        .take(),
    ),
    header(1, 0),
  ],
  'a content header without flags': () => [
    publishMethod(1),
    rawFrame(2, 1, w().short(60).short(0).longlong(0n).take()),
  ],
  'an empty method on a channel never opened': () => [rawFrame(1, 9, Buffer.alloc(0))],
  'a heartbeat on a channel never opened': () => [rawFrame(8, 9, Buffer.alloc(0))],
  'a method on a channel never opened': () => [method(9, 60, 70, get('offence'))],
  'a publish on a channel never opened': () => [publish(9, 'offence', Buffer.from('x'))],
  'a header on a channel never opened': () => [header(9, 0)],
  'a body on a channel never opened': () => [bodyFrame(9, Buffer.from('x'))],
  'channel.close on a channel never opened': () => [
    method(9, 20, 40, w().short(200).shortstr('').short(0).short(0).take()),
  ],
  'channel.close-ok on a channel never opened': () => [method(9, 20, 41)],
  'channel.close-ok that nobody asked for': () => [method(1, 20, 41), method(1, 20, 20, Buffer.from([1]))],
  'start-ok again': () => [
    method(0, 10, 11, w().long(0).shortstr('PLAIN').longstr('\0guest\0guest').shortstr('en_US').take()),
  ],
  'tune-ok again': () => [method(0, 10, 31, w().short(0).long(0).short(0).take())],
  'connection.open again': () => [method(0, 10, 40, w().shortstr('/').octet(0).octet(0).take())],
  'secure-ok': () => [method(0, 10, 21, w().longstr('x').take())],
  'connection.close-ok that nobody asked for': () => [method(0, 10, 51), method(1, 20, 20, Buffer.from([1]))],
  'connection.blocked from a client': () => [method(0, 10, 60, w().shortstr('x').take())],
  'connection.start from a client': () => [
    method(0, 10, 10, w().octet(0).octet(9).long(0).longstr('').longstr('').take()),
  ],
  'connection.close on a channel': () => [
    method(1, 10, 50, w().short(200).shortstr('').short(0).short(0).take()),
  ],
  'connection.open on a channel': () => [method(1, 10, 40, w().shortstr('/').octet(0).octet(0).take())],
  'connection.tune-ok on a channel': () => [method(1, 10, 31, w().short(0).long(0).short(0).take())],
  'queue.declare on channel 0': () => [method(0, 50, 10, declareArgs('x'))],
  'channel.open on channel 0': () => [method(0, 20, 10, Buffer.from([0]))],
  'a publish on channel 0': () => [publish(0, 'offence', Buffer.from('x'))],
  'a header on channel 0': () => [header(0, 0)],
  'a body on channel 0': () => [bodyFrame(0, Buffer.from('x'))],
  'an unknown class': () => [method(1, 99, 10)],
  'an unknown method': () => [method(1, 60, 99)],
  'an unknown method on channel 0': () => [method(0, 10, 99)],
  'an unknown class on channel 0': () => [method(0, 99, 10)],
  'basic.deliver from a client': () => [
    method(1, 60, 60, w().shortstr('t').longlong(1n).octet(0).shortstr('').shortstr('').take()),
    header(1, 0),
  ],
  'basic.return from a client': () => [
    method(1, 60, 50, w().short(312).shortstr('').shortstr('').shortstr('').take()),
    header(1, 0),
  ],
  'basic.get-ok from a client': () => [
    method(1, 60, 71, w().longlong(1n).octet(0).shortstr('').shortstr('').long(0).take()),
    header(1, 0),
  ],
  'basic.get-empty from a client': () => [method(1, 60, 72, w().shortstr('').take())],
  'queue.declare-ok from a client': () => [method(1, 50, 11, w().shortstr('x').long(0).long(0).take())],
  'queue.bind-ok from a client': () => [method(1, 50, 21)],
  'exchange.declare-ok from a client': () => [method(1, 40, 11)],
  'basic.qos-ok from a client': () => [method(1, 60, 11)],
  'basic.consume-ok from a client': () => [method(1, 60, 21, w().shortstr('t').take())],
  'basic.cancel-ok from a client': () => [method(1, 60, 31, w().shortstr('t').take())],
  'basic.recover-ok from a client': () => [method(1, 60, 111)],
  'channel.open-ok from a client': () => [method(1, 20, 11, w().long(0).take())],
  'channel.flow-ok from a client': () => [method(1, 20, 21, Buffer.from([1]))],
  'confirm.select-ok from a client': () => [method(1, 85, 11)],
  'tx.select-ok from a client': () => [method(1, 90, 11)],
  'access.request-ok from a client': () => [method(1, 30, 11, w().short(1).take())],
  'access.request': () => [method(1, 30, 10, w().shortstr('/data').octet(0).take())],
  immediate: () => [publishMethod(1, 2), header(1, 0)],
  prefetch_size: () => [method(1, 60, 10, w().long(100).short(0).octet(0).take())],
  'channel.flow(false)': () => [method(1, 20, 20, Buffer.from([0]))],
  'channel.flow(true)': () => [method(1, 20, 20, Buffer.from([1]))],
  'a consumer tag twice': () => [
    method(1, 60, 20, consume('offence')),
    method(1, 60, 20, consume('offence')),
  ],
  'an unknown exchange type': () => [
    method(1, 40, 10, w().short(0).shortstr('odd').shortstr('x-nonsense').octet(0).long(0).take()),
  ],
  'an exchange of a reserved name': () => [
    method(1, 40, 10, w().short(0).shortstr('amq.mine').shortstr('direct').octet(0).long(0).take()),
  ],
  'a queue of a reserved name': () => [method(1, 50, 10, declareArgs('amq.mine'))],
  'an exchange with another type': () => [
    method(1, 40, 10, w().short(0).shortstr('amq.direct').shortstr('fanout').octet(2).long(0).take()),
  ],
  'a queue that is not there': () => [method(1, 50, 10, declareArgs('not-there', 1))],
  'a queue with other properties': () => [method(1, 50, 10, declareArgs('offence', 2))],
  'a publish to an exchange that is not there': () => [publish(1, 'x', Buffer.from('x'), 'not-there')],
  'a publish to an exchange that is not there, and what follows': () => [
    publish(1, 'x', Buffer.from('x'), 'not-there'),
    method(1, 60, 70, get('offence')),
    publish(1, 'offence', Buffer.alloc(100)),
  ],
  'a get of the default queue without one': () => [method(1, 60, 70, get(''))],
  'a consumer of the default queue without one': () => [method(1, 60, 20, consume(''))],
  'a bind of the default queue without one': () => [
    method(1, 50, 20, w().short(0).shortstr('').shortstr('amq.direct').shortstr('').octet(0).long(0).take()),
  ],
  'a purge of the default queue without one': () => [
    method(1, 50, 30, w().short(0).shortstr('').octet(0).take()),
  ],
  'an unknown delivery tag': () => [method(1, 60, 80, w().longlong(99n).octet(0).take())],
  'an unknown delivery tag rejected': () => [method(1, 60, 90, w().longlong(99n).octet(0).take())],
  'ack of everything, of nothing': () => [
    method(1, 60, 80, w().longlong(0n).octet(1).take()),
    method(1, 20, 20, Buffer.from([1])),
  ],
  'a wrong user_id': () => [publishMethod(1), headerWith(1, 0, 0x0010, w().shortstr('somebody').take())],
  'a wrong expiration': () => [publishMethod(1), headerWith(1, 0, 0x0100, w().shortstr('soon').take())],
  'a wrong BCC header': () => [
    publishMethod(1),
    headerWith(1, 0, 0x2000, w().long(9).shortstr('BCC').octet(0x49).long(1).take()),
  ],
  'a commit without a transaction': () => [method(1, 90, 20)],
  'a rollback without a transaction': () => [method(1, 90, 30)],
  'confirms in a transaction': () => [method(1, 90, 10), method(1, 85, 10, Buffer.from([0]))],
  'a transaction with confirms': () => [method(1, 85, 10, Buffer.from([0])), method(1, 90, 10)],
  'an unknown consumer cancelled': () => [method(1, 60, 30, w().shortstr('nobody').octet(0).take())],
  'a crossing channel.close': () => [
    publish(1, 'x', Buffer.from('x'), 'not-there'),
    method(1, 20, 40, w().short(200).shortstr('').short(0).short(0).take()),
  ],
  'a queue name of 255 bytes': () => [method(1, 50, 10, declareArgs('q'.repeat(255), 1))],
  'all bits set in queue.declare': () => [method(1, 50, 10, declareArgs('bits-not-there', 0xe1))],
  'an invalid argument for a queue': () => [
    method(
      1,
      50,
      10,
      w()
        .short(0)
        .shortstr('arg')
        .octet(0)
        .bytes(
          w()
            .long(17)
            .shortstr('x-expires')
            .octet(0x53)
            .bytes(Buffer.from([0, 0, 0, 1, 0x61]))
            .octet(0)
            .take(),
        )
        .take(),
    ),
  ],
  'recover(requeue=false)': () => [method(1, 60, 110, Buffer.from([0]))],
  'recover-async': () => [method(1, 60, 100, Buffer.from([1])), method(1, 20, 20, Buffer.from([1]))],
};

/** Each is sent instead of a proper handshake, from the first byte on. */
const startOk = (): Buffer =>
  method(0, 10, 11, w().long(0).shortstr('PLAIN').longstr('\0guest\0guest').shortstr('en_US').take());
const tuneOk = (channels: number, frame: number): Buffer =>
  method(0, 10, 31, w().short(channels).long(frame).short(0).take());
const HANDSHAKES: Record<string, () => Buffer[]> = {
  'an HTTP request': () => [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  'AMQP 1.0': () => [Buffer.from('AMQP\0\x01\0\0', 'latin1')],
  'AMQP 0-8': () => [Buffer.from('AMQP\x01\x01\x08\0', 'latin1')],
  'AMQP 0-9': () => [Buffer.from('AMQP\x01\x01\0\x09', 'latin1')],
  'tune-ok instead of start-ok': () => [
    PROTOCOL_HEADER,
    method(0, 10, 31, w().short(0).long(0).short(0).take()),
  ],
  'an unknown mechanism': () => [
    PROTOCOL_HEADER,
    method(0, 10, 11, w().long(0).shortstr('MAGIC').longstr('x').shortstr('en_US').take()),
  ],
  'a channel method before start-ok': () => [PROTOCOL_HEADER, method(1, 20, 10, Buffer.from([0]))],
  'truncated start-ok': () => [PROTOCOL_HEADER, method(0, 10, 11, w().long(0).octet(9).take())],
  'a frame_max below 4096': () => [PROTOCOL_HEADER, startOk(), tuneOk(0, 1000)],
  'a frame_max above what was offered': () => [PROTOCOL_HEADER, startOk(), tuneOk(0, 1_000_000)],
  'a channel_max above what was offered': () => [PROTOCOL_HEADER, startOk(), tuneOk(3000, 131072)],
  'frame_max 0 and channel_max 0': () => [PROTOCOL_HEADER, startOk(), tuneOk(0, 0)],
  'connection.open before tune-ok': () => [
    PROTOCOL_HEADER,
    startOk(),
    method(0, 10, 40, w().shortstr('/').octet(0).octet(0).take()),
  ],
  'a method on a channel before connection.open': () => [
    PROTOCOL_HEADER,
    startOk(),
    tuneOk(2047, 131072),
    method(1, 20, 10, Buffer.from([0])),
  ],
  'start-ok twice': () => [PROTOCOL_HEADER, startOk(), startOk()],
  'an HTTP request after the tune': () => [
    PROTOCOL_HEADER,
    startOk(),
    tuneOk(2047, 131072),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ],
  'an unknown vhost': () => [
    PROTOCOL_HEADER,
    startOk(),
    tuneOk(2047, 131072),
    method(0, 10, 40, w().shortstr('no').octet(0).octet(0).take()),
  ],
  'a frame over 4096 before tune': () => [PROTOCOL_HEADER, rawFrame(1, 0, Buffer.alloc(5000))],
};

describe('A client that misbehaves', () => {
  let broker: RabbitMQ;
  let proxy: AmqProxy;
  let canary: RawClient;

  before(async () => {
    broker = await sharedBroker();
    proxy = await AmqProxy.start(broker.url);
    await hatch();
  });
  const hatch = async (): Promise<void> => {
    canary = await RawClient.start(proxy.port);
    await canary.open(1);
    canary.method(1, 'queue.declare', declareArgs('offence'));
    await canary.next('queue.declare-ok');
    canary.method(1, 'confirm.select', Buffer.from([0]));
    await canary.next('confirm.select-ok');
  };
  after(async () => {
    canary.destroy();
    await proxy.stop();
  });

  /** The neighbour on the same upstream publishes and is confirmed. */
  const canarySings = async (): Promise<void> => {
    canary.send(publish(1, 'offence-canary', Buffer.from('tweet')));
    const answer = await canary.next(() => true);
    if (answer?.name !== 'basic.ack') await hatch(); // the next case has a canary again
    expect(answer?.name).to.equal('basic.ack');
  };

  const show = (frame: Frame): string => {
    if (frame.name.endsWith('.close')) {
      const { code, text, classId, methodId } = closeOf(frame);
      return `${frame.channel} ${frame.name} ${code} ${text.replace(/amq\.ctag-[\w-]+/, 'TAG')} ${classId}.${methodId}`;
    }
    return `${frame.channel} ${frame.name}`;
  };

  /** All that a client sees from its offence until the connection ends, or a later request is answered. */
  const watch = async (port: number, bytes: Buffer[], handshake: boolean): Promise<string[]> => {
    const client = handshake ? await RawClient.connect(port) : await RawClient.start(port);
    if (!handshake) await client.open(1);
    const seen: string[] = [];
    client.send(...bytes);
    if (!handshake) client.method(999, 'channel.open', Buffer.from([0]));
    for (;;) {
      const frame = await client.next(() => true, 12);
      if (frame === null) break;
      if (frame.name === 'connection.start') continue;
      seen.push(show(frame));
      if (frame.channel === 999) {
        // replies that were on their way on channel 1 come before this one
        client.method(1, 'channel.close', w().short(200).shortstr('').short(0).short(0).take());
        const rest = await client
          .next(f => f.channel === 1 && f.name === 'channel.close-ok', 3)
          .catch(() => null);
        for (const early of client.frames) if (early.name !== 'basic.ack') seen.push(show(early));
        seen.push(rest === null ? 'no close-ok' : 'usable');
        break;
      }
      if (frame.name !== 'connection.close') continue;
      client.method(0, 'connection.close-ok');
      await client.closed();
      break;
    }
    client.destroy();
    const ended = seen.find(line => line.startsWith('0 connection.close'));
    if (ended !== undefined) return [ended];
    // a reply to what came before the offence may or may not overtake its answer, at the broker too
    return seen.filter(line => !/^999 /.test(line)).sort();
  };

  for (const [name, make] of Object.entries(OFFENCES))
    it(`hears the broker's own words: ${name}`, async () => {
      const direct = await watch(broker.port, make(), false);
      for (let round = 0; round < 2; round++) {
        expect(await watch(proxy.port, make(), false)).to.deep.equal(direct);
        await canarySings();
      }
    });

  for (const [name, make] of Object.entries(HANDSHAKES))
    it(`hears the broker's own words in the handshake: ${name}`, async () => {
      const direct = await watch(broker.port, make(), true);
      expect(await watch(proxy.port, make(), true)).to.deep.equal(direct);
      await canarySings();
    });
});
