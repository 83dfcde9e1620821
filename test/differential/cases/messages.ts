/** Messages there and back: publishing, returns, confirms, transactions, gets. */
import * as f from '../frames.ts';
import type { Case } from '../run.ts';

const { w } = f;

export const publishAndGet: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(
    f.publish(1, queue, 'one'),
    f.publish(1, queue, ''),
    f.publish(1, queue, Buffer.alloc(400_000, 'long')),
  );
  for (let n = 0; n < 4; n++) await client.call(f.get(1, queue), n < 3 ? 'message' : 'basic.get-empty');
};
export const allProperties: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  const properties = w()
    .shortstr('text/plain')
    .shortstr('utf-8')
    .bytes(f.table(f.text('a', 'b'), f.int('n', 7)))
    .octet(2)
    .octet(5)
    .shortstr('corr')
    .shortstr('reply')
    .shortstr('60000')
    .shortstr('id')
    .longlong(1_600_000_000n)
    .shortstr('type')
    .shortstr('guest')
    .shortstr('app')
    .take();
  client.send(f.publish(1, queue, 'body', { properties: [0xfff8, properties] }));
  await client.call(f.get(1, queue), 'message');
};
export const mandatoryWithoutARoute: Case = async run => {
  const client = await run.client();
  client.send(f.publish(1, run.name('none'), 'comes back', { flags: f.MANDATORY }));
  await client.wait('basic.return');
  await client.wait('message');
};
export const mandatoryWithARoute: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
  client.send(f.publish(1, run.name('q'), 'arrives', { flags: f.MANDATORY }));
  await client.call(f.channelFlow(1, true), 'channel.flow-ok');
};
export const returnsAndConfirms: Case = async run => {
  const client = await run.client();
  await client.call(f.confirmSelect(1), 'confirm.select-ok');
  for (let n = 0; n < 3; n++) client.send(f.publish(1, run.name('none'), `${n}`, { flags: f.MANDATORY }));
  for (let n = 0; n < 3; n++) await client.wait('message');
};
/** The one who published and left has no returns; the next on the channel must not get them. */
export const returnsToNobodyElse: Case = async run => {
  const first = await run.client({ label: 'first' });
  for (let n = 0; n < 50; n++) first.send(f.publish(1, run.name('none'), 'back', { flags: f.MANDATORY }));
  first.send(f.channelClose(1));
  await first.wait('channel.close-ok');
  first.forget();
  const second = await run.client({ label: 'second' });
  await second.call(f.declare(1, run.name('q')), 'queue.declare-ok');
};
export const returnsToNobodyWhenTheClientDies: Case = async run => {
  const first = await run.client({ label: 'first' });
  for (let n = 0; n < 50; n++) first.send(f.publish(1, run.name('none'), 'back', { flags: f.MANDATORY }));
  await first.wait('basic.return');
  first.forget();
  first.hangUp();
  const second = await run.client({ label: 'second' });
  await second.call(f.declare(1, run.name('q')), 'queue.declare-ok');
};
export const confirms: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.confirmSelect(1), 'confirm.select-ok');
  for (let n = 0; n < 100; n++) client.send(f.publish(1, queue, `${n}`));
  await client.confirmed(1, 100);
};
export const confirmsStartAt1OnEveryChannel: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  for (let round = 0; round < 3; round++) {
    client.send(f.publish(1, queue, 'unconfirmed'));
    await client.call(f.confirmSelect(1), 'confirm.select-ok');
    for (let n = 0; n < 5; n++) client.send(f.publish(1, queue, `${n}`));
    await client.confirmed(1, 5);
    await client.call(f.channelClose(1), 'channel.close-ok');
    client.forgetConfirms();
    await client.open(1);
  }
};
export const confirmsBeforeAnError: Case = async run => {
  const client = await run.client();
  await client.call(f.confirmSelect(1), 'confirm.select-ok');
  for (let n = 0; n < 10; n++) client.send(f.publish(1, run.name('none'), 'x'));
  await client.confirmed(1, 10);
  client.send(f.publish(1, 'x', 'body', { exchange: run.name('none') }));
  await client.wait('channel.close');
};
export const nackFromAFullQueue: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  const args = f.table(f.int('x-max-length', 1), f.text('x-overflow', 'reject-publish'));
  await client.call(f.declare(1, queue, 0, args), 'queue.declare-ok');
  await client.call(f.confirmSelect(1), 'confirm.select-ok');
  client.send(f.publish(1, queue, 'fits'));
  await client.confirmed(1, 1);
  client.send(f.publish(1, queue, 'does not'));
  await client.confirmed(1, 2);
};
export const transactionCommitted: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.txSelect(1), 'tx.select-ok');
  client.send(f.publish(1, queue, 'one'), f.publish(1, queue, 'two'));
  await client.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
  await client.call(f.txCommit(1), 'tx.commit-ok');
  await client.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
};
export const transactionRolledBack: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.txSelect(1), 'tx.select-ok');
  client.send(f.publish(1, queue, 'never'));
  await client.call(f.txRollback(1), 'tx.rollback-ok');
  await client.call(f.txCommit(1), 'tx.commit-ok');
  await client.call(f.get(1, queue), 'basic.get-empty');
};
export const transactionOfAClientThatLeaves: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.txSelect(1), 'tx.select-ok');
  client.send(f.publish(1, queue, 'never'), f.channelClose(1));
  await client.wait('channel.close-ok');
  await client.open(1);
  await client.call(f.get(1, queue), 'basic.get-empty');
  client.send(f.publish(1, queue, 'not in a transaction any more'));
  await client.call(f.get(1, queue), 'message');
};
export const acksInATransaction: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, 'one'));
  await client.call(f.txSelect(1), 'tx.select-ok');
  await client.call(f.get(1, queue, false), 'message');
  client.send(f.ack(1, 1));
  await client.call(f.txRollback(1), 'tx.rollback-ok');
  client.send(f.ack(1, 1));
  await client.call(f.txCommit(1), 'tx.commit-ok');
  await client.call(f.get(1, queue), 'basic.get-empty');
};
export const ackTwice: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, 'one'));
  await client.call(f.get(1, queue, false), 'message');
  client.send(f.ack(1, 1), f.ack(1, 1));
  await client.wait('channel.close');
};
export const ackOfAnotherChannelsTag: Case = async run => {
  const client = await run.client();
  await client.open(2);
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, 'one'));
  await client.call(f.get(1, queue, false), 'message');
  client.send(f.ack(2, 1));
  await client.wait('channel.close', 2);
  client.send(f.ack(1, 1));
  await client.call(f.channelFlow(1, true), 'channel.flow-ok');
};
/** What a client got and did not ack goes back to the queue when its channel is gone, politely or not. */
export const unackedGoBackWhenTheChannelCloses: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, 'one'));
  await client.call(f.get(1, queue, false), 'message');
  await client.call(f.channelClose(1), 'channel.close-ok');
  await client.open(1);
  await client.call(f.get(1, queue), 'message');
};
export const rejectNackAndRecover: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, 'one'), f.publish(1, queue, 'two'), f.publish(1, queue, 'three'));
  await client.call(f.get(1, queue, false), 'message');
  client.send(f.reject(1, 1, true));
  await client.call(f.get(1, queue, false), 'message');
  await client.call(f.get(1, queue, false), 'message');
  client.send(f.nack(1, 3, 3));
  await client.call(f.get(1, queue, false), 'message');
  await client.call(f.recover(1), 'basic.recover-ok');
  await client.call(f.get(1, queue, false), 'message');
  client.send(f.nack(1, 0, 1));
  await client.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
};
export const tagsGoOnAfterTheChannelWasIdle: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, 'one'), f.publish(1, queue, 'two'), f.publish(1, queue, 'three'));
  await client.call(f.get(1, queue), 'message');
  await client.call(f.get(1, queue, false), 'message');
  client.send(f.ack(1, 2));
  await client.call(f.get(1, queue), 'message');
};
export const lastDeclaredQueue: Case = async run => {
  const client = await run.client();
  await client.open(2);
  const one = await client.call(f.declare(1, '', f.EXCLUSIVE), 'queue.declare-ok');
  await client.call(f.bind(1, '', 'amq.direct', ''), 'queue.bind-ok');
  client.send(f.publish(1, String(one.args[0]), 'hello', { exchange: 'amq.direct' }));
  await client.call(f.get(1, ''), 'message');
  await client.call(f.get(2, ''), 'channel.close');
  await client.call(f.purge(1, ''), 'queue.purge-ok');
  await client.call(f.unbind(1, '', 'amq.direct', ''), 'queue.unbind-ok');
  await client.call(f.remove(1, ''), 'queue.delete-ok');
};
export const lastDeclaredQueueThatIsShared: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
  client.send(f.publish(1, run.name('q'), 'hello'));
  await client.call(f.consume(1, '', 't', f.NO_ACK), 'basic.consume-ok');
  await client.wait('message');
};
export const lastDeclaredQueueIsForgottenWithTheChannel: Case = async run => {
  const client = await run.client();
  await client.call(f.declare(1, run.name('q')), 'queue.declare-ok');
  await client.call(f.channelClose(1), 'channel.close-ok');
  await client.open(1);
  await client.call(f.get(1, ''), 'channel.close');
};
export const topicsAndFanout: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declareExchange(1, run.name('x'), 'topic', 4), 'exchange.declare-ok');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  await client.call(f.bind(1, queue, run.name('x'), 'a.*.c'), 'queue.bind-ok');
  client.send(
    f.publish(1, 'a.b.c', 'yes', { exchange: run.name('x') }),
    f.publish(1, 'a.b', 'no', { exchange: run.name('x') }),
  );
  await client.call(f.get(1, queue), 'message');
  await client.call(f.get(1, queue), 'basic.get-empty');
  await client.call(f.unbind(1, queue, run.name('x'), 'a.*.c'), 'queue.unbind-ok');
  await client.call(f.declareExchange(1, run.name('x'), 'topic', f.PASSIVE), 'channel.close');
};
export const manyChannels: Case = async run => {
  const client = await run.client();
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  for (let channel = 2; channel <= 300; channel++) await client.open(channel);
  for (let channel = 2; channel <= 300; channel++) client.send(f.publish(channel, queue, `${channel}`));
  for (let channel = 2; channel <= 300; channel++) {
    client.send(f.channelClose(channel));
    await client.wait('channel.close-ok', channel);
  }
  await client.call(f.declare(1, queue, f.PASSIVE), 'queue.declare-ok');
};
