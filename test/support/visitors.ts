/** Peers of the TLS listener: clients, and what health checks, scanners and broken networks leave there. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { dial, RawClient } from './raw-client.ts';

/** What comes to the TLS listener: a login and a close, or less. */
export type Visit = 'client' | 'hello' | 'half hello' | 'nothing' | 'fin' | 'garbage' | 'reset';

/** The beginning of a client's handshake: a record of a ClientHello, and the version and random that it starts with. */
const HELLO = Buffer.concat([Buffer.from('16030100c8010000c40303', 'hex'), Buffer.alloc(32, 7)]);

export class Visitors {
  private readonly port: number;
  /** Seconds after which the proxy has ended every one of them. */
  private readonly patience: number;
  private readonly there = new Set<Promise<string | null>>();
  private readonly complaints: string[] = [];

  constructor(port: number, patience: number) {
    this.port = port;
    this.patience = patience;
  }

  /** One comes, and stays as long as the proxy lets it. */
  come(how: Visit): void {
    const visit = this.visit(how).catch(error => `${how}: ${(error as Error).message}`);
    this.there.add(visit);
    void visit.then(complaint => {
      this.there.delete(visit);
      if (complaint !== null) this.complaints.push(complaint);
    });
  }

  private async visit(how: Visit): Promise<string | null> {
    if (how === 'client') {
      const client = await RawClient.start(this.port, { tls: true });
      client.destroy();
      return null;
    }
    if (how === 'hello') {
      // a handshake, and not a word of AMQP
      const client = await RawClient.connect(this.port, { tls: true });
      client.destroy();
      return null;
    }
    const socket = await dial(this.port);
    socket.on('error', () => {});
    socket.resume();
    try {
      return await this.stay(how, socket);
    } finally {
      socket.destroy();
    }
  }

  private async stay(how: Visit, socket: Socket): Promise<string | null> {
    // by a reset, too: that closes it
    const ended = new Promise<void>(resolve => {
      for (const event of ['end', 'close']) socket.once(event, () => resolve());
    });
    if (how === 'half hello') socket.write(HELLO);
    if (how === 'garbage') socket.write(Buffer.alloc(300, 'GET / HTTP/1.1\r\n'));
    if (how === 'fin') socket.end();
    if (how === 'reset') {
      socket.resetAndDestroy();
      return null;
    }
    const timer = new AbortController();
    const late = sleep(this.patience * 1000, true, { signal: timer.signal }).catch(() => false);
    const stays = await Promise.race([ended.then(() => false), late]);
    timer.abort();
    return stays ? `${how}: still there after ${this.patience} s` : null;
  }

  /** What the proxy did to them that it should not; resolves when all have gone. */
  async gone(): Promise<string[]> {
    await Promise.all(this.there);
    const kinds = [...new Set(this.complaints)];
    return kinds.map(kind => `${this.complaints.filter(one => one === kind).length} times ${kind}`);
  }
}
