/** Consumers, qos, cancels, exclusive things, direct reply-to. */
import * as f from '../frames.ts';
import type { Case } from '../run.ts';

const { w } = f;

export const consumeAndAck: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  for (let n = 0; n < 10; n++) client.send(f.publish(1, queue, `${n}`));
  await client.call(f.consume(1, queue), 'basic.consume-ok');
  for (let n = 1; n <= 10; n++) await client.wait('message');
  client.send(f.ack(1, 10, true));
  await client.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
};
export const prefetch: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  for (let n = 0; n < 10; n++) client.send(f.publish(1, queue, `${n}`));
  await client.call(f.qos(1, 2), 'basic.qos-ok');
  await client.call(f.consume(1, queue, 't'), 'basic.consume-ok');
  await client.wait('message');
  await client.wait('message');
  await client.quiet(run.quietMs);
  client.note(1, '(two, and no more)');
  client.send(f.ack(1, 1));
  await client.wait('message');
};
export const prefetchIsForgottenWithTheChannel: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.qos(1, 1), 'basic.qos-ok');
  await client.call(f.channelClose(1), 'channel.close-ok');
  await client.open(1);
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  for (let n = 0; n < 5; n++) client.send(f.publish(1, queue, `${n}`));
  await client.call(f.consume(1, queue, 't'), 'basic.consume-ok');
  for (let n = 0; n < 5; n++) await client.wait('message');
};
export const globalPrefetch: Case = async run => {
  const client = await run.client();
  const [one, two] = [run.name('1'), run.name('2')];
  await client.call(f.declare(1, one), 'queue.declare-ok');
  await client.call(f.declare(1, two), 'queue.declare-ok');
  await client.call(f.qos(1, 3, true), 'basic.qos-ok');
  await client.call(f.consume(1, one, 'a'), 'basic.consume-ok');
  await client.call(f.consume(1, two, 'b'), 'basic.consume-ok');
  await client.open(2);
  for (let n = 0; n < 4; n++) {
    client.send(f.publish(2, n % 2 ? one : two, `${n}`));
    await client.call(f.channelFlow(2, true), 'channel.flow-ok');
    if (n < 3) await client.wait('message');
  }
  await client.quiet(run.quietMs);
  client.send(f.ack(1, 1));
  await client.wait('message');
};
export const cancelConsumer: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.consume(1, queue, 't', f.NO_ACK), 'basic.consume-ok');
  client.send(f.publish(1, queue, 'one'));
  await client.wait('message');
  await client.call(f.cancel(1, 't'), 'basic.cancel-ok');
  client.send(f.publish(1, queue, 'two'));
  await client.call(f.get(1, queue), 'basic.get-ok');
};
const queueDeleted =
  (capabilities: Record<string, boolean>): Case =>
  async run => {
    const client = await run.client({ capabilities });
    const queue = run.name('q');
    await client.call(f.declare(1, queue), 'queue.declare-ok');
    await client.call(f.consume(1, queue, 't', f.NO_ACK), 'basic.consume-ok');
    const other = await run.client({ label: 'other' });
    await other.call(f.remove(1, queue), 'queue.delete-ok');
    await client.quiet(run.quietMs);
    client.send(f.channelFlow(1, true));
    await client.wait('channel.flow-ok');
  };
