/** Memory that was read into is used again, and what was kept of it stays as it was. */
import { expect } from 'chai';
import { dropBlock, keep, own, READ_SIZE, release, shared, takeBlock } from '../../src/memory.ts';

const SIZES = [1, 100, 2047, 2048, 2049, 4096, 5000, 16_385, READ_SIZE / 4 - 1, READ_SIZE / 4, READ_SIZE];

/** The byte at each place is known. */
const numbered = (bytes: Buffer, size: number): Buffer => {
  for (let i = 0; i < size; i++) bytes[i] = i * 7;
  return bytes.subarray(0, size);
};

describe('Bytes that were read', () => {
  for (const size of SIZES)
    it(`${size} of them, kept, stay as they were until they are released`, () => {
      const before = Buffer.from(numbered(Buffer.alloc(size), size));
      const fromShared = keep(numbered(shared, size));
      shared.fill(1);
      const block = takeBlock();
      const fromBlock = keep(numbered(block.bytes, size));
      if (fromBlock.buffer !== block.bytes.buffer) block.bytes.fill(2);
      const again = keep(fromBlock); // on its way to another socket
      release(fromBlock);
      // whatever is read meanwhile
      const others = Array.from({ length: 8 }, () => takeBlock());
      for (const other of others) other.bytes.fill(3);
      const copies = SIZES.map(n => keep(shared.subarray(0, n)));
      expect(fromShared.equals(before)).to.equal(true);
      expect(again.equals(before)).to.equal(true);
      expect(own(again).equals(before)).to.equal(true);
      for (const piece of [fromShared, again, ...copies]) release(piece);
      for (const other of [block, ...others]) dropBlock(other);
    });

  it('take at most twice their size when they are kept, but for the smallest, of which many share a slab', () => {
    for (const size of SIZES.filter(size => size >= 2048)) {
      const piece = keep(shared.subarray(0, size));
      expect(piece.buffer.byteLength, `${size}`).to.be.at.most(2 * size);
      release(piece);
    }
  });

  it('are kept in memory that was used before', () => {
    const memory = new Set<ArrayBufferLike>();
    for (let i = 0; i < 1000; i++) {
      const piece = keep(shared.subarray(0, 20_000 + i));
      memory.add(piece.buffer);
      release(piece);
    }
    expect(memory.size).to.equal(1);
  });
});
