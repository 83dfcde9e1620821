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
/** A copy that is smaller than this is left to the garbage collector; larger ones would keep it busy, and have blocks, too. */
const TINY = SMALL / 16;
/** Blocks of a size put by; more are left to the garbage collector. */
const FREE_MAX = 64;

export interface Block {
  readonly bytes: Buffer;
  /** The socket that reads into it, and pieces that were kept. */
  users: number;
}

export const shared = Buffer.allocUnsafeSlow(READ_SIZE);
/** Beginnings of it, by their length, that are needed again and again: to make one costs more than to find it. */
const beginnings: Buffer[] = [];
const blocks = new WeakMap<ArrayBufferLike, Block>();
/** By the logarithm of their size. */
const free: Block[][] = Array.from({ length: 32 - Math.clz32(READ_SIZE) }, () => []);

/** For tests: bytes that nobody may look at any more are overwritten, so that who does is found out. */
const poisons = process.env.AMQPROXY_POISON === '1';
const POISON = 0xdb;

export const takeBlock = (): Block => take(READ_SIZE);

/** A block that takes so many bytes; it is less than twice as large. */
function take(size: number): Block {
  const order = 32 - Math.clz32(size - 1);
  let block = free[order].pop();
  if (block === undefined) {
    block = { bytes: Buffer.allocUnsafeSlow(2 ** order), users: 0 };
    blocks.set(block.bytes.buffer, block);
  }
  block.users = 1;
  return block;
}

export function dropBlock(block: Block): void {
  if (--block.users > 0) return;
  const { bytes } = block;
  if (poisons) bytes.fill(POISON);
  const others = free[31 - Math.clz32(bytes.length)];
  if (others.length < FREE_MAX) others.push(block);
}

/** What was read into the shared buffer, or a block. */
export const read = (memory: Buffer, size: number): Buffer =>
  memory === shared && size < TINY
    ? (beginnings[size] ??= shared.subarray(0, size))
    : memory.subarray(0, size);

/** Whoever wanted the bytes that were read into the shared buffer has them. */
export function sharedIsFree(bytes: number): void {
  if (poisons) shared.fill(POISON, 0, bytes);
}

/** The same bytes, to be had until they are released. */
export function keep(piece: Buffer): Buffer {
  const { length } = piece;
  if (length < TINY) return copy(piece); // wherever it is: to ask for that costs as much
  const memory = piece.buffer;
  if (memory === shared.buffer) return copy(piece);
  const block = blocks.get(memory);
  if (block === undefined) return piece;
  if (length < SMALL && block.bytes.length === READ_SIZE) return copy(piece);
  block.users++;
  return piece;
}

function copy(piece: Buffer): Buffer {
  const { length } = piece;
  if (length < TINY) return Buffer.from(piece);
  const { bytes } = take(length);
  piece.copy(bytes);
  return bytes.subarray(0, length);
}

/** Ends what `keep` began. */
export function release(piece: Buffer): void {
  if (piece.length < TINY) return; // that was a copy
  const block = blocks.get(piece.buffer);
  if (block !== undefined) dropBlock(block);
}

/** The same bytes, to be had for as long as anybody likes. */
export function own(piece: Buffer): Buffer {
  const memory = piece.buffer;
  return memory === shared.buffer || blocks.has(memory) ? Buffer.from(piece) : piece;
}
