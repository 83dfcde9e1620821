/**
 * The way in from one socket. Reads into memory that is used again (`memory.ts`): no buffer is made for a read, and an idle
 * socket has none.
 */
import { type OnReadOpts, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type Block, dropBlock, READ_SIZE, read, shared, sharedIsFree, takeBlock } from '../memory.ts';

/** A socket that fills a whole buffer is busy and reads into blocks of its own, until it reads less than this. */
const BUSY_BYTES = READ_SIZE / 4;

/** Gets what was read. */
export interface Consumer {
  /** Borrowed bytes (`memory.ts`). */
  consume(chunk: Buffer): void;
}

const NOBODY: Consumer = { consume: () => {} };

export class Inbox {
  consumer = NOBODY;
  private block: Block | null = null;
  private lastRead = 0;
  private closed = false;

  /** What a new net.Socket is told, so that it reads into our memory. */
  get onread(): OnReadOpts {
    return {
      buffer: (): Buffer => this.next(),
      callback: (bytes: number, buffer: Uint8Array): boolean => {
        this.took(bytes, buffer as Buffer);
        return true;
      },
    };
  }

  /** So many bytes were read into the memory that `next` gave. */
  took(bytes: number, buffer: Buffer): void {
    this.lastRead = bytes;
    this.consumer.consume(read(buffer, bytes));
    if (buffer === shared) sharedIsFree(bytes);
  }

  /**
   * Reads from a socket that a server has accepted, paused. Returns the socket to use instead: only a new one takes
   * `onread`, and Node has no public way to hand over what is connected, hence `_handle`. TLS does its own reading.
   */
  adopt(accepted: Socket): Socket {
    const { _handle: handle } = accepted as unknown as { _handle?: unknown };
    if (accepted instanceof TLSSocket || !handle) {
      accepted.on('data', (chunk: Buffer) => this.consumer.consume(chunk));
      return accepted;
    }
    (accepted as unknown as { _handle: unknown })._handle = null;
    return new Socket({ handle, allowHalfOpen: true, onread: this.onread } as object);
  }

  /** The memory to read into next. */
  next(): Buffer {
    const { block, lastRead } = this;
    const busy = !this.closed && lastRead >= (block === null ? READ_SIZE : BUSY_BYTES);
    if (block !== null) {
      if (busy && block.users === 1) return block.bytes;
      this.block = null;
      dropBlock(block);
    }
    if (!busy) return shared;
    this.block = takeBlock();
    return this.block.bytes;
  }

  close(): void {
    this.closed = true;
    this.consumer = NOBODY;
    if (this.block !== null) dropBlock(this.block);
    this.block = null;
  }
}