export const cancelNoticeToAClientThatAnnouncedIt = queueDeleted({ consumer_cancel_notify: true });
export const noCancelNoticeToAClientThatDidNot = queueDeleted({});
export const noCancelNoticeToAClientThatDeclined = queueDeleted({ consumer_cancel_notify: false });
export const exclusiveConsumer: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.consume(1, queue, 't', f.EXCLUSIVE_CONSUMER), 'basic.consume-ok');
  const other = await run.client({ label: 'other' });
  await other.call(f.consume(1, queue, 't'), 'channel.close');
  await client.open(2);
  await client.call(f.consume(2, queue, 't'), 'channel.close');
};
export const exclusiveConsumerOfAQueueInUse: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.consume(1, queue, 't'), 'basic.consume-ok');
  const other = await run.client({ label: 'other' });
  await other.call(f.consume(1, queue, 'u', f.EXCLUSIVE_CONSUMER), 'channel.close');
};
/** Exclusive queues are their owner's: on all of its channels, for nobody else, for as long as it is there. */
export const exclusiveQueue: Case = async run => {
  const owner = await run.client({ label: 'owner' });
  const queue = run.name('q');
  await owner.call(f.declare(1, queue, f.EXCLUSIVE), 'queue.declare-ok');
  await owner.open(2);
  await owner.call(f.declare(2, queue, f.PASSIVE), 'queue.declare-ok');
  owner.send(f.publish(2, queue, 'mine'));
  await owner.call(f.get(2, queue), 'message');
  const other = await run.client({ label: 'other' });
  const attempts = [
    f.declare(1, queue, f.PASSIVE),
    f.declare(1, queue, f.EXCLUSIVE),
    f.declare(1, queue),
    f.get(1, queue),
    f.consume(1, queue, 't'),
    f.bind(1, queue, 'amq.direct'),
    f.purge(1, queue),
    f.remove(1, queue),
  ];
  for (const attempt of attempts) {
    await other.call(attempt, 'channel.close');
    other.send(f.channelCloseOk(1));
    await other.open(1);
  }
  await owner.call(f.connectionClose(), 'connection.close-ok');
  await other.call(f.declare(1, queue, f.PASSIVE), 'channel.close');
};
export const exclusiveQueueOfAnOwnerWhoOpenedChannelsBefore: Case = async run => {
  const owner = await run.client({ label: 'owner' });
  const queue = run.name('q');
  await owner.open(2);
  await owner.call(f.declare(2, run.name('plain')), 'queue.declare-ok');
  await owner.call(f.confirmSelect(2), 'confirm.select-ok');
  owner.send(f.publish(2, run.name('plain'), '1'));
  await owner.confirmed(2, 1);
  await owner.call(f.declare(1, queue, f.EXCLUSIVE), 'queue.declare-ok');
  await owner.call(f.declare(2, queue, f.PASSIVE), 'queue.declare-ok');
  owner.send(f.publish(2, queue, '2'));
  await owner.confirmed(2, 2);
  await owner.call(f.get(1, queue), 'message');
};
export const exclusiveQueueOfAnOwnerWhoDies: Case = async run => {
  const owner = await run.client({ label: 'owner' });
  const queue = run.name('q');
  await owner.call(f.declare(1, queue, f.EXCLUSIVE), 'queue.declare-ok');
  const other = await run.client({ label: 'other' });
  owner.hangUp();
  for (let tries = 0; tries < 50; tries++) {
    const seen = await other.call(f.declare(1, queue, f.PASSIVE), 'channel.close');
    other.send(f.channelCloseOk(1));
    await other.open(1);
    if (seen.args[0] === 404) break;
    await new Promise(resolve => setTimeout(resolve, 20));
    other.forget();
  }
  other.forget();
  await other.call(f.declare(1, queue, f.PASSIVE), 'channel.close');
};
/** The broker answers connection.close when the queues are gone: nobody finds one locked after that. */
export const exclusiveQueuesAreGoneAtCloseOk: Case = async run => {
  const owner = await run.client({ label: 'owner' });
  const queues = Array.from({ length: 100 }, (_, i) => run.name(`q${i + 100}`));
  for (const queue of queues) await owner.call(f.declare(1, queue, f.EXCLUSIVE), 'queue.declare-ok');
  const other = await run.client({ label: 'other' });
  const last = queues.map((_, i) => i + 2).slice(-20);
  for (const channel of last) {
    await other.open(channel);
    await other.call(f.declare(channel, run.name('plain')), 'queue.declare-ok');
  }
  await owner.call(f.connectionClose(), 'connection.close-ok');
  for (const channel of last) {
    await other.call(f.declare(channel, queues[channel - 2], f.PASSIVE), 'channel.close');
  }
};
export const exclusiveQueueOutlivesItsChannel: Case = async run => {
  const owner = await run.client({ label: 'owner' });
  const queue = run.name('q');
  await owner.call(f.declare(1, queue, f.EXCLUSIVE), 'queue.declare-ok');
  await owner.call(f.channelClose(1), 'channel.close-ok');
  await owner.open(1);
  await owner.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
};
export const exclusiveQueueWithoutWaiting: Case = async run => {
  const owner = await run.client({ label: 'owner' });
  const queue = run.name('q');
  owner.send(f.declare(1, queue, f.EXCLUSIVE | f.NO_WAIT), f.publish(1, queue, 'mine'), f.get(1, queue));
  await owner.wait('message');
  const other = await run.client({ label: 'other' });
  await other.call(f.declare(1, queue, f.PASSIVE), 'channel.close');
};
export const serverNamedQueue: Case = async run => {
  const client = await run.client();
  const first = await client.call(f.declare(1, '', f.AUTO_DELETE), 'queue.declare-ok');
  const second = await client.call(f.declare(1, '', f.AUTO_DELETE), 'queue.declare-ok');
  client.note(1, first.args[0] === second.args[0] ? '(the same)' : '(two names)');
  for (const { args } of [first, second]) await client.call(f.remove(1, String(args[0])), 'queue.delete-ok');
};
export const autoDeleteQueue: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue, f.AUTO_DELETE), 'queue.declare-ok');
  await client.call(f.consume(1, queue, 't'), 'basic.consume-ok');
  await client.call(f.cancel(1, 't'), 'basic.cancel-ok');
  await client.quiet(run.quietMs);
  await client.call(f.declare(1, queue, f.PASSIVE), 'channel.close');
};
export const directReplyTo: Case = async run => {
  const server = await run.client({ label: 'server' });
  const queue = run.name('q');
  await server.call(f.declare(1, queue), 'queue.declare-ok');
  const client = await run.client();
  await client.call(f.consume(1, 'amq.rabbitmq.reply-to', '', f.NO_ACK), 'basic.consume-ok');
  client.send(
    f.publish(1, queue, 'question', { properties: [0x0200, w().shortstr('amq.rabbitmq.reply-to').take()] }),
  );
  await client.call(f.channelFlow(1, true), 'channel.flow-ok');
  await server.call(f.get(1, queue), 'message');
  server.send(f.publish(1, server.lastReplyTo, 'answer'));
  await client.wait('message');
};
export const directReplyToWithAck: Case = async run => {
  const client = await run.client();
  await client.call(f.consume(1, 'amq.rabbitmq.reply-to', ''), 'channel.close');
};
export const directReplyToTwice: Case = async run => {
  const client = await run.client();
  await client.call(f.consume(1, 'amq.rabbitmq.reply-to', 'a', f.NO_ACK), 'basic.consume-ok');
  await client.call(f.consume(1, 'amq.rabbitmq.reply-to', 'b', f.NO_ACK), 'channel.close');
};
export const consumerPriorityOfABadType: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
  client.send(f.consume(1, run.name('q'), 't', 0, f.table(f.text('x-priority', 'high'))));
  await client.wait('channel.close|connection.close|basic.consume-ok');
};
export const consumerOnAChannelThatCloses: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.consume(1, queue, 't'), 'basic.consume-ok');
  client.send(f.publish(1, queue, 'unacked'));
  await client.wait('message');
  await client.call(f.channelClose(1), 'channel.close-ok');
  await client.open(1);
  client.send(f.channelFlow(1, true));
  await client.wait('channel.flow-ok');
  await client.call(f.get(1, queue), 'message');
};
export const largeDeliveries: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.consume(1, queue, 't', f.NO_ACK), 'basic.consume-ok');
  for (const size of [0, 1, 131064, 131065, 1_000_000]) {
    client.send(f.publish(1, queue, Buffer.alloc(size, 'd')));
    await client.wait('message');
  }
};
/** Consumers of one client and publishers of another on queues of the same names as before. */
export const channelsAfterAConsumerAreClean: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.consume(1, queue, 't', f.NO_ACK), 'basic.consume-ok');
  await client.call(f.connectionClose(), 'connection.close-ok');
  const other = await run.client({ label: 'other' });
  await other.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
  other.send(f.publish(1, queue, 'stays'));
  await other.call(f.get(1, queue), 'message');
};
