/**
 * The way out to one socket. Everything written in one turn of the event loop goes out together, in one system call.
 */
import type { Socket } from 'node:net';

const dirty: Outbox[] = [];
let scheduled = false;

function flushAll(): void {
  scheduled = false;
  // A flush may write to other outboxes (a 'drain' handler): they are appended and flushed in the same pass.
  for (let i = 0; i < dirty.length; i++) dirty[i].flush();
  dirty.length = 0;
}

/** Below this, small pieces are copied into one buffer: cheaper than a vectored write. */
const JOIN_BELOW = 8192;

export class Outbox {
  private socket: Socket;
  private pieces: Buffer[] = [];
  private bytes = 0;
  private marked = false;
  /** Bytes that have gone to the kernel or wait for it. */
  total = 0;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Queues bytes; the caller must not change them afterwards. */
  write(piece: Buffer): void {
    this.pieces.push(piece);
    this.bytes += piece.length;
    if (!this.marked) {
      this.marked = true;
      dirty.push(this);
      if (!scheduled) {
        scheduled = true;
        setImmediate(flushAll);
      }
    }
  }

  /** Bytes that the kernel has not taken yet. */
  get pending(): number {
    return this.bytes + this.socket.writableLength;
  }

  flush(): void {
    this.marked = false;
    const { pieces, socket } = this;
    const n = pieces.length;
    if (n === 0) return;
    this.pieces = [];
    const { bytes } = this;
    this.bytes = 0;
    this.total += bytes;
    if (socket.destroyed || socket.writableEnded) return;
    if (n === 1) socket.write(pieces[0]);
    else if (bytes <= JOIN_BELOW) socket.write(Buffer.concat(pieces, bytes));
    else {
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
  }

  /** Sends what is queued, then ends our side of the connection. */
  end(): void {
    this.flush();
    if (!this.socket.destroyed && !this.socket.writableEnded) this.socket.end();
  }
}
