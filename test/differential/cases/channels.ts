/** Channels: opening and closing, crossing closes, numbers used again, methods where they do not belong. */
import * as f from '../frames.ts';
import { type Case, offence } from '../run.ts';

const { w } = f;

export const channelOpenTwice = offence(() => [f.channelOpen(1)]);
/** RabbitMQ counts channels, it does not look at their numbers. */
export const channelNumberAboveChannelMax = offence(() => [f.channelOpen(2048)]);
export const channel65535 = offence(() => [f.channelOpen(65535), f.channelFlow(65535, true)]);
export const moreChannelsThanChannelMax: Case = async run => {
  const client = await run.client({ channelMax: 3 });
  await client.open(2);
  await client.open(9);
  client.send(f.channelOpen(4));
  await client.closedWith();
};
export const channelMaxMadeUseOfAgain: Case = async run => {
  const client = await run.client({ channelMax: 2 });
  for (const channel of [2, 3, 4]) {
    await client.open(channel);
    await client.call(f.channelClose(channel), 'channel.close-ok');
  }
};
export const publishOnAChannelNeverOpened = offence(() => [f.publish(9, 'x', 'body')]);
export const methodOnAChannelNeverOpened = offence(run => [f.get(9, run.name('q'))]);
export const undecodableMethodOnAChannelNeverOpened = offence(() => [f.method(9, 60, 10)]);
export const headerOnAChannelNeverOpened = offence(() => [f.headerWith(9, 0, 0)]);
export const bodyOnAChannelNeverOpened = offence(() => [f.bodyFrame(9, Buffer.from('x'))]);
export const closeOfAChannelNeverOpened = offence(() => [f.channelClose(9)]);
export const closeOkOfAChannelNeverOpened = offence(() => [f.channelCloseOk(9)]);
export const closeOkThatNobodyAskedFor = offence(() => [f.channelCloseOk(1), f.channelFlow(1, true)]);
export const closeOkThatNobodyAskedForAndReopening: Case = async run => {
  const client = await run.client();
  client.send(f.channelCloseOk(1));
  await client.quiet(run.quietMs);
  client.send(f.channelOpen(1));
  await client.wait('channel.open-ok|connection.close');
};
export const methodOnAChannelThatWasClosed: Case = async run => {
  const client = await run.client();
  await client.call(f.channelClose(1), 'channel.close-ok');
  client.send(f.qos(1, 1));
  await client.closedWith();
};
export const publishedJustAfterChannelClose: Case = async run => {
  const client = await run.client();
  await client.call(f.channelClose(1), 'channel.close-ok');
  client.send(f.publish(1, 'x', 'late'));
  await client.closedWith();
};
export const channelReopenedAtOnce: Case = async run => {
  const client = await run.client();
  for (let round = 0; round < 3; round++) {
    await client.call(f.channelClose(1), 'channel.close-ok');
    await client.open(1);
  }
  await client.call(f.declare(1, '', f.EXCLUSIVE), 'queue.declare-ok');
};
/** The broker closes the channel while a message is on its way: the rest of it is discarded, and no offence. */
const errorWithinAMessage =
  (parts: number, bytes: number): Case =>
  async run => {
    const client = await run.client();
    const message = [
      f.publishMethod(1, 'x'),
      f.headerWith(1, 9, 0),
      f.bodyFrame(1, Buffer.from('123456789')),
    ];
    const cut = message.slice(0, parts).reduce((sum, part) => sum + part.length, 0) + bytes;
    const whole = Buffer.concat(message);
    client.send(f.publish(1, 'x', 'lost', { exchange: 'not there' }), whole.subarray(0, cut));
    await client.wait('channel.close');
    client.send(whole.subarray(cut), f.channelCloseOk(1));
    await client.open(1);
    await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
  };
