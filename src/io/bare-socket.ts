/**
 * A TCP connection on the runtime's own handle: net.Socket and its streams cost a short client as much as all the rest that is
 * done for it. Private to the runtime, so `bareSockets` says whether all is there as it is known; where not, net.Socket serves.
 */
import { Server, type Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Reader, Waiter, Wire } from './wire.ts';

interface Request {
  oncomplete: (status: number) => void;
  handle: Handle;
  /** Kept as long as the kernel has not taken it. */
  buffers: Buffer | Buffer[];
}

interface Handle {
  readonly writeQueueSize: number;
  onread: (this: Handle) => Buffer | undefined;
  onconnection: (this: Handle, error: number, client: Handle | undefined) => void;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Buffer): void;
  writeBuffer(request: Request, buffer: Buffer): number;
  writev(request: Request, buffers: Buffer[], allBuffers: true): number;
  shutdown(request: Request): number;
  close(): void;
  reset(): number;
  getpeername(name: Name): number;
  getsockname(name: Name): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, seconds: number): number;
  [OWNER]: BareSocket;
}

/** An end of a connection. It has all that the runtime sets from the start: to add properties costs more than to ask the kernel. */
class Name {
  address: string | undefined = undefined;
  family: string | undefined = undefined;
  port: number | undefined = undefined;
}

interface Binding {
  TCP: new () => Handle;
  WriteWrap: new () => Request;
  ShutdownWrap: new () => Request;
  streamBaseState: Int32Array;
  kReadBytesOrError: number;
  kLastWriteWasAsync: number;
}

const OWNER = Symbol('bare socket');
const EOF = -4095;
/**
 * Whoever fills a buffer is read on in the next turn of the event loop: the runtime would read up to 32 of them in a row, milliseconds
 * in which nobody else is served. It stops when it is given no room, and says so.
 */
const NO_ROOM = Buffer.allocUnsafeSlow(1).subarray(0, 0);
const ENOBUFS = -105;
const METHODS: (keyof Handle)[] = [
  'readStart',
  'readStop',
  'useUserBuffer',
  'writeBuffer',
  'writev',
  'shutdown',
  'getpeername',
  'getsockname',
  'setNoDelay',
  'setKeepAlive',
  'close',
  'reset',
];

function load(): Binding | null {
  if (process.env.AMQPROXY_NET_SOCKETS === '1') return null;
  try {
    const { binding } = process as unknown as { binding(name: string): Partial<Binding> };
    const all = { ...binding('stream_wrap'), ...binding('tcp_wrap') } as Binding;
    const complete =
      METHODS.every(name => typeof all.TCP.prototype[name] === 'function') &&
      [all.WriteWrap, all.ShutdownWrap].every(wrap => typeof wrap === 'function') &&
      all.streamBaseState instanceof Int32Array &&
      [all.kReadBytesOrError, all.kLastWriteWasAsync].every(
        index => all.streamBaseState[index] !== undefined,
      );
    return complete ? all : null;
  } catch {
    return null;
  }
}

const runtime = load();

/** The runtime has what they need. */
export const bareSockets = runtime !== null;

/**
 * Has `accept` called for the connections that a listening server accepts from now on, while they are `wanted`. False where the
 * runtime has not got what that needs; then the server goes on as before, as it does with connections that are not TCP.
 */
export function acceptBare(
  server: Server,
  accept: (socket: BareSocket) => void,
  wanted: () => boolean = () => true,
): boolean {
  if (runtime === null || !(server instanceof Server)) return false;
  const { _handle: handle } = server as unknown as { _handle: Handle | null };
  if (!(handle instanceof runtime.TCP) || typeof handle.onconnection !== 'function') return false;
  const { onconnection } = handle;
  handle.setNoDelay(true); // those that are accepted inherit it
  handle.onconnection = function (error, client) {
    if (error !== 0 || client === undefined || !wanted()) onconnection.call(this, error, client);
    else accept(new BareSocket(client));
  };
  return true;
}

/** The same connection as this socket's, which has just connected, and is nothing any more then; null where that cannot be. */
export function bareOf(socket: Socket): BareSocket | null {
  const owner = socket as unknown as { _handle: Handle | null };
  const { _handle: handle } = owner;
  if (runtime === null || !(handle instanceof runtime.TCP)) return null;
  owner._handle = null;
  return new BareSocket(handle);
}

/** One request serves all writes that the kernel takes at once. */
let spare: Request | null = null;

export class BareSocket implements Wire {
  destroyed = false;
  writableEnded = false;
  /** Bytes that wait for the kernel to take them. */
  writableLength = 0;
  bytesRead = 0;
  private readonly handle: Handle;
  private reader: Reader | null = null;
  private block: Buffer | null = null;
  private reading = false;
  private readEnded = false;
  private writeFinished = false;
  private corked: Buffer[] | null = null;
  private waiter: Waiter | null = null;
  private error: Error | null = null;
  private peer: Name | null = null;
  private own: Name | null = null;

  constructor(handle: Handle) {
    this.handle = handle;
    handle[OWNER] = this;
    handle.onread = onRead;
  }

  // ---- reading

