/**
 * The way out to one socket. Everything written in one turn of the event loop goes out together, in one system call, or in
 * several when it is much; what answers a read goes out when that has been handled.
 */
import { keep, READ_SIZE, release } from '../memory.ts';
import type { Traffic } from '../stats.ts';
import { type Sender, turn } from './turn.ts';
import type { Waiter, Wire } from './wire.ts';

/** Below this, pieces are copied into one buffer: cheaper than a vectored write. */
const JOIN_BELOW = 16_384;
/** So much goes out at once, while it is in the processor's cache and so that its memory is soon free. */
const FLUSH_AT = READ_SIZE;

/** Most often there is one piece at a time: an array that grows from nothing would take room for many. */
const NONE: Buffer[] = [];

let joint = Buffer.allocUnsafeSlow(JOIN_BELOW);

export class Outbox implements Sender, Waiter {
  private readonly socket: Wire;
  private readonly traffic: Traffic;
  private pieces = NONE;
  private bytes = 0;
  private marked = false;
  /** What was read from the same socket is being handled. */
  private answering = false;
  /** What the kernel has not taken yet, oldest first, each with the value of `total` when it was written. */
  private unwritten: { pieces: Buffer[]; total: number }[] = [];
  /** What a socket calls that has to be given a function with each write. */
  private whenWritten: (() => void) | undefined;
  /** Told once all has gone out; null when nobody waits for that. */
  private onDrained: (() => void) | null = null;
  /** Bytes that have gone to the kernel or wait for it. */
  total = 0;

  constructor(socket: Wire, traffic: Traffic) {
    this.socket = socket;
    this.traffic = traffic;
    socket.tell?.(this);
  }

  /** Queues bytes that are borrowed from what was read. */
  forward(piece: Buffer): void {
    this.write(keep(piece));
  }

  /** Queues bytes and takes them over: nobody may change them, and if they were kept, they are released. */
  write(piece: Buffer): void {
    if (this.pieces === NONE) this.pieces = [piece];
    else this.pieces.push(piece);
    this.bytes += piece.length;
    if (!this.marked && !this.answering) {
      this.marked = true;
      turn.add(this);
    }
    if (this.bytes >= FLUSH_AT) this.flush();
  }

  /** What is written from here on, up to `answered`, answers what was read from this socket. */
  answers(): void {
    this.answering = true;
  }

  answered(): void {
    this.answering = false;
    if (this.bytes > 0) this.flush();
  }

  /** Bytes that the kernel has not taken yet. */
  get pending(): number {
    return this.bytes + this.socket.writableLength;
  }

  /** Bytes that the kernel was offered, and has not taken yet. */
  get refused(): number {
    return this.socket.writableLength;
  }

  /** Bytes that the kernel has taken. */
  get taken(): number {
    return this.total - this.socket.writableLength;
  }

  /** Has `drained` called, once, when the kernel has taken all there is (pending is 0, or the socket is closed). */
  whenDrained(drained: () => void): void {
    this.onDrained = drained;
  }

  flushMarked(): void {
    this.marked = false;
    this.flush();
  }

  /** Sends what is queued, without waiting for the end of the turn. */
  flush(): void {
    const { pieces, socket, bytes } = this;
    const n = pieces.length;
    if (n === 0) return;
    this.pieces = NONE;
    this.bytes = 0;
    this.total += bytes;
    if (socket.destroyed || socket.writableEnded) {
      pieces.forEach(release);
      return;
    }
    this.traffic.bytesOut += bytes;
    if (n > 1 && bytes <= JOIN_BELOW) this.writeJoint(pieces, bytes);
    else {
      if (n === 1) socket.write(pieces[0], this.done);
      else {
        socket.cork();
        for (let i = 0; i < n - 1; i++) socket.write(pieces[i]);
        socket.write(pieces[n - 1], this.done);
        socket.uncork();
      }
      if (socket.writableLength === 0) pieces.forEach(release);
      else this.unwritten.push({ pieces, total: this.total });
    }
    if (socket.writableLength > 0) this.traffic.backlog.add(this);
    else if (this.onDrained !== null) this.drained();
  }

  /** Small pieces go as one. Nobody is told when it has gone, unless something else waits already: that costs a turn. */
  private writeJoint(pieces: Buffer[], bytes: number): void {
    const { socket } = this;
    const told = socket.writableLength > 0 || this.onDrained !== null;
    let at = 0;
    for (const piece of pieces) {
      at += piece.copy(joint, at);
      release(piece);
    }
    if (told) socket.write(joint.subarray(0, bytes), this.done);
    else socket.write(joint.subarray(0, bytes));
    if (socket.writableLength > 0) joint = Buffer.allocUnsafeSlow(JOIN_BELOW);
  }

  private get done(): (() => void) | undefined {
    if (this.socket.tell === undefined) this.whenWritten ??= () => this.written();
    return this.whenWritten;
  }

  written(): void {
    const { unwritten } = this;
    const { taken } = this;
    while (unwritten.length > 0 && unwritten[0].total <= taken) unwritten.shift()!.pieces.forEach(release);
    if (this.pending > 0) return;
    this.traffic.backlog.delete(this);
    if (this.onDrained !== null) this.drained();
  }

  private drained(): void {
    const { onDrained } = this;
    this.onDrained = null;
    onDrained?.();
  }

  /** Sends what is queued, then ends our side of the connection. */
  end(): void {
    this.flush();
    if (!this.socket.destroyed && !this.socket.writableEnded) this.socket.end();
  }

  /** The socket is closed: nothing that was queued is needed any more. */
  close(): void {
    this.pieces.forEach(release);
    this.pieces = NONE;
    this.bytes = 0;
    for (const { pieces } of this.unwritten) pieces.forEach(release);
    this.unwritten = [];
    this.traffic.backlog.delete(this);
    this.onDrained = null;
  }
}
