/** Which methods the broker answers. */
import { expect } from 'chai';
import { isAnswered, METHODS } from '../../src/amqp/methods.ts';
import * as f from '../differential/frames.ts';

const answered = (frame: Buffer): boolean => isAnswered(METHODS.get(frame.readUInt32BE(7))!, frame, 11);

describe('An answer', () => {
  it('comes to what the sender waits for', () => {
    const frames = [
      f.declare(1, 'queue', f.DURABLE),
      f.declareExchange(1, 'exchange', 'topic', 8),
      f.bind(1, 'queue', 'exchange', 'key'),
      f.unbind(1, 'queue', 'exchange', 'key'),
      f.purge(1, 'queue'),
      f.remove(1, 'queue', 3),
      f.removeExchange(1, 'exchange', 1),
      f.consume(1, 'queue', 'tag', f.NO_LOCAL | f.NO_ACK | f.EXCLUSIVE_CONSUMER),
      f.cancel(1, 'tag'),
      f.confirmSelect(1),
      f.qos(1, 1),
      f.get(1, 'queue', true),
      f.txSelect(1),
    ];
    expect(frames.map(answered)).to.deep.equal(frames.map(() => true));
  });

  it('does not come to what says no-wait, nor to what is never answered', () => {
    const frames = [
      f.declare(1, 'queue', f.NO_WAIT),
      f.declareExchange(1, 'exchange', 'topic', 16),
      f.bind(1, 'queue', 'exchange', 'key', 1),
      f.purge(1, 'queue', 1),
      f.remove(1, 'queue', 4),
      f.removeExchange(1, 'exchange', 2),
      f.consume(1, 'queue', 'tag', f.CONSUME_NO_WAIT),
      f.cancel(1, 'tag', true),
      f.ack(1, 1, true),
      f.reject(1, 1, true),
      f.nack(1, 1, 1),
    ];
    expect(frames.map(answered)).to.deep.equal(frames.map(() => false));
  });
});
