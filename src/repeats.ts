/** Lines of the log that come over and over: the first ones are written, the rest is counted. */

/** A line of the log with its facts. */
export type LogRecord = Record<string, unknown>;

/** So many are written of a kind, then they are counted for the rest of this time. */
const FIRST = 10;
export const WINDOW_MS = 10_000;
/** Kinds that are counted at a time; more are not the same line over and over. */
const KINDS = 1000;

interface Kind {
  record: LogRecord;
  /** Lines that may be written; one only while it goes on and on. */
  allowed: number;
  n: number;
  timer: NodeJS.Timeout;
}

export class Repeats {
  private readonly kinds = new Map<string, Kind>();
  private readonly write: (record: LogRecord) => void;
  private readonly windowMs: number;

  constructor(write: (record: LogRecord) => void, windowMs = WINDOW_MS) {
    this.write = write;
    this.windowMs = windowMs;
  }

  /** True for a line that is to be written. Numbers and names in quotes make no other kind. */
  admit(record: LogRecord): boolean {
    const kind = `${record.level} ${String(record.msg).replace(/\d+|'[^']*'|"[^"]*"/g, '#')}`;
    const known = this.kinds.get(kind);
    if (known !== undefined) return ++known.n <= known.allowed;
    if (this.kinds.size < KINDS) this.begin(kind, record, FIRST, 1);
    return true;
  }

  private begin(kind: string, record: LogRecord, allowed: number, n: number): void {
    const timer = setTimeout(() => this.end(kind), this.windowMs);
    timer.unref();
    this.kinds.set(kind, { record, allowed, n, timer });
  }

  /** Its time is over: how many there were is told. */
  private end(kind: string): void {
    const known = this.kinds.get(kind);
    if (known === undefined) return;
    this.kinds.delete(kind);
    clearTimeout(known.timer);
    const more = known.n - known.allowed;
    if (more <= 0) return;
    const { level, msg } = known.record;
    const text = `… ${more} more of these in ${this.windowMs / 1000} s: ${msg}`;
    this.write({ level, time: new Date().toISOString(), msg: text });
    // it goes on: nobody needs to read the first ones again
    this.begin(kind, known.record, 0, 0);
  }

  /** The process ends. */
  flush(): void {
    for (const kind of [...this.kinds.keys()]) this.end(kind);
    for (const { timer } of this.kinds.values()) clearTimeout(timer);
  }
}
