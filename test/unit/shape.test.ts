/** Messages like the one before them: only what would have passed the checks is taken without them. */
import { expect } from 'chai';
import { MessageShape } from '../../src/client/shape.ts';
import { bodyFrame, header, publish } from '../support/raw-client.ts';

const MAX = 100_000;
const first = publish(7, 'a.key', Buffer.from('the first body'), 'exchange');

describe('The shape of a message', () => {
  const shape = MessageShape.of(first, 0, first.length, 7)!;
  const endOf = (buf: Buffer, at = 0, end = buf.length): number => shape.endOf(buf, at, end, MAX);

  it('is that of messages with other bodies, wherever they lie', () => {
    for (const size of [1, 13, 14, 255, 256, 65_536, MAX])
      for (const before of [0, 1, 2, 3, 50]) {
        const message = publish(7, 'a.key', Buffer.alloc(size, size), 'exchange');
        const buf = Buffer.concat([Buffer.alloc(before, 1), message, first]);
        expect(endOf(buf, before)).to.equal(before + message.length);
      }
  });

  it('is learned from frames that have another number already', () => {
    const renumbered = Buffer.from(first);
    shape.renumber(renumbered, 0, 300);
    expect(renumbered.equals(publish(300, 'a.key', Buffer.from('the first body'), 'exchange'))).to.equal(
      true,
    );
    expect(MessageShape.of(renumbered, 0, renumbered.length, 7)!.endOf(first, 0, first.length, MAX)).to.equal(
      first.length,
    );
  });

  it('is lost with any byte that was checked', () => {
    const size = first.length - 'the first body'.length - 1;
    for (let at = 0; at < first.length; at++) {
      if (at >= size && at < first.length - 1) continue; // the body is anybody's
      for (const bit of [1, 16, 128]) {
        const other = Buffer.from(first);
        other[at] ^= bit;
        expect(endOf(other), `byte ${at}`).to.equal(0);
      }
    }
  });

  it('needs the whole message', () => {
    for (let end = 0; end < first.length; end++) expect(endOf(first, 0, end)).to.equal(0);
  });

  it('is not that of an empty message, of one that is too large, or of one in several frames', () => {
    const start = first.subarray(0, first.indexOf(header(7, 14)));
    const split = Buffer.concat([
      start,
      header(7, 14),
      bodyFrame(7, Buffer.alloc(4)),
      bodyFrame(7, Buffer.alloc(10)),
    ]);
    const empty = publish(7, 'a.key', Buffer.alloc(0), 'exchange');
    const emptyFrame = Buffer.concat([start, header(7, 0), bodyFrame(7, Buffer.alloc(0))]);
    for (const message of [split, empty, emptyFrame]) {
      expect(endOf(Buffer.concat([message, first]))).to.equal(0);
      expect(
        MessageShape.of(message, 0, message.length, 7)?.endOf(message, 0, message.length, MAX) ?? 0,
      ).to.equal(0);
    }
    expect(endOf(publish(7, 'a.key', Buffer.alloc(MAX + 1), 'exchange'))).to.equal(0);
  });
});
