/** A socket as a transport and its outbox need it: what net.Socket and BareSocket have in common. */
export interface Wire {
  readonly destroyed: boolean;
  /** Our side has ended. */
  readonly writableEnded: boolean;
  /** Bytes that wait for the kernel to take them. */
  readonly writableLength: number;
  readonly bytesRead: number;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  /** Has `waiter` told when bytes that had to wait for the kernel have been taken; sockets without it tell `done` of each write. */
  tell?(waiter: Waiter): void;
  write(bytes: Buffer, done?: () => void): unknown;
  /** What is written up to `uncork` goes out together. */
  cork(): void;
  uncork(): void;
  end(): void;
  destroy(): void;
  /** Ends it with a reset: the peer's next write fails. */
  resetAndDestroy(): unknown;
  pause(): unknown;
  resume(): unknown;
  setKeepAlive(on: boolean, ms: number): unknown;
}

/** Who has written more than the kernel takes at once. */
export interface Waiter {
  /** It has taken some of it. */
  written(): void;
}

/** What comes from a bare socket. */
export interface Reader {
  /** The memory to read into next. */
  next(): Buffer;
  /** So many bytes were read into it. */
  took(size: number, buffer: Buffer): void;
  /** The peer has ended its side. */
  ended(): void;
  /** The last call. */
  closed(error: Error | null): void;
}
