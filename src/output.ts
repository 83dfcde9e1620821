/**
 * Lines to standard output or error, written at once: nothing is lost when the process ends right after. A reader that
 * does not read (a full pipe) is waited for a moment only, then lines are dropped and counted: the service goes on.
 */
import { writeSync } from 'node:fs';

/** How long a line may wait for a reader, in ms; only once, until the reader reads again. */
const PATIENCE_MS = 50;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

export class Output {
  readonly fd: number;
  /** Lines dropped since the last one that was written. */
  dropped = 0;
  /** The error that the last write met: '' for none, EAGAIN for a full pipe, EPIPE, ENOSPC … */
  failure = '';
  /** What a full pipe left of a line. */
  private rest: Buffer | null = null;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Writes text that ends with a line feed; false when it was dropped. */
  write(text: string): boolean {
    const patience = this.failure === '' ? PATIENCE_MS : 0;
    if (this.rest !== null && !this.send(this.rest, patience)) {
      this.dropped++;
      return false;
    }
    if (this.send(Buffer.from(text), patience)) return true;
    // a line that was written in part is finished before the next one
    if (this.rest !== null) return true;
    this.dropped++;
    return false;
  }

  /** Before the process ends: waits up to so many ms for the reader to take what is left. */
  flush(ms = 500): void {
    if (this.rest !== null) this.send(this.rest, ms);
  }

  private send(bytes: Buffer, patience: number): boolean {
    const until = performance.now() + patience;
    let sent = 0;
    const whole = this.rest !== bytes;
    while (sent < bytes.length) {
      try {
        sent += writeSync(this.fd, bytes, sent);
      } catch (error) {
        this.failure = (error as NodeJS.ErrnoException).code ?? 'unknown error';
        if (this.failure === 'EAGAIN' && performance.now() < until) {
          Atomics.wait(sleeper, 0, 0, 1);
          continue;
        }
        this.rest = this.failure === 'EAGAIN' && !(whole && sent === 0) ? bytes.subarray(sent) : null;
        return false;
      }
    }
    this.failure = '';
    this.rest = null;
    return true;
  }
}

export const stdout = new Output(1);
export const stderr = new Output(2);