  readInto(reader: Reader): void {
    this.reader = reader;
    this.block = reader.next();
    this.handle.useUserBuffer(this.block);
    this.resume();
  }

  pause(): void {
    if (!this.reading) return;
    this.reading = false;
    if (!this.destroyed) this.handle.readStop();
  }

  resume(): void {
    if (this.reading || this.destroyed || this.readEnded) return;
    this.reading = true;
    const error = this.handle.readStart();
    if (error !== 0) this.destroy(failure('read', error));
  }

  /** `size` bytes have come, or it is the negative number of an error. The memory for the next ones in this turn. */
  read(size: number): Buffer | undefined {
    const { reader, block } = this;
    if (size === 0 || this.destroyed || reader === null || block === null) return undefined;
    if (size > 0) {
      this.bytesRead += size;
      reader.took(size, block);
      this.block = reader.next();
      return size < block.length ? this.block : NO_ROOM;
    }
    if (size === ENOBUFS) return block;
    this.reading = false;
    if (size !== EOF) this.destroy(failure('read', size));
    else {
      this.readEnded = true;
      reader.ended();
      if (this.writeFinished) this.destroy();
    }
    return undefined;
  }

  // ---- writing

  cork(): void {
    this.corked ??= [];
  }

  uncork(): void {
    const { corked } = this;
    this.corked = null;
    if (corked !== null && corked.length > 0) this.send(corked);
  }

  tell(waiter: Waiter): void {
    this.waiter = waiter;
  }

  write(bytes: Buffer): void {
    if (this.corked === null) this.send(bytes);
    else this.corked.push(bytes);
  }

  private send(buffers: Buffer | Buffer[]): void {
    if (this.destroyed || this.writableEnded) return;
    const { handle } = this;
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = runtime!;
    spare ??= new WriteWrap();
    const request = spare;
    const many = Array.isArray(buffers);
    const error = many ? handle.writev(request, buffers, true) : handle.writeBuffer(request, buffers);
    if (error !== 0) {
      spare = null;
      this.destroy(failure('write', error));
      return;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) return;
    spare = null;
    let size = 0;
    for (const { length } of many ? buffers : [buffers]) size += length;
    this.writableLength += size;
    request.buffers = buffers;
    request.handle = handle;
    request.oncomplete = status => this.written(status, size);
  }

  private written(status: number, size: number): void {
    this.writableLength -= size;
    if (this.destroyed) return;
    if (status < 0) this.destroy(failure('write', status));
    else this.waiter?.written();
  }

  get writeQueueSize(): number {
    return this.destroyed ? 0 : this.handle.writeQueueSize;
  }

  // ---- the end

  end(): void {
    if (this.destroyed || this.writableEnded) return;
    this.writableEnded = true;
    const request = new runtime!.ShutdownWrap();
    request.handle = this.handle;
    request.oncomplete = () => this.finished();
    const error = this.handle.shutdown(request);
    // done already, or there is nobody to tell
    if (error !== 0) this.finished();
  }

  private finished(): void {
    this.writeFinished = true;
    if (this.readEnded) this.destroy();
  }

  destroy(error: Error | null = null): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.error = error;
    this.handle.close();
    tellSoon(this);
  }

  resetAndDestroy(): void {
    // while it is shutting down, the runtime neither resets a connection nor closes it after it was asked to
    if (this.destroyed || (this.writableEnded && !this.writeFinished)) {
      this.destroy();
      return;
    }
    this.destroyed = true;
    this.handle.reset();
    tellSoon(this);
  }

  closed(): void {
    const { reader, error } = this;
    this.reader = null;
    this.block = null;
    this.waiter = null;
    reader?.closed(error);
  }

  // ---- facts

  private get remote(): Name {
    this.peer ??= new Name();
    if (this.peer.address === undefined && !this.destroyed) this.handle.getpeername(this.peer);
    return this.peer;
  }

  private get local(): Name {
    this.own ??= new Name();
    if (this.own.address === undefined && !this.destroyed) this.handle.getsockname(this.own);
    return this.own;
  }

  get remoteAddress(): string | undefined {
    return this.remote.address;
  }

  get remotePort(): number | undefined {
    return this.remote.port;
  }

  get localAddress(): string | undefined {
    return this.local.address;
  }

  get localPort(): number | undefined {
    return this.local.port;
  }

  setKeepAlive(on: boolean, ms: number): void {
    if (!this.destroyed) this.handle.setKeepAlive(on, Math.floor(ms / 1000));
  }
}

function onRead(this: Handle): Buffer | undefined {
  return this[OWNER].read(runtime!.streamBaseState[runtime!.kReadBytesOrError]);
}

/** Those that are told, once whoever has closed them is done: the runtime would begin anew for each. */
const gone: BareSocket[] = [];

function tellSoon(socket: BareSocket): void {
  if (gone.push(socket) === 1) queueMicrotask(tellGone);
}

const tellGone = (): void => gone.splice(0).forEach(socket => void socket.closed());

function failure(call: string, error: number): Error {
  const code = getSystemErrorName(error);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: error, syscall: call });
}

export type Accepted = Socket | BareSocket;
