/**
 * The memory that sockets are read into, used again and again. Bytes that were read are borrowed: whoever keeps some of
 * them beyond the call that brought them asks `keep` or `own`.
 *
 * Quiet sockets share one buffer, of which a piece is kept by copying it. Busy sockets have blocks to themselves, which
 * stay as they are until every piece that was kept has been released.
 */

/** Bytes read at a time. */
export const READ_SIZE = 131_072;
/** A smaller piece is copied rather than that it keeps a block. */
const SMALL = READ_SIZE / 4;
/** Blocks put by; more are left to the garbage collector. */
const FREE_MAX = 64;

export interface Block {
  readonly bytes: Buffer;
  /** The socket that reads into it, and pieces that were kept. */
  users: number;
}

export const shared = Buffer.allocUnsafeSlow(READ_SIZE);
const blocks = new WeakMap<ArrayBufferLike, Block>();
const free: Block[] = [];

/** For tests: bytes that nobody may look at any more are overwritten, so that who does is found out. */
const poisons = process.env.AMQPROXY_POISON === '1';
const POISON = 0xdb;

export function takeBlock(): Block {
  const block = free.pop() ?? { bytes: Buffer.allocUnsafeSlow(READ_SIZE), users: 0 };
  blocks.set(block.bytes.buffer, block);
  block.users = 1;
  return block;
}

export function dropBlock(block: Block): void {
  if (--block.users > 0) return;
  if (poisons) block.bytes.fill(POISON);
  if (free.length < FREE_MAX) free.push(block);
}

/** Whoever wanted the bytes that were read into the shared buffer has them. */
export function sharedIsFree(bytes: number): void {
  if (poisons) shared.fill(POISON, 0, bytes);
}

/** The same bytes, to be had until they are released. */
export function keep(piece: Buffer): Buffer {
  const memory = piece.buffer;
  if (memory === shared.buffer) return Buffer.from(piece);
  const block = blocks.get(memory);
  if (block === undefined) return piece;
  if (piece.length < SMALL) return Buffer.from(piece);
  block.users++;
  return piece;
}

/** Ends what `keep` began. */
export function release(piece: Buffer): void {
  const block = blocks.get(piece.buffer);
  if (block !== undefined) dropBlock(block);
}

/** The same bytes, to be had for as long as anybody likes. */
export function own(piece: Buffer): Buffer {
  const memory = piece.buffer;
  return memory === shared.buffer || blocks.has(memory) ? Buffer.from(piece) : piece;
}
