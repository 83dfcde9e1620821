/** Frames that are no frames, and methods that cannot be decoded (rabbit_reader:handle_input, rabbit_framing). */
import * as f from '../frames.ts';
import { type Case, offence } from '../run.ts';

const { w } = f;
const declareWith = (args: Buffer, queue = Buffer.from('x')): Buffer =>
  f.method(1, 50, 10, w().short(0).octet(queue.length).bytes(queue).octet(0).bytes(args).take());

export const wrongEndByte = offence(
  () => [f.rawFrame(1, 1, w().short(20).short(20).octet(1).take(), 0xcd)],
  true,
);
export const wrongEndByteOfALongFrame = offence(
  () => [f.publishMethod(1, 'x'), f.headerWith(1, 40, 0), f.rawFrame(3, 1, Buffer.alloc(40, 97), 0)],
  true,
);
export const frameOverFrameMax = offence(
  () => [f.publishMethod(1, 'x'), f.headerWith(1, 140_000, 0), f.bodyFrame(1, Buffer.alloc(140_000))],
  true,
);
/** RabbitMQ lets a payload be as large as frame_max itself (FRAME_SIZE_FUDGE). */
export const payloadOfExactlyFrameMax = offence(run => [
  f.publishMethod(1, run.name('q')),
  f.headerWith(1, 131072, 0),
  f.bodyFrame(1, Buffer.alloc(131072)),
]);
export const payloadOneOverFrameMax = offence(
  () => [f.publishMethod(1, 'x'), f.headerWith(1, 131073, 0), f.bodyFrame(1, Buffer.alloc(131073))],
  true,
);
export const lengthOf4GiB = offence(() => [Buffer.from([1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])], true);
export const unknownFrameType = offence(() => [f.rawFrame(5, 1, Buffer.from('what'))]);
export const unknownFrameTypeWithNothing = offence(() => [f.rawFrame(255, 1, Buffer.alloc(0))]);
export const unknownFrameTypeOnChannel0 = offence(() => [
  f.rawFrame(4, 0, Buffer.from('twenty bytes of this')),
]);
export const unknownFrameTypeOnAChannelNeverOpened = offence(() => [
  f.rawFrame(5, 7, Buffer.from('"quoted"\n')),
]);
export const heartbeatOnAChannel = offence(() => [f.rawFrame(8, 1, Buffer.alloc(0))]);
export const heartbeatOnAChannelNeverOpened = offence(() => [f.rawFrame(8, 9, Buffer.alloc(0))]);
export const heartbeatWithAPayload = offence(() => [f.rawFrame(8, 0, Buffer.from([1, 2]))]);
export const heartbeatWithoutNegotiation = offence(() => [f.rawFrame(8, 0, Buffer.alloc(0))]);
export const emptyMethod = offence(() => [f.rawFrame(1, 1, Buffer.alloc(0))]);
export const emptyMethodOnChannel0 = offence(() => [f.rawFrame(1, 0, Buffer.alloc(0))]);
export const methodOfThreeBytes = offence(() => [f.rawFrame(1, 1, Buffer.from([0, 60, 0]))]);
export const headerOfElevenBytes = offence(() => [
  f.publishMethod(1, 'x'),
  f.rawFrame(2, 1, Buffer.alloc(11)),
]);
export const argumentsCutOff = offence(() => [
  f.method(1, 50, 10, w().short(0).octet(9).bytes(Buffer.from('abc')).take()),
]);
export const noArguments = offence(() => [f.method(1, 60, 10)]);
export const noArgumentsInTheFirstPublishOfAChannel = offence(() => [f.method(1, 60, 40)]);
export const noArgumentsInTheFirstPublishOfAMessage = offence(() => [
  f.method(1, 60, 40),
  f.headerWith(1, 1, 0),
  f.bodyFrame(1, Buffer.from('x')),
]);
export const noArgumentsInTheFirstPublishOfAChannelOpenedAnew: Case = async run => {
  const client = await run.client();
  client.send(f.publish(1, run.name('q'), 'x'));
  await client.call(f.channelClose(1), 'channel.close-ok');
  await client.call(f.channelOpen(1), 'channel.open-ok');
  client.send(f.method(1, 60, 40));
  await client.closedWith();
};
export const noArgumentsInThePublishAfterAnother = offence(run => [
  f.publish(1, run.name('q'), 'x'),
  f.method(1, 60, 40),
]);
export const argumentsTooLong = offence(() => [
  f.method(1, 60, 10, w().long(0).short(1).octet(0).octet(0).take()),
]);
export const argumentsTooLongForAMethodWithout = offence(() => [f.method(1, 90, 10, Buffer.from([1]))]);
export const argumentsCutOffOnChannel0 = offence(() => [f.method(0, 10, 50, Buffer.from([0]))]);
export const invalidUtf8InAQueueName = offence(() => [declareWith(f.table(), Buffer.from([0xc3, 0x28]))]);
export const loneSurrogateInAQueueName = offence(run => [
  declareWith(f.table(), Buffer.from([0xed, 0xa0, 0x80])),
  f.remove(1, run.name('x')),
]);
export const overlongUtf8InAQueueName = offence(() => [declareWith(f.table(), Buffer.from([0xc0, 0x80]))]);
export const utf8Over10FFFFInAQueueName = offence(() => [
  declareWith(f.table(), Buffer.from([0xf4, 0x90, 0x80, 0x80])),
]);
export const cutOffUtf8InAQueueName = offence(() => [
  declareWith(f.table(), Buffer.from([0x61, 0xe2, 0x82])),
]);
export const nonCharacterInAQueueName = offence(() => [
  declareWith(f.table(), Buffer.from([0xef, 0xbf, 0xbf])),
  f.remove(1, '\uffff'),
]);
export const invalidUtf8InARoutingKey = offence(() => [
  f.method(
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
  f.headerWith(1, 0, 0),
]);
export const invalidUtf8InAConsumerTag = offence(() => [
  f.method(
    1,
    60,
    30,
    w()
      .octet(1)
      .bytes(Buffer.from([0x80]))
      .octet(0)
      .take(),
  ),
]);
export const invalidUtf8OnChannel0 = offence(() => [
  f.method(
    0,
    10,
    50,
    w()
      .short(200)
      .octet(1)
      .bytes(Buffer.from([0x80]))
      .short(0)
      .short(0)
      .take(),
  ),
]);

export const tableWithAnUnknownType = offence(() => [
  declareWith(f.table(f.field('a', 'z', Buffer.alloc(1)))),
]);
export const tableCutOffInAValue = offence(() => [
  declareWith(f.table(f.field('a', 'S', Buffer.from([0, 0, 9])))),
]);
export const tableCutOffInAName = offence(() => [declareWith(f.table(Buffer.from([9, 97])))]);
export const tableLongerThanTheMethod = offence(() => [declareWith(Buffer.from([0, 0, 0, 9]))]);
export const tableWithNaN = offence(() => [
  declareWith(f.table(f.field('a', 'd', Buffer.from('7ff8000000000000', 'hex')))),
]);
export const tableWithInfinity = offence(() => [
  declareWith(f.table(f.field('a', 'f', Buffer.from('7f800000', 'hex')))),
]);
export const tableInATableCutOff = offence(() => [
  declareWith(f.table(f.field('a', 'F', Buffer.from([0, 0, 0, 2, 5, 97])))),
]);
export const arrayInATableCutOff = offence(() => [
  declareWith(f.table(f.field('a', 'A', Buffer.from([0, 0, 0, 1, 0x53])))),
]);
export const tableWithInvalidUtf8Inside = offence(run => [
  f.declare(
    1,
    run.name('q'),
    f.AUTO_DELETE,
    f.table(Buffer.concat([Buffer.from([1, 0xff]), Buffer.from('t'), Buffer.from([1])])),
  ),
]);
/** Every type letter that rabbit_binary_parser knows, in an argument that no queue type looks at. */
export const tableWithEveryType = offence(run => [
  f.declare(
    1,
    run.name('q'),
    0,
    f.table(
      f.text('S', 'text'),
      f.int('I', -1),
      f.field('D', 'D', Buffer.from([2, 0, 0, 0, 9])),
      f.field('T', 'T', Buffer.alloc(8)),
      f.field('F', 'F', f.table(f.int('n', 1))),
      f.field('A', 'A', w().longstr(Buffer.from('t\x01V')).take()),
      f.field('t', 't', Buffer.from([7])),
      f.field('b', 'b', Buffer.from([255])),
      f.field('B', 'B', Buffer.from([255])),
      f.field('s', 's', Buffer.alloc(2)),
      f.field('u', 'u', Buffer.alloc(2)),
      f.field('i', 'i', Buffer.alloc(4)),
      f.field('l', 'l', Buffer.alloc(8)),
      f.field('L', 'L', Buffer.alloc(8)),
      f.field('d', 'd', Buffer.alloc(8)),
      f.field('f', 'f', Buffer.alloc(4)),
      f.field(
        'x',
        'x',
        w()
          .longstr(Buffer.from([0, 1]))
          .take(),
      ),
      f.field('V', 'V', Buffer.alloc(0)),
    ),
  ),
]);
export const tableIn40Tables = offence(run => {
  let inner = f.table();
  for (let depth = 0; depth < 40; depth++) inner = f.table(f.field('t', 'F', inner));
  return [f.declare(1, run.name('q'), 0, inner)];
});
export const tableIn3000Tables = offence(run => {
  let inner = f.table();
  for (let depth = 0; depth < 3000; depth++) inner = f.table(f.field('t', 'F', inner));
  return [f.declare(1, run.name('q'), f.AUTO_DELETE, inner)];
});
