/** Content out of order, and properties that cannot be decoded (rabbit_command_assembler, rabbit_framing). */
import * as f from '../frames.ts';
import { type Case, offence } from '../run.ts';

const { w } = f;
/** A publish to the default exchange with these property flags and bytes, and a look whether the channel lives. */
const properties = (flags: number, bytes: Buffer): Case =>
  offence(run => [
    f.publishMethod(1, run.name('q')),
    f.headerWith(1, 0, flags, bytes),
    f.channelFlow(1, true),
  ]);

export const headerWithoutAMethod = offence(() => [f.headerWith(1, 0, 0)]);
export const bodyWithoutAMethod = offence(() => [f.bodyFrame(1, Buffer.from('x'))]);
export const emptyBodyWithoutAMethod = offence(() => [f.bodyFrame(1, Buffer.alloc(0))]);
export const bodyInsteadOfAHeader = offence(() => [
  f.publishMethod(1, 'x'),
  f.bodyFrame(1, Buffer.from('x')),
]);
export const bodyAfterAMessageWithoutOne = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 0, 0),
  f.bodyFrame(1, Buffer.from('x')),
]);
export const headerTwice = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.headerWith(1, 3, 0),
]);
/** RabbitMQ counts below zero: the message never ends, and the next method is out of place. */
export const bodyLongerThanItsHeaderSays = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.bodyFrame(1, Buffer.from('abcdef')),
]);
export const bodyLongerThanItsHeaderSaysAndAMethod = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.bodyFrame(1, Buffer.from('abcdef')),
  f.channelFlow(1, true),
]);
export const bodyInTwoFramesLongerThanItsHeaderSays = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.bodyFrame(1, Buffer.from('ab')),
  f.bodyFrame(1, Buffer.from('cd')),
  f.bodyFrame(1, Buffer.from('ef')),
  f.channelFlow(1, true),
]);
export const emptyBodyFramesInAMessage = offence(run => [
  f.declare(1, run.name('q')),
  f.publishMethod(1, run.name('q')),
  f.headerWith(1, 2, 0),
  f.bodyFrame(1, Buffer.alloc(0)),
  f.bodyFrame(1, Buffer.from('a')),
  f.bodyFrame(1, Buffer.alloc(0)),
  f.bodyFrame(1, Buffer.from('b')),
  f.get(1, run.name('q')),
]);
export const wrongClassInAHeader = offence(() => [f.publishMethod(1, 'x'), f.header(1, 0, 50)]);
export const unknownClassInAHeader = offence(() => [f.publishMethod(1, 'x'), f.header(1, 0, 999)]);
export const weightInAHeader = offence(() => [
  f.publishMethod(1, 'x'),
  f.rawFrame(2, 1, w().short(60).short(7).longlong(0n).short(0).take()),
]);
export const wrongClassAndWeightInAHeader = offence(() => [
  f.publishMethod(1, 'x'),
  f.rawFrame(2, 1, w().short(50).short(7).longlong(0n).short(0).take()),
]);
export const methodInsteadOfAHeader = offence(() => [f.publishMethod(1, 'x'), f.qos(1, 1)]);
export const methodInsteadOfABody = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.qos(1, 1),
]);
export const methodHalfWayThroughABody = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.bodyFrame(1, Buffer.from('a')),
  f.qos(1, 1),
]);
export const publishInAPublish = offence(() => [f.publishMethod(1, 'x'), f.publishMethod(1, 'x')]);
export const undecodableMethodInsteadOfAHeader = offence(() => [
  f.publishMethod(1, 'x'),
  f.method(1, 60, 10),
]);
export const channelCloseInsteadOfAHeader = offence(() => [f.publishMethod(1, 'x'), f.channelClose(1)]);
export const channelCloseInsteadOfABody = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.channelClose(1),
]);
export const channelCloseOkInsteadOfABody = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0),
  f.channelCloseOk(1),
]);
export const messagesOfTwoChannelsInterleaved: Case = async run => {
  const client = await run.client();
  await client.open(2);
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(
    f.publishMethod(1, queue),
    f.publishMethod(2, queue),
    f.headerWith(2, 2, 0),
    f.headerWith(1, 4, 0),
  );
  client.send(
    f.bodyFrame(1, Buffer.from('on')),
    f.bodyFrame(2, Buffer.from('22')),
    f.bodyFrame(1, Buffer.from('e.')),
  );
  await client.call(f.channelFlow(1, true), 'channel.flow-ok');
  await client.call(f.channelFlow(2, true), 'channel.flow-ok');
  await client.call(f.get(1, queue), 'message');
  await client.call(f.get(1, queue), 'message');
};
export const sizeOf16ExabytesInAHeader = offence(() => [
  f.publishMethod(1, 'x'),
  f.rawFrame(2, 1, w().short(60).short(0).longlong(0xffffffffffffffffn).short(0).take()),
]);
export const messageLargerThanAllowed = offence(() => [
  f.publishMethod(1, 'x'),
  f.rawFrame(2, 1, w().short(60).short(0).longlong(134217729n).short(0).take()),
  f.bodyFrame(1, Buffer.from('only a beginning')),
]);
export const connectionCloseInTheMiddleOfContent: Case = async run => {
  const client = await run.client();
  client.send(f.publishMethod(1, 'x'), f.headerWith(1, 3, 0), f.connectionClose());
  await client.wait('connection.close-ok');
};

