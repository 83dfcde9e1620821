/**
 * Who comes by way of a load balancer, which says by a PROXY header for whom it speaks: the header is read here, before
 * anything else. It is taken from nobody but the load balancers that proxy_from names, and those must send one.
 */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import { isLoopback, type Origin } from '../io/arrival.ts';
import { type Introduction, readIntroduction } from '../io/proxy-header.ts';
import type { Stats } from '../stats.ts';

interface IntroductionsContext {
  readonly config: Config;
  readonly log: Logger;
  readonly stats: Stats;
}

/** Where it comes in. */
interface Door {
  /** "listen eu", for people. */
  readonly heading: string;
  /** The peer is a load balancer that proxy_from names, or who may open a Unix socket. */
  readonly trusted: boolean;
  /** The path of a Unix socket. */
  readonly path: string | null;
}

type Pass = (origin: Origin | null, first: Buffer | null) => void;

const NOTHING = Buffer.alloc(0);

class Guest {
  readonly at = clock.now;
  private readonly socket: Socket;
  private readonly door: Door;
  private readonly peer: string;
  private readonly context: IntroductionsContext;
  private readonly pass: Pass;
  private readonly gone: () => void;
  private bytes: Buffer = NOTHING;

  constructor(socket: Socket, door: Door, context: IntroductionsContext, pass: Pass, gone: () => void) {
    this.socket = socket;
    this.door = door;
    this.peer = door.path === null ? `${socket.remoteAddress}:${socket.remotePort}` : `unix:${door.path}`;
    this.context = context;
    this.pass = pass;
    this.gone = gone;
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('close', this.onEnd);
    socket.on('error', this.onEnd);
    socket.resume();
  }

  private readonly onData = (chunk: Buffer): void => {
    this.bytes = this.bytes.length > 0 ? Buffer.concat([this.bytes, chunk]) : chunk;
    const found = readIntroduction(this.bytes);
    if (found !== 'more') this.settle(found);
  };

  /** It has hung up before it said anything, as health checks do. */
  private readonly onEnd = (): void => this.end();

  private settle(found: Exclude<Introduction, 'more'>): void {
    const { door } = this;
    const { heading, trusted } = door;
    const address = this.socket.remoteAddress ?? this.peer;
    if (!trusted) {
      if (found === 'none') this.goOn(null, this.bytes);
      else
        this.refuse(
          `a PROXY header came from ${address}, which proxy_from of [${heading}] does not name. Add it there if it is your load balancer`,
        );
    } else if (found === 'none')
      this.refuse(
        door.path === null
          ? `no PROXY header came from ${address}, which proxy_from of [${heading}] names. Have it send one (send-proxy), or take it out there`
          : `no PROXY header came from ${address}, which has proxy_protocol in [${heading}]. Have one sent there (send-proxy), or take that out`,
      );
    else if ('wrong' in found)
      this.refuse(
        `a PROXY header from ${address} cannot be read, ${found.wrong}. Have it send version 1 or 2 of the PROXY protocol`,
      );
    else this.goOn(this.originOf(found.from), this.bytes.subarray(found.length));
  }

  /** Local is only whom a load balancer of this host says to be of this host, too. */
  private originOf(from: { address: string; port: number } | null): Origin {
    if (from === null) return { peer: this.peer, isLocal: false };
    const { address, port } = from;
    const near = this.door.path !== null || isLoopback(this.socket.remoteAddress);
    return { peer: `${address}:${port}`, isLocal: near && isLoopback(address) };
  }

  private goOn(origin: Origin | null, rest: Buffer): void {
    this.leave();
    this.socket.pause();
    // when the call that has brought the bytes is over: the socket gets another reader
    process.nextTick(() => this.pass(origin, rest.length > 0 ? rest : null));
  }

  private refuse(why: string): void {
    this.context.stats.refuse('proxy_header');
    this.context.log.warn({ client: this.peer }, `Client refused: ${why}`);
    this.end();
  }

  tooSlow(): void {
    this.context.stats.refuse('handshake_timeout');
    this.context.log.info(
      { client: this.peer },
      `Client closed: it has sent ${this.door.trusted ? 'no PROXY header' : 'nothing'} within handshake_timeout`,
    );
    this.end();
  }

  end(): void {
    this.leave();
    this.socket.on('error', () => {});
    this.socket.destroy();
  }

  private leave(): void {
    this.socket.off('data', this.onData);
    for (const event of ['end', 'close', 'error']) this.socket.off(event, this.onEnd);
    this.gone();
  }
}

export class Introductions {
  private readonly context: IntroductionsContext;
  private readonly waiting = new Set<Guest>();
  private onSettled: (() => void) | null = null;

  constructor(context: IntroductionsContext) {
    this.context = context;
  }

  /** Those of whom nothing is known yet. */
  get count(): number {
    return this.waiting.size;
  }

  /** Reads what comes first; `pass` gets who it is, and what came behind it. */
  hear(socket: Socket, door: Door, pass: Pass): void {
    const guest = new Guest(socket, door, this.context, pass, () => {
      this.waiting.delete(guest);
      if (this.waiting.size === 0) this.onSettled?.();
    });
    this.waiting.add(guest);
  }

  /** `now` as of the coarse clock. */
  maintain(now: number): void {
    const { handshakeTimeout } = this.context.config;
    for (const guest of this.waiting) if (now - guest.at > handshakeTimeout * 1000) guest.tooSlow();
  }

  /** Resolves when all have been heard, or after that many seconds. */
  settled(seconds: number): Promise<void> {
    if (this.waiting.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer);
        this.onSettled = null;
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      this.onSettled = done;
    });
  }

  end(): void {
    for (const guest of [...this.waiting]) guest.end();
  }
}
