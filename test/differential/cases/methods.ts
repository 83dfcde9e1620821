/** Methods that a client may not send, that RabbitMQ does not do, or that it answers with an error. */
import * as f from '../frames.ts';
import { type Case, offence } from '../run.ts';

const { w } = f;

export const unknownClass = offence(() => [f.method(1, 99, 10)]);
export const unknownMethod = offence(() => [f.method(1, 60, 99)]);
export const unknownClassOnChannel0 = offence(() => [f.method(0, 99, 10)]);
export const unknownMethodOnChannel0 = offence(() => [f.method(0, 10, 99)]);
export const unknownMethodOnAChannelNeverOpened = offence(() => [f.method(9, 60, 99)]);
export const deliverFromAClient = offence(() => [
  f.method(1, 60, 60, w().shortstr('t').longlong(1n).octet(0).shortstr('').shortstr('').take()),
  f.headerWith(1, 0, 0),
]);
export const deliverFromAClientWithoutContent = offence(() => [
  f.method(1, 60, 60, w().shortstr('t').longlong(1n).octet(0).shortstr('').shortstr('').take()),
  f.channelFlow(1, true),
]);
export const returnFromAClient = offence(() => [
  f.method(1, 60, 50, w().short(312).shortstr('').shortstr('').shortstr('').take()),
  f.headerWith(1, 1, 0),
  f.bodyFrame(1, Buffer.from('x')),
]);
export const getOkFromAClient = offence(() => [
  f.method(1, 60, 71, w().longlong(1n).octet(0).shortstr('').shortstr('').long(0).take()),
  f.headerWith(1, 0, 0),
]);
export const getEmptyFromAClient = offence(() => [f.method(1, 60, 72, w().shortstr('').take())]);
export const declareOkFromAClient = offence(() => [
  f.method(1, 50, 11, w().shortstr('x').long(0).long(0).take()),
]);
export const declareOkFromAClientCutOff = offence(() => [f.method(1, 50, 11, w().shortstr('x').take())]);
export const bindOkFromAClient = offence(() => [f.method(1, 50, 21)]);
export const unbindOkFromAClient = offence(() => [f.method(1, 50, 51)]);
export const purgeOkFromAClient = offence(() => [f.method(1, 50, 31, w().long(0).take())]);
export const deleteOkFromAClient = offence(() => [f.method(1, 50, 41, w().long(0).take())]);
export const exchangeDeclareOkFromAClient = offence(() => [f.method(1, 40, 11)]);
export const exchangeDeleteOkFromAClient = offence(() => [f.method(1, 40, 21)]);
export const exchangeBindOkFromAClient = offence(() => [f.method(1, 40, 31)]);
export const exchangeUnbindOkFromAClient = offence(() => [f.method(1, 40, 51)]);
export const qosOkFromAClient = offence(() => [f.method(1, 60, 11)]);
export const consumeOkFromAClient = offence(() => [f.method(1, 60, 21, w().shortstr('t').take())]);
export const cancelOkFromAClient = offence(() => [f.method(1, 60, 31, w().shortstr('t').take())]);
export const recoverOkFromAClient = offence(() => [f.method(1, 60, 111)]);
export const channelOpenOkFromAClient = offence(() => [f.method(1, 20, 11, w().long(0).take())]);
export const flowOkFromAClient = offence(() => [
  f.method(1, 20, 21, Buffer.from([1])),
  f.channelFlow(1, true),
]);
export const confirmSelectOkFromAClient = offence(() => [f.method(1, 85, 11)]);
export const txSelectOkFromAClient = offence(() => [f.method(1, 90, 11)]);
export const txCommitOkFromAClient = offence(() => [f.method(1, 90, 21)]);
export const accessRequestOkFromAClient = offence(() => [f.method(1, 30, 11, w().short(1).take())]);
export const accessRequest = offence(() => [f.method(1, 30, 10, w().shortstr('/data').octet(0).take())]);
export const basicCredit = offence(() => [
  f.method(1, 60, 200, w().shortstr('t').longlong(1n).octet(0).take()),
]);
export const basicCreditOfTheShortForm = offence(() => [
  f.method(1, 60, 200, w().shortstr('t').long(1).octet(0).take()),
]);
export const basicCreditOk = offence(() => [f.method(1, 60, 201, w().long(1).take())]);
export const basicCreditDrained = offence(() => [f.method(1, 60, 202, w().shortstr('t').long(1).take())]);