export const propertiesCutOff = properties(0x8000, Buffer.alloc(0));
export const propertiesTooLong = properties(0, Buffer.from('extra'));
export const propertiesTableCutOff = properties(0x2000, Buffer.from([0, 0, 0, 9]));
export const propertiesTableWithAnUnknownType = properties(
  0x2000,
  f.table(f.field('a', 'z', Buffer.alloc(1))),
);
export const propertiesTableWithNaN = properties(
  0x2000,
  f.table(f.field('a', 'd', Buffer.from('7ff8000000000000', 'hex'))),
);
export const propertiesContinued = properties(0x0001, Buffer.alloc(2));
export const propertiesContinuedByNothing = properties(0x0001, Buffer.alloc(0));
export const propertiesWithAnUnknownFlag = properties(0x0002, Buffer.alloc(0));
export const propertiesOfClusterId = properties(0x0004, w().shortstr('cluster').take());
export const propertiesWithInvalidUtf8 = properties(0x8000, Buffer.from([2, 0xc3, 0x28]));
export const propertiesWithABadDeliveryMode = properties(0x1000, Buffer.from([77]));
export const propertiesWithABadPriority = properties(0x0800, Buffer.from([255]));
export const propertiesWithoutAnyBytes = offence(() => [
  f.publishMethod(1, 'x'),
  f.rawFrame(2, 1, w().short(60).short(0).longlong(0n).take()),
  f.channelFlow(1, true),
]);
export const propertiesOfOneByte = offence(() => [
  f.publishMethod(1, 'x'),
  f.rawFrame(2, 1, w().short(60).short(0).longlong(0n).octet(0).take()),
  f.channelFlow(1, true),
]);
export const badPropertiesToAnExchangeThatIsNotThere = offence(run => [
  f.publishMethod(1, 'x', run.name('none')),
  f.headerWith(1, 0, 0x8000),
  f.channelFlow(1, true),
]);
export const badPropertiesWithABody = offence(() => [
  f.publishMethod(1, 'x'),
  f.headerWith(1, 3, 0x8000),
  f.bodyFrame(1, Buffer.from('abc')),
  f.channelFlow(1, true),
]);
export const badPropertiesWithImmediate = offence(() => [
  f.publishMethod(1, 'x', '', f.IMMEDIATE),
  f.headerWith(1, 0, 0x8000),
  f.channelFlow(1, true),
]);
export const wrongUserId = properties(0x0010, w().shortstr('somebody').take());
export const rightUserId = properties(0x0010, w().shortstr('guest').take());
export const wrongExpiration = properties(0x0100, w().shortstr('soon').take());
export const negativeExpiration = properties(0x0100, w().shortstr('-1').take());
export const emptyExpiration = properties(0x0100, w().shortstr('').take());
export const wrongBccHeader = properties(0x2000, f.table(f.int('BCC', 1)));
export const wrongCcHeader = properties(0x2000, f.table(f.text('CC', 'x')));
export const wrongItemInCcHeader = properties(
  0x2000,
  f.table(f.field('CC', 'A', w().longstr(Buffer.from('t\x01')).take())),
);
export const emptyHeaders = properties(0x2000, f.table());
export const undefinedBitsOfPublish = offence(run => [
  f.publishMethod(1, run.name('q'), '', 0xfc),
  f.headerWith(1, 0, 0),
  f.channelFlow(1, true),
]);
export const replyToWithoutAConsumer = properties(0x0200, w().shortstr('amq.rabbitmq.reply-to').take());
export const headersOf60KB: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  const headers = f.table(f.text('long', 'h'.repeat(60_000)));
  client.send(f.publish(1, queue, 'body', { properties: [0x2000, headers] }));
  await client.call(f.get(1, queue), 'message');
};
