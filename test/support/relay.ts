/** A stretch of network between the proxy and a broker, that a test can stop or cut. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './ports.ts';

export class Relay {
  port = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private stopped = false;

  private constructor(to: number) {
    this.server = createServer(near => {
      const far = connect(to, '127.0.0.1');
      for (const [from, into] of [
        [near, far],
        [far, near],
      ]) {
        this.sockets.add(from);
        from.setNoDelay(true);
        from.on('error', () => {});
        from.on('close', () => {
          this.sockets.delete(from);
          into.destroy();
        });
        from.pipe(into);
      }
      if (this.stopped) this.stop();
    });
  }

  /** Passes on to port `to` what comes to port `at` (one of its own unless given) of a loopback address. */
  static async start(to: number, at?: number, host = '127.0.0.1'): Promise<Relay> {
    const relay = new Relay(to);
    relay.port = at ?? (await freePort());
    await new Promise<void>((resolve, reject) => {
      relay.server.once('error', reject);
      relay.server.listen(relay.port, host, resolve);
    });
    return relay;
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.sockets.size / 2;
  }

  /** Bytes read from the proxy and from the broker, on the connections that are open. */
  get bytesRead(): [fromProxy: number, fromBroker: number] {
    const sum: [number, number] = [0, 0];
    // near and far were added one after the other
    [...this.sockets].forEach((socket, i) => {
      sum[i % 2] += socket.bytesRead;
    });
    return sum;
  }

  /** Carries nothing more, in either direction, until `go`. */
  stop(): void {
    this.stopped = true;
    for (const socket of this.sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  go(): void {
    this.stopped = false;
    const sockets = [...this.sockets];
    for (let i = 0; i + 1 < sockets.length; i += 2) {
      sockets[i].pipe(sockets[i + 1]);
      sockets[i + 1].pipe(sockets[i]);
    }
  }

  /** Lets those that are there go on, and nobody else in. */
  refuse(): void {
    this.server.close();
  }

  /** Resets every connection, as a failing router would. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  async end(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }
}