export const immediate = offence(() => [f.publish(1, 'x', 'body', { flags: f.IMMEDIATE })]);
export const immediateAndMandatory = offence(() => [f.publish(1, 'x', '', { flags: 3 })]);
export const immediateToAnExchangeThatIsNotThere = offence(run => [
  f.publish(1, 'x', '', { flags: f.IMMEDIATE, exchange: run.name('none') }),
]);
export const prefetchSize = offence(() => [f.qos(1, 0, false, 100)]);
export const prefetchSizeGlobal = offence(() => [f.qos(1, 5, true, 0xffffffff)]);
export const flowFalse = offence(() => [f.channelFlow(1, false)]);
export const flowTrue = offence(() => [f.channelFlow(1, true)]);
export const flowWithUndefinedBits = offence(() => [
  f.method(1, 20, 20, Buffer.from([0xfe])),
  f.method(1, 20, 20, Buffer.from([0xff])),
]);
export const recoverWithoutRequeue = offence(() => [f.recover(1, false)]);
export const recoverAsyncWithoutRequeue = offence(() => [f.method(1, 60, 100, Buffer.from([0]))]);
export const recoverAsync = offence(() => [f.method(1, 60, 100, Buffer.from([1])), f.channelFlow(1, true)]);
export const recoverNothing = offence(() => [f.recover(1)]);
export const consumerTagTwice = offence(run => [
  f.declare(1, run.name('q')),
  f.consume(1, run.name('q'), 't'),
  f.consume(1, run.name('q'), 't'),
]);
export const consumerTagTwiceWithoutWaiting = offence(run => [
  f.declare(1, run.name('q')),
  f.consume(1, run.name('q'), 't', f.CONSUME_NO_WAIT),
  f.consume(1, run.name('q'), 't', f.CONSUME_NO_WAIT),
]);
export const consumerTagOnTwoChannels: Case = async run => {
  const client = await run.client();
  await client.open(2);
  await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
  await client.call(f.consume(1, run.name('q'), 't'), 'basic.consume-ok');
  await client.call(f.consume(2, run.name('q'), 't'), 'basic.consume-ok');
};
export const consumerTagUsedAgainAfterCancel = offence(run => [
  f.declare(1, run.name('q')),
  f.consume(1, run.name('q'), 't'),
  f.cancel(1, 't'),
  f.consume(1, run.name('q'), 't'),
]);
export const cancelOfAnUnknownConsumer = offence(() => [f.cancel(1, 'nobody')]);
export const cancelOfAnUnknownConsumerWithoutWaiting = offence(() => [
  f.cancel(1, 'nobody', true),
  f.channelFlow(1, true),
]);

