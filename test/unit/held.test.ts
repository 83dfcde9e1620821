/** An incomplete message costs about its own size, however it was cut. */
import { expect } from 'chai';
import { Held } from '../../src/client/held.ts';

describe('A message held back', () => {
  const whole = Buffer.from(Array.from({ length: 100_000 }, (_, n) => n * 7));

  for (const [how, sizes] of Object.entries({
    'byte by byte': [1],
    'in large pieces': [40_000],
    'in pieces of all sizes': [1, 9000, 3, 8191, 8192, 20_000, 500],
  }))
    it(`${how} comes out as it went in`, () => {
      const held = new Held();
      for (let at = 0, n = 0; at < whole.length; n++) {
        const size = sizes[n % sizes.length];
        held.add(whole.subarray(at, at + size));
        at += size;
      }
      expect(held.bytes).to.equal(whole.length);
      expect(Buffer.concat(held.take()).equals(whole)).to.equal(true);
      expect(held.bytes).to.equal(0);
      expect(held.take()).to.deep.equal([]);
    });

  it('byte by byte is copied together: its chunks can go, and it is few pieces', () => {
    const held = new Held();
    for (let n = 0; n < whole.length; n++) held.add(whole.subarray(n, n + 1));
    const pieces = held.take();
    expect(pieces.length).to.be.at.most(whole.length / 8192 + 1);
    for (const piece of pieces) {
      expect(piece.buffer).not.to.equal(whole.buffer);
      expect(piece.buffer.byteLength).to.be.at.most(2 * 8192 + 512);
    }
  });
});
