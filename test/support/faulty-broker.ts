/** Brokers that fail: they accept connections, and that is nearly all. */
import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from './ports.ts';

/** What one does with a connection: nothing at all, or hang up. */
export type Fault = 'silent' | 'closes';

export class FaultyBroker {
  port = 0;
  /** Connections that were made to it. */
  dials = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  private constructor(fault: Fault) {
    this.server = createServer(socket => {
      this.dials++;
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
      if (fault === 'closes') socket.destroy();
      else socket.resume();
    });
  }

  static async start(fault: Fault, at?: number, host = '127.0.0.1'): Promise<FaultyBroker> {
    const broker = new FaultyBroker(fault);
    broker.port = at ?? (await freePort());
    await new Promise<void>((resolve, reject) => {
      broker.server.once('error', reject);
      broker.server.listen(broker.port, host, resolve);
    });
    return broker;
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  async end(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }
}