export const unknownExchangeType = offence(run => [f.declareExchange(1, run.name('x'), 'x-nonsense-type')]);
export const invalidExchangeType = offence(run => [f.declareExchange(1, run.name('x'), 'true')]);
export const emptyExchangeType = offence(run => [f.declareExchange(1, run.name('x'), '')]);
export const unknownExchangeTypePassively = offence(run => [
  f.declareExchange(1, run.name('x'), 'x-nonsense-type', f.PASSIVE),
]);
export const unknownExchangeTypeOfOneThatIsThere = offence(() => [
  f.declareExchange(1, 'amq.direct', 'x-nonsense-type', f.DURABLE),
]);
export const exchangeOfAReservedName = offence(() => [f.declareExchange(1, 'amq.mine', 'direct')]);
export const queueOfAReservedName = offence(() => [f.declare(1, 'amq.mine')]);
export const queueOfAReservedNamePassively = offence(() => [f.declare(1, 'amq.mine', f.PASSIVE)]);
export const defaultExchangeDeclared = offence(() => [f.declareExchange(1, '', 'direct', f.DURABLE)]);
export const defaultExchangeDeleted = offence(() => [f.removeExchange(1, '')]);
export const systemExchangeDeleted = offence(() => [f.removeExchange(1, 'amq.direct')]);
export const exchangeWithAnotherType = offence(() => [
  f.declareExchange(1, 'amq.direct', 'fanout', f.DURABLE),
]);
export const exchangeThatIsNotThere = offence(run => [
  f.declareExchange(1, run.name('x'), 'direct', f.PASSIVE),
]);
export const exchangeWithABadAlternate = offence(run => [
  f.declareExchange(1, run.name('x'), 'direct', 0, f.table(f.int('alternate-exchange', 1))),
]);
export const publishToAnInternalExchange = offence(run => [
  f.declareExchange(1, run.name('x'), 'direct', 8),
  f.publish(1, 'x', '', { exchange: run.name('x') }),
]);
export const publishToAnExchangeThatIsNotThere = offence(run => [
  f.publish(1, 'x', 'body', { exchange: run.name('none') }),
]);
export const bindToAnExchangeThatIsNotThere = offence(run => [
  f.declare(1, run.name('q')),
  f.bind(1, run.name('q'), run.name('none')),
]);
export const bindOfAQueueThatIsNotThere = offence(run => [f.bind(1, run.name('q'), 'amq.direct')]);
export const bindToTheDefaultExchange = offence(run => [
  f.declare(1, run.name('q')),
  f.bind(1, run.name('q'), ''),
]);
export const unbindOfNothing = offence(run => [
  f.declare(1, run.name('q')),
  f.unbind(1, run.name('q'), 'amq.direct', 'none'),
]);
export const bindOfHeadersWithABadMatch = offence(run => [
  f.declare(1, run.name('q')),
  f.method(
    1,
    50,
    20,
    w()
      .short(0)
      .shortstr(run.name('q'))
      .shortstr('amq.headers')
      .shortstr('')
      .octet(0)
      .bytes(f.table(f.text('x-match', 'some')))
      .take(),
  ),
]);
export const queueThatIsNotThere = offence(run => [f.declare(1, run.name('q'), f.PASSIVE)]);
export const queueWithOtherProperties = offence(run => [
  f.declare(1, run.name('q')),
  f.declare(1, run.name('q'), f.DURABLE),
]);
export const queueWithOtherArguments = offence(run => [
  f.declare(1, run.name('q')),
  f.declare(1, run.name('q'), 0, f.table(f.int('x-expires', 9))),
]);
export const queueWithABadArgument = offence(run => [
  f.declare(1, run.name('q'), 0, f.table(f.text('x-expires', 'a'))),
]);
export const queueWithANegativeArgument = offence(run => [
  f.declare(1, run.name('q'), 0, f.table(f.int('x-message-ttl', -1))),
]);
export const queueWithABadPriority = offence(run => [
  f.declare(1, run.name('q'), 0, f.table(f.int('x-max-priority', 300))),
]);
export const queueWithABadType = offence(run => [
  f.declare(1, run.name('q'), f.DURABLE, f.table(f.text('x-queue-type', 'nonsense'))),
]);
export const queueWithATypeThatIsNoText = offence(run => [
  f.declare(1, run.name('q'), f.DURABLE, f.table(f.int('x-queue-type', 1))),
]);
export const queueWithABadOverflow = offence(run => [
  f.declare(1, run.name('q'), 0, f.table(f.text('x-overflow', 'spill'))),
]);
export const queueWithABadDeadLetterExchange = offence(run => [
  f.declare(1, run.name('q'), 0, f.table(f.int('x-dead-letter-exchange', 1))),
]);
export const queueWithADeadLetterKeyOnly = offence(run => [
  f.declare(1, run.name('q'), 0, f.table(f.text('x-dead-letter-routing-key', 'k'))),
]);
export const queueWithALineFeedInItsName = offence(run => [
  f.declare(1, `${run.name('q')}\r\n`),
  f.declare(1, run.name('q'), f.PASSIVE),
]);
export const queueNameOf255Bytes = offence(run => [f.declare(1, run.name('q'.repeat(245)))]);
export const undefinedBitsOfDeclare = offence(run => [f.declare(1, run.name('q'), 0xe0)]);
export const ticketsAreIgnored = offence(run => [
  f.method(1, 50, 10, w().short(4711).shortstr(run.name('q')).octet(0).long(0).take()),
]);
export const quorumQueueThatIsNotDurable = offence(run => [
  f.declare(1, run.name('q'), 0, f.table(f.text('x-queue-type', 'quorum'))),
]);
export const quorumQueueWithoutAName = offence(() => [
  f.declare(1, '', f.DURABLE, f.table(f.text('x-queue-type', 'quorum'))),
]);
export const deleteOfAQueueThatIsNotThere = offence(run => [f.remove(1, run.name('q'))]);
export const deleteOfAQueueInUse = offence(run => [
  f.declare(1, run.name('q')),
  f.consume(1, run.name('q'), 't'),
  f.remove(1, run.name('q'), 1),
]);
export const deleteOfAQueueThatIsNotEmpty = offence(run => [
  f.declare(1, run.name('q')),
  f.publish(1, run.name('q'), 'x'),
  f.remove(1, run.name('q'), 2),
]);
export const deleteOfAnExchangeInUse = offence(run => [
  f.declareExchange(1, run.name('x'), 'fanout'),
  f.declare(1, run.name('q')),
  f.bind(1, run.name('q'), run.name('x')),
  f.removeExchange(1, run.name('x'), 1),
]);
export const purgeOfAQueueThatIsNotThere = offence(run => [f.purge(1, run.name('q'))]);
export const getFromAQueueThatIsNotThere = offence(run => [f.get(1, run.name('q'))]);
export const consumeFromAQueueThatIsNotThere = offence(run => [f.consume(1, run.name('q'), 't')]);
export const consumeFromAQueueThatIsNotThereWithoutWaiting = offence(run => [
  f.consume(1, run.name('q'), 't', f.CONSUME_NO_WAIT),
]);
export const getOfTheDefaultQueueWithoutOne = offence(() => [f.get(1, '')]);
export const consumeOfTheDefaultQueueWithoutOne = offence(() => [f.consume(1, '', 't')]);
export const bindOfTheDefaultQueueWithoutOne = offence(() => [f.bind(1, '', 'amq.direct')]);
export const unbindOfTheDefaultQueueWithoutOne = offence(() => [f.unbind(1, '', 'amq.direct')]);
export const purgeOfTheDefaultQueueWithoutOne = offence(() => [f.purge(1, '')]);
export const deleteOfTheDefaultQueueWithoutOne = offence(() => [f.remove(1, '')]);
export const ackOfAnUnknownTag = offence(() => [f.ack(1, 99)]);
export const ackOfTagZero = offence(() => [f.ack(1, 0)]);
export const ackOfEverythingOfNothing = offence(() => [f.ack(1, 0, true), f.channelFlow(1, true)]);
export const rejectOfAnUnknownTag = offence(() => [f.reject(1, 99, true)]);
export const nackOfAnUnknownTag = offence(() => [f.nack(1, 99, 3)]);
export const commitWithoutATransaction = offence(() => [f.txCommit(1)]);
export const rollbackWithoutATransaction = offence(() => [f.txRollback(1)]);
export const confirmsInATransaction = offence(() => [f.txSelect(1), f.confirmSelect(1)]);
export const transactionWithConfirms = offence(() => [f.confirmSelect(1), f.txSelect(1)]);
export const confirmSelectTwice = offence(() => [f.confirmSelect(1), f.confirmSelect(1)]);
export const declareWithoutWaiting = offence(run => [
  f.declare(1, run.name('q'), f.NO_WAIT),
  f.declare(1, run.name('q'), f.PASSIVE),
]);
export const everythingWithoutWaiting = offence(run => [
  f.declareExchange(1, run.name('x'), 'fanout', 16),
  f.declare(1, run.name('q'), f.NO_WAIT),
  f.bind(1, run.name('q'), run.name('x'), '', 1),
  f.purge(1, run.name('q'), 1),
  f.confirmSelect(1, true),
  f.publish(1, '', 'x', { exchange: run.name('x') }),
  f.removeExchange(1, run.name('x'), 2),
  f.get(1, run.name('q')),
  f.remove(1, run.name('q'), 4),
  f.channelFlow(1, true),
]);

