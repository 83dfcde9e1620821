/**
 * A stretch of network between the proxy and a broker that sees frames: a test lets pass, drops, holds up or rewrites the
 * ones it chooses, and so makes a real broker do what brokers rarely do (a confirm that never comes, a barrier that is not
 * answered, a loss right after a certain frame).
 *
 *   const relay = await FrameRelay.start(broker.port);
 *   relay.fromBroker = frame => (frame.name === 'basic.ack' ? 'drop' : 'pass');
 *   relay.fromProxy = (frame, link) => {
 *     if (frame.name === 'channel.flow') link.cut();
 *     return 'pass';
 *   };
 *
 * A rule may be set, changed or taken away (`null`) at any time, and holds for all connections. For plain stops and cuts of
 * the network see `relay.ts`.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Frame, FrameReader } from './frame.ts';
import { freePort } from './ports.ts';

/**
 * What becomes of a frame. `hold` keeps this frame, and no other, until `release`: what comes after it overtakes it unless
 * it is held as well. A buffer, which may hold any number of frames, is sent instead.
 */
export type Fate = 'pass' | 'drop' | 'hold' | Buffer;

/** Asked for every frame, the AMQP header and heartbeats included. */
export type Rule = (frame: Frame, link: Link) => Fate;

/** One connection of the proxy to the broker. */
export class Link {
  /** Counts the connections of a relay, from 1. */
  readonly number: number;
  private readonly near: Socket;
  private readonly far: Socket;
  private held: [into: Socket, bytes: Buffer][] = [];

  constructor(number: number, near: Socket, far: Socket) {
    this.number = number;
    this.near = near;
    this.far = far;
  }

  /** Sends bytes as if the broker had. */
  toProxy(bytes: Buffer): void {
    this.near.write(bytes);
  }

  /** Sends bytes as if the proxy had. */
  toBroker(bytes: Buffer): void {
    this.far.write(bytes);
  }

  /** Frames of both directions that are held up. */
  get holding(): number {
    return this.held.length;
  }

  /** Sends the frames that are held up, in their order. */
  release(): void {
    for (const [into, bytes] of this.held.splice(0)) if (!into.destroyed) into.write(bytes);
  }

  /** Resets the connection, to both sides. What has not arrived is lost. */
  cut(): void {
    this.near.resetAndDestroy();
    this.far.resetAndDestroy();
  }

  /** Carries one direction, by the rule that holds when a frame comes. */
  carry(from: Socket, into: Socket, rule: () => Rule | null): void {
    const reader = new FrameReader((frame, bytes) => {
      const fate = rule()?.(frame, this) ?? 'pass';
      if (fate === 'hold') this.held.push([into, bytes]);
      else if (fate !== 'drop' && !into.destroyed && !into.write(fate === 'pass' ? bytes : fate))
        from.pause();
    });
    from.setNoDelay(true);
    from.on('data', (chunk: Buffer) => reader.read(chunk));
    into.on('drain', () => from.resume());
    from.on('end', () => into.end());
    from.on('error', () => {});
    from.on('close', () => into.destroy());
  }
}

export class FrameRelay {
  port = 0;
  fromBroker: Rule | null = null;
  fromProxy: Rule | null = null;
  /** The connections that are open, oldest first. */
  readonly links: Link[] = [];
  /** Most connections that were open at a time. */
  peak = 0;
  private readonly server: Server;
  private accepted = 0;

  private constructor(to: number) {
    this.server = createServer({ allowHalfOpen: true }, near => {
      const far = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
      const link = new Link(++this.accepted, near, far);
      this.links.push(link);
      // one that the proxy has ended before it opened this one may be seen to end only now
      setImmediate(() => {
        this.peak = Math.max(this.peak, this.links.length);
      });
      const ended = (): void => {
        const at = this.links.indexOf(link);
        if (at >= 0) this.links.splice(at, 1);
      };
      near.on('end', ended);
      near.on('close', ended);
      link.carry(near, far, () => this.fromProxy);
      link.carry(far, near, () => this.fromBroker);
    });
  }

  /** Passes on to port `to` what comes to port `at` (one of its own unless given). */
  static async start(to: number, at?: number): Promise<FrameRelay> {
    const relay = new FrameRelay(to);
    relay.port = at ?? (await freePort());
    await new Promise<void>((resolve, reject) => {
      relay.server.once('error', reject);
      relay.server.listen(relay.port, '127.0.0.1', resolve);
    });
    return relay;
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.links.length;
  }

  /** Takes the rules away: all frames pass, those that are held up first. */
  release(): void {
    this.fromBroker = null;
    this.fromProxy = null;
    for (const link of this.links) link.release();
  }

  /** Lets those that are there go on, and nobody else in. */
  refuse(): void {
    this.server.close();
  }

  /** Resets every connection, as a failing router would. Rules stay. */
  cut(): void {
    for (const link of [...this.links]) link.cut();
  }

  async end(): Promise<void> {
    this.cut();
    await new Promise(resolve => this.server.close(resolve));
  }
}
