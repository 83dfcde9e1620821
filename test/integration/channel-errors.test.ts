/** The broker closes a channel for what was sent on it before: the offender hears of it there, and everything else goes on. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { fixture, queueName } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';
import { closeOf, RawClient } from '../support/raw-client.ts';

const SIZE = 300_000;
const BODY = Buffer.alloc(SIZE, 'x');
const FRAME = 100_000;

/** What makes the broker close channel 1 a moment later. */
const ERRORS: Record<string, [bytes: Buffer, code: number]> = {
  'a publish to an exchange that is not there': [f.publish(1, 'x', 'lost', { exchange: 'nowhere' }), 404],
  'an ack of a delivery that never was': [f.ack(1, 99), 406],
};
/** How much of the next message is sent before the client hears of it. */
const BEGINNINGS: Record<string, (queue: string) => Buffer> = {
  'after its header': queue => Buffer.concat([f.publishMethod(1, queue), f.headerWith(1, SIZE, 0)]),
  'in the middle of its body': queue =>
    Buffer.concat([
      f.publishMethod(1, queue),
      f.headerWith(1, SIZE, 0),
      f.bodyFrame(1, BODY.subarray(0, FRAME)),
    ]),
};

describe('A channel that the broker closes while its next message is on its way', () => {
  const to = fixture();
  const clients: RawClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  const start = async (): Promise<RawClient> => {
    const client = await RawClient.start(to.port);
    clients.push(client);
    await client.open(1);
    return client;
  };
  /** A client that consumes on channel 2, so that it has an upstream to itself, and publishes on channel 1. */
  const consumer = async (queue: string): Promise<RawClient> => {
    const client = await start();
    await client.open(2);
    await client.ask(f.declare(2, queue), 'queue.declare-ok');
    await client.ask(f.consume(2, queue, 'tag'), 'basic.consume-ok');
    return client;
  };
  /** The channel is closed with this code, and nothing else is said. */
  const closes = async (client: RawClient, code: number): Promise<void> => {
    const frame = await client.next(() => true);
    expect(frame?.name).to.equal('channel.close');
    expect(closeOf(frame!).code).to.equal(code);
  };

  for (const [why, [error, code]] of Object.entries(ERRORS))
    for (const [when, begin] of Object.entries(BEGINNINGS))
      it(`${when} is closed for ${why} with ${code}; the other channels of the client go on`, async () => {
        const queue = queueName('consumed');
        const client = await consumer(queue);
        const begun = begin(queue);
        client.send(error, begun);
        await closes(client, code);
        for (let at = begun.length > FRAME ? FRAME : 0; at < SIZE; at += FRAME)
          client.send(f.bodyFrame(1, BODY.subarray(at, at + FRAME)));
        client.send(f.channelCloseOk(1));
        await client.open(1);
        client.send(f.publish(1, queue, 'after it'));
        await client.answered('basic.deliver');
        expect((await client.answered('body')).payload.toString()).to.equal('after it');
        client.send(f.ack(2, 1));
        await client.ask(f.remove(2, queue), 'queue.delete-ok');
      });

  it('and whose client then dies leaves nothing behind: its consumer is gone, those that come later notice nothing', async () => {
    const queue = queueName('consumed');
    const known = to.broker.log.length;
    const client = await consumer(queue);
    client.send(
      ERRORS['a publish to an exchange that is not there'][0],
      BEGINNINGS['after its header'](queue),
    );
    await closes(client, 404);
    client.destroy();
    const later = await start();
    await until('the consumer to be gone', async () => {
      const { payload } = await later.ask(f.declare(1, queue), 'queue.declare-ok');
      return payload.readUInt32BE(9 + payload[4]) === 0;
    });
    for (let n = 1; n <= 3; n++) {
      const next = await consumer(queue);
      next.send(f.publish(1, queue, `${n}`));
      expect((await next.answered('body')).payload.toString()).to.equal(`${n}`);
      next.send(f.ack(2, 1));
      await next.ask(f.connectionClose(), 'connection.close-ok');
    }
    await later.ask(f.remove(1, queue), 'queue.delete-ok');
    await to.broker.ctl('status'); // by now its log is written
    expect(to.broker.log.slice(known)).not.to.include('unexpected_frame');
  });
});