/** What depends on the type of the queue: a stream, or a quorum queue. */
const STREAM = f.table(f.text('x-queue-type', 'stream'));
const QUORUM = f.table(f.text('x-queue-type', 'quorum'));
const ofQueue =
  (args: Buffer, what: (channel: number, queue: string) => Buffer[]): Case =>
  async run => {
    const client = await run.client();
    const queue = run.name('q');
    await client.call(f.declare(1, queue, f.DURABLE, args), 'queue.declare-ok');
    const other = await run.client({ label: 'other' });
    other.send(...what(1, queue));
    await other.quiet(run.quietMs);
    await other.alive();
    await client.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
  };
export const getFromAStream = ofQueue(STREAM, (channel, queue) => [f.get(channel, queue)]);
export const getFromAStreamWithAck = ofQueue(STREAM, (channel, queue) => [f.get(channel, queue, false)]);
export const purgeOfAStream = ofQueue(STREAM, (channel, queue) => [f.purge(channel, queue)]);
export const deleteOfAnUnusedStream = ofQueue(STREAM, (channel, queue) => [f.remove(channel, queue, 1)]);
export const deleteOfAnEmptyStream = ofQueue(STREAM, (channel, queue) => [f.remove(channel, queue, 2)]);
export const consumeFromAStreamWithoutPrefetch = ofQueue(STREAM, (channel, queue) => [
  f.consume(channel, queue, 't'),
]);
export const consumeFromAStreamWithoutAck = ofQueue(STREAM, (channel, queue) => [
  f.qos(channel, 1),
  f.consume(channel, queue, 't', f.NO_ACK),
]);
export const consumeFromAStreamAtABadOffset = ofQueue(STREAM, (channel, queue) => [
  f.qos(channel, 1),
  f.consume(channel, queue, 't', 0, f.table(f.text('x-stream-offset', 'middle'))),
]);
export const consumeFromAStreamUnderGlobalQos = ofQueue(STREAM, (channel, queue) => [
  f.qos(channel, 1, true),
  f.consume(channel, queue, 't'),
]);
export const consumeFromAQuorumQueueUnderGlobalQos = ofQueue(QUORUM, (channel, queue) => [
  f.qos(channel, 1, true),
  f.consume(channel, queue, 't'),
]);
export const deleteOfAnUnusedQuorumQueue = ofQueue(QUORUM, (channel, queue) => [f.remove(channel, queue, 1)]);
export const deleteOfAnEmptyQuorumQueue = ofQueue(QUORUM, (channel, queue) => [f.remove(channel, queue, 2)]);
export const getFromAQuorumQueue = ofQueue(QUORUM, (channel, queue) => [
  f.publish(channel, queue, 'x'),
  f.channelFlow(channel, true),
]);
