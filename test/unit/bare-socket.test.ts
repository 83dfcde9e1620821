/** Sockets on the runtime's own handles: what is private in it is as we know it, and does what net.Socket does. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { acceptBare, type BareSocket, bareOf, bareSockets } from '../../src/io/bare-socket.ts';
import type { Reader } from '../../src/io/wire.ts';
import { until } from '../support/rabbitmq.ts';

/** Notes what a socket tells. */
class Notes implements Reader {
  readonly buffer = Buffer.alloc(64);
  text = '';
  reads = 0;
  hasEnded = false;
  isClosed = false;
  error: Error | null = null;

  next(): Buffer {
    return this.buffer;
  }

  took(size: number, buffer: Buffer): void {
    this.reads++;
    this.text += buffer.toString('latin1', 0, size);
  }

  ended(): void {
    this.hasEnded = true;
  }

  closed(error: Error | null): void {
    this.isClosed = true;
    this.error = error;
  }
}

describe('A bare socket', () => {
  let server: Server;
  let client: Socket;
  let socket: BareSocket;
  let notes: Notes;
  let received = Buffer.alloc(0);

  beforeEach(async () => {
    expect(bareSockets, 'the runtime has changed: see src/io/bare-socket.ts').to.equal(true);
    server = createServer(() => {
      throw new Error('net.Socket serves');
    });
    const accepted = new Promise<BareSocket>(resolve => {
      server.listen(0, '127.0.0.1', () => expect(acceptBare(server, resolve)).to.equal(true));
    });
    await once(server, 'listening');
    client = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
    client.on('error', () => {});
    received = Buffer.alloc(0);
    client.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    });
    socket = await accepted;
    notes = new Notes();
    socket.readInto(notes);
  });
  afterEach(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });

  it('knows both ends', async () => {
    expect(socket.remoteAddress).to.equal('127.0.0.1');
    expect(socket.remotePort).to.equal(client.localPort);
    expect(socket.localPort).to.equal((server.address() as AddressInfo).port);
    expect(socket.localAddress).to.equal('127.0.0.1');
  });

  it('reads into the memory that it is given', async () => {
    client.write('x'.repeat(1000));
    await until('all', () => notes.text.length === 1000);
    expect(socket.bytesRead).to.equal(1000);
  });

  it('reads one buffer in a turn of the event loop, so that others come between', async () => {
    const { length } = notes.buffer;
    client.write('x'.repeat(20 * length + 10));
    while (notes.text.length < 20 * length) {
      const before = notes.reads;
      await new Promise(setImmediate);
      expect(notes.reads - before).to.be.at.most(1);
    }
    await until('all', () => notes.text.length === 20 * length + 10);
    expect(notes.error).to.equal(null);
  });

  it('does not read on in the next turn if it was paused with a full buffer', async () => {
    const { length } = notes.buffer;
    const { took } = notes;
    notes.took = (size, buffer) => {
      took.call(notes, size, buffer);
      socket.pause();
    };
    client.write('x'.repeat(2 * length));
    await until('the first', () => notes.reads > 0);
    for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
    expect(notes.reads).to.equal(1);
    socket.resume();
    await until('all', () => notes.text.length === 2 * length);
  });

  it('does not read while it is paused', async () => {
    socket.pause();
    client.write('later');
    await new Promise(resolve => setTimeout(resolve, 50));
    expect(notes.text).to.equal('');
    socket.resume();
    await until('it', () => notes.text === 'later');
  });

  it('writes at once, in order, and together what is corked', async () => {
    socket.write(Buffer.from('one '));
    socket.cork();
    socket.write(Buffer.from('two '));
    socket.write(Buffer.from('three'));
    socket.uncork();
    expect(socket.writableLength).to.equal(0);
    await until('all', () => received.toString() === 'one two three');
  });

  it('tells when what had to wait has gone', async () => {
    client.pause();
    const block = Buffer.alloc(1 << 20, 'b');
    let told = 0;
    socket.tell({ written: () => told++ });
    let written = 0;
    while (socket.writableLength === 0) {
      written += block.length;
      socket.write(block);
    }
    socket.write(Buffer.from('the end'));
    expect(socket.writableLength).to.be.greaterThan(block.length - 1);
    expect(socket.writeQueueSize).to.be.greaterThan(0);
    expect(told).to.equal(0);
    client.resume();
    await until('all', () => received.length === written + 7);
    await until('that it has gone', () => socket.writableLength === 0);
    expect(told).to.equal(2);
    expect(received.subarray(-7).toString()).to.equal('the end');
  });

  it('reads on after its own end, and closes when both sides have ended', async () => {
    const ended = once(client, 'end');
    socket.end();
    await ended;
    client.write('still');
    await until('it', () => notes.text === 'still');
    expect(notes.isClosed).to.equal(false);
    client.end();
    await until('the end', () => notes.hasEnded);
    await until('the close', () => notes.isClosed);
    expect(notes.error).to.equal(null);
  });

  it('writes on after the peer’s end', async () => {
    client.end();
    await until('the end', () => notes.hasEnded);
    socket.write(Buffer.from('goodbye'));
    socket.end();
    await until('it', () => received.toString() === 'goodbye');
    await until('the close', () => notes.isClosed);
  });

  it('ends with a reset when it is asked to', async () => {
    const reset = once(client, 'error');
    socket.resetAndDestroy();
    expect(((await reset)[0] as NodeJS.ErrnoException).code).to.equal('ECONNRESET');
    await until('the close', () => notes.isClosed);
  });

  it('ends when a reset comes before its own end has gone', async () => {
    client.pause();
    while (socket.writableLength === 0) socket.write(Buffer.alloc(1 << 20));
    socket.end();
    socket.resetAndDestroy();
    await until('the close', () => notes.isClosed);
  });

  it('ends with a reset after its own end has gone', async () => {
    const ended = once(client, 'end');
    socket.end();
    await ended;
    const reset = once(client, 'error');
    socket.resetAndDestroy();
    await until('the close', () => notes.isClosed);
    client.write('x');
    expect(((await reset)[0] as NodeJS.ErrnoException).code).to.be.oneOf(['ECONNRESET', 'EPIPE']);
  });

  it('says with what error it has ended', async () => {
    expect(socket.remoteAddress).to.equal('127.0.0.1');
    client.resetAndDestroy();
    await until('the close', () => notes.isClosed);
    expect((notes.error as NodeJS.ErrnoException).code).to.equal('ECONNRESET');
    expect(socket.remoteAddress).to.equal('127.0.0.1');
  });

  it('can be one that we have connected: net.Socket has no part in it any more', async () => {
    const listening = createServer({ allowHalfOpen: true }, peer =>
      peer.on('data', bytes => peer.write(bytes)),
    );
    await once(listening.listen(0, '127.0.0.1'), 'listening');
    const ours = connect((listening.address() as AddressInfo).port, '127.0.0.1');
    const taken = await new Promise<BareSocket | null>(resolve =>
      ours.once('connect', () => resolve(bareOf(ours))),
    );
    const echo = new Notes();
    taken!.readInto(echo);
    ours.destroy();
    taken!.write(Buffer.from('to and fro'));
    await until('it to come back', () => echo.text === 'to and fro');
    expect(bareOf(ours)).to.equal(null);
    taken!.destroy();
    await until('the close', () => echo.isClosed);
    listening.close();
  });

  it('takes nothing more once it has ended', async () => {
    socket.destroy();
    socket.write(Buffer.from('x'));
    socket.end();
    socket.resume();
    socket.resetAndDestroy();
    await until('the close', () => notes.isClosed);
    expect(received.length).to.equal(0);
  });
});