export const errorBetweenPublishAndHeader = errorWithinAMessage(1, 0);
export const errorBetweenHeaderAndBody = errorWithinAMessage(2, 0);
export const errorWithinAHeader = errorWithinAMessage(1, 10);
export const errorWithinABody = errorWithinAMessage(2, 10);
/** Frames of other channels between those of a message, in one piece: each has its own effect, and the message arrives. */
export const otherChannelsWithinAMessage: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  for (const channel of [1501, 1502]) await client.open(channel);
  client.send(f.publish(1502, 'x', 'lost', { exchange: 'not there' }));
  await client.wait('channel.close');
  client.send(
    Buffer.concat([
      f.publishMethod(1, queue),
      f.channelOpen(1503),
      f.channelCloseOk(1502),
      f.headerWith(1, 4, 0),
      f.channelClose(1501),
      f.rawFrame(8, 0, Buffer.alloc(0)),
      f.bodyFrame(1, Buffer.from('body')),
    ]),
  );
  await client.call(f.get(1, queue), 'message');
  await client.call(f.declare(1503, queue), 'queue.declare-ok');
  await client.open(1502);
};
export const channelNumberUsedAgainAfterAnError: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('none'), f.PASSIVE), 'channel.close');
  client.send(f.channelCloseOk(1));
  await client.open(1);
  await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
  client.send(f.publish(1, run.name('q'), 'again'));
  await client.call(f.get(1, run.name('q')), 'message');
};
/** Everything but close and close-ok is discarded until the client has answered. */
export const framesOnAChannelJustClosedAreDiscarded: Case = async run => {
  const client = await run.client();
  await client.open(2);
  await client.call(f.declare(2, run.name('q')), 'queue.declare-ok');
  await client.call(f.declare(1, run.name('none'), f.PASSIVE), 'channel.close');
  client.send(
    f.publish(1, run.name('q'), 'lost'),
    f.get(1, run.name('q')),
    f.declare(1, run.name('other')),
    f.qos(1, 1),
  );
  await client.alive();
  await client.call(f.get(2, run.name('q')), 'basic.get-empty|message');
  client.send(f.channelCloseOk(1));
  await client.open(1);
  await client.call(f.get(1, run.name('q')), 'basic.get-empty|message');
};
export const undecodableMethodOnAChannelJustClosed: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('none'), f.PASSIVE), 'channel.close');
  client.send(f.method(1, 60, 10));
  await client.closedWith();
};
export const halfAMessageOnAChannelJustClosed: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('none'), f.PASSIVE), 'channel.close');
  client.send(f.publishMethod(1, 'x'), f.headerWith(1, 5, 0), f.channelCloseOk(1));
  await client.wait('connection.close|channel.open-ok');
};
export const restOfAMessageOnAChannelJustClosed: Case = async run => {
  const client = await run.client();
  client.send(f.publish(1, 'x', 'lost', { exchange: run.name('none') }));
  client.send(f.publishMethod(1, 'x'), f.headerWith(1, 10, 0), f.bodyFrame(1, Buffer.from('half ')));
  await client.wait('channel.close');
  client.send(f.bodyFrame(1, Buffer.from('a lot')), f.channelCloseOk(1), f.channelOpen(1));
  await client.wait('connection.close|channel.open-ok');
};
export const restOfABodyFrameOnAChannelJustClosed: Case = async run => {
  const client = await run.client();
  const message = f.publish(1, 'x', Buffer.alloc(3000, 120));
  client.send(f.publish(1, 'x', 'lost', { exchange: run.name('none') }), message.subarray(0, 1500));
  await client.wait('channel.close');
  client.send(message.subarray(1500), f.channelCloseOk(1), f.channelOpen(1));
  await client.wait('connection.close|channel.open-ok');
};
export const restOfALargeMessageOnAChannelJustClosed: Case = async run => {
  const client = await run.client();
  const message = f.publish(1, 'x', Buffer.alloc(3_000_000, 120));
  client.send(f.ack(1, 99), message.subarray(0, 1_600_000));
  await client.wait('channel.close');
  client.send(message.subarray(1_600_000), f.channelCloseOk(1), f.channelOpen(1));
  await client.wait('connection.close|channel.open-ok');
};
export const getBehindAConfirmedPublishThatFails: Case = async run => {
  const client = await run.client();
  await client.open(2);
  await client.call(f.confirmSelect(1), 'confirm.select-ok');
  client.send(f.publish(1, 'x', 'lost', { exchange: run.name('none') }), f.get(1, run.name('q')));
  await client.wait('channel.close');
  await client.call(f.declare(2, run.name('q')), 'queue.declare-ok');
  client.send(f.channelCloseOk(1), f.channelOpen(1));
  await client.wait('channel.open-ok', 1);
};
export const headerOutOfPlaceOnAChannelJustClosed: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('none'), f.PASSIVE), 'channel.close');
  client.send(f.headerWith(1, 5, 0));
  await client.closedWith();
};
export const secondOpenOnAChannelJustClosed: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('none'), f.PASSIVE), 'channel.close');
  client.send(f.channelOpen(1));
  await client.quiet(run.quietMs);
  await client.alive();
};
export const crossingCloses: Case = async run => {
  const client = await run.client();
  client.send(f.declare(1, run.name('none'), f.PASSIVE), f.channelClose(1));
  await client.wait('channel.close');
  await client.wait('channel.close-ok');
  client.send(f.channelCloseOk(1));
  await client.open(1);
};
export const crossingClosesWithoutAnAnswer: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('none'), f.PASSIVE), 'channel.close');
  await client.call(f.channelClose(1), 'channel.close-ok');
  await client.call(f.channelClose(1), 'channel.close-ok');
  client.send(f.channelCloseOk(1));
  await client.open(1);
};
export const channelErrorLeavesOthersAlone: Case = async run => {
  const client = await run.client();
  await client.open(2);
  const queue = run.name('q');
  await client.call(f.declare(2, queue), 'queue.declare-ok');
  await client.call(f.consume(2, queue, 'tag', f.NO_ACK), 'basic.consume-ok');
  client.send(f.publish(1, 'x', 'body', { exchange: run.name('none') }));
  await client.wait('channel.close', 1);
  client.send(f.channelCloseOk(1), f.publish(2, queue, 'goes on'));
  await client.wait('message', 2);
};
export const closeWithACodeAndText = offence(() => [f.channelClose(1, 541, 'the client failed')]);
export const connectionClose: Case = async run => {
  const client = await run.client();
  client.send(f.connectionClose(200, 'bye'));
  await client.wait('connection.close-ok');
};
export const connectionCloseWithOpenWork: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, 'one'), f.publish(1, queue, Buffer.alloc(300_000)), f.connectionClose());
  await client.wait('connection.close-ok');
  const other = await run.client({ label: 'other' });
  await other.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
};
export const framesAfterConnectionClose: Case = async run => {
  const client = await run.client();
  client.send(f.connectionClose(), f.qos(1, 1), f.publish(1, 'x', 'late'), f.rawFrame(1, 0, Buffer.alloc(0)));
  await client.wait('connection.close-ok');
};
/** Hanging up is the client's part: the broker waits for it. */
export const socketAfterCloseOk: Case = async run => {
  const client = await run.client();
  await client.call(f.connectionClose(), 'connection.close-ok');
  await client.over(1);
};
export const connectionCloseTwice: Case = async run => {
  const client = await run.client();
  client.send(f.connectionClose(), f.connectionClose());
  await client.wait('connection.close-ok');
};
export const connectionCloseCrossesTheBrokers: Case = async run => {
  const client = await run.client();
  await client.call(f.channelOpen(1), 'connection.close');
  await client.call(f.connectionClose(), 'connection.close-ok');
  client.send(f.connectionCloseOk());
  await client.over();
};
export const connectionCloseOkThatNobodyAskedFor = offence(() => [f.connectionCloseOk()]);
export const startOkAgain = offence(() => [
  f.method(0, 10, 11, w().long(0).shortstr('PLAIN').longstr('\0guest\0guest').shortstr('en_US').take()),
]);
export const secureOkAgain = offence(() => [f.method(0, 10, 21, w().longstr('x').take())]);
export const tuneOkAgain = offence(() => [f.method(0, 10, 31, w().short(0).long(0).short(0).take())]);
export const connectionOpenTwice = offence(() => [
  f.method(0, 10, 40, w().shortstr('/').shortstr('').octet(0).take()),
]);
export const blockedFromAClient = offence(() => [f.method(0, 10, 60, w().shortstr('x').take())]);
export const startFromAClient = offence(() => [
  f.method(0, 10, 10, w().octet(0).octet(9).long(0).longstr('').longstr('').take()),
]);
export const openOkFromAClient = offence(() => [f.method(0, 10, 41, w().shortstr('').take())]);
export const updateSecretOkFromAClient = offence(() => [f.method(0, 10, 71)]);
export const connectionCloseOnAChannel = offence(() => [
  f.method(1, 10, 50, w().short(200).shortstr('').short(0).short(0).take()),
]);
export const connectionCloseOkOnAChannel = offence(() => [f.method(1, 10, 51)]);
export const connectionOpenOnAChannel = offence(() => [
  f.method(1, 10, 40, w().shortstr('/').shortstr('').octet(0).take()),
]);
export const startOkOnAChannel = offence(() => [
  f.method(1, 10, 11, w().long(0).shortstr('PLAIN').longstr('x').shortstr('en_US').take()),
]);
export const updateSecretOnAChannel = offence(() => [
  f.method(1, 10, 70, w().longstr('guest').shortstr('why').take()),
]);
export const connectionMethodOnAChannelNeverOpened = offence(() => [
  f.method(8, 10, 50, w().short(200).shortstr('').short(0).short(0).take()),
]);
export const channelOpenOnChannel0 = offence(() => [f.channelOpen(0)]);
export const channelCloseOnChannel0 = offence(() => [f.channelClose(0)]);
export const declareOnChannel0 = offence(run => [f.declare(0, run.name('q'))]);
export const publishOnChannel0 = offence(() => [f.publish(0, 'x', 'body')]);
export const headerOnChannel0 = offence(() => [f.headerWith(0, 0, 0)]);
export const bodyOnChannel0 = offence(() => [f.bodyFrame(0, Buffer.from('x'))]);
export const updateSecret: Case = async run => {
  const client = await run.client();
  client.send(f.method(0, 10, 70, w().longstr('guest').shortstr('rotation').take()));
  await client.wait('connection.update-secret-ok|connection.close');
  await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
};
export const updateSecretWithoutAChannel: Case = async run => {
  const client = await run.client({ channel: 0 });
  client.send(f.method(0, 10, 70, w().longstr('guest').shortstr('').take()));
  await client.wait('connection.update-secret-ok|connection.close');
};
