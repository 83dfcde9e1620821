/**
 * Opens upstreams: dials a broker, logs in, in time, at the brokers that are named now. Keeps the one that was dialed to meet
 * the broker, so that clients are greeted as it greets, for the first login.
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import type { Account } from '../pool/account.ts';
import type { Opener, Registry } from '../pool/registry.ts';
import type { Dialer } from '../upstream/dialer.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** Milliseconds an upstream that was dialed to meet the broker waits for a login (RabbitMQ hangs up after 10 s). */
const SPARE_MS = 8000;

interface GreeterContext {
  readonly config: Config;
  readonly log: Logger;
  readonly registry: Pick<Registry, 'reserve' | 'release' | 'retake'>;
  readonly stopping: boolean;
}

export class Greeter implements Opener {
  private readonly context: GreeterContext;
  private readonly dialer: Dialer;
  /** How often other brokers have come in force. */
  private edition = 0;
  private meeting: Promise<void> | null = null;
  private spare: Upstream | null = null;
  private spareTimer: NodeJS.Timeout | null = null;

  constructor(context: GreeterContext, dialer: Dialer) {
    this.context = context;
    this.dialer = dialer;
  }

  /** Dials the broker so that clients are greeted as it greets. Resolves, never rejects, when it has been met or cannot be. */
  meet(): Promise<void> {
    this.meeting ??= this.meetOnce().finally(() => {
      this.meeting = null;
    });
    return this.meeting;
  }

  private async meetOnce(): Promise<void> {
    if (!this.context.registry.reserve()) return;
    try {
      this.keepSpare(await this.current(() => this.dial()));
    } catch (error) {
      this.context.log.warn((error as Error).message);
    }
  }

  private keepSpare(upstream: Upstream): void {
    if (this.context.stopping || this.spare !== null) {
      upstream.destroy();
      return;
    }
    this.spare = upstream;
    this.spareTimer = setTimeout(() => this.dropSpare(), SPARE_MS);
  }

  private takeSpare(): Upstream | null {
    const { spare } = this;
    this.spare = null;
    if (this.spareTimer) clearTimeout(this.spareTimer);
    return spare?.waitsAt('greeted') ? spare : null;
  }

  dropSpare(): boolean {
    const spare = this.takeSpare();
    spare?.destroy();
    return spare !== null;
  }

  /** A connection in a place that was taken, which is free again when it ends. */
  private async dial(): Promise<Upstream> {
    const { registry } = this.context;
    try {
      const upstream = await this.dialer.dial();
      upstream.whenGone(() => registry.release());
      return upstream;
    } catch (error) {
      registry.release();
      throw error;
    }
  }

  authenticate(account: Account, vhost: string): Promise<Upstream> {
    return this.current(() => this.newUpstream(account, vhost));
  }

  open(account: Account, vhost: string, tuned: Upstream | null): Promise<Upstream> {
    let ready = tuned;
    return this.current(async () => {
      const upstream = ready ?? (await this.newUpstream(account, vhost));
      ready = null;
      await this.inTime(
        upstream,
        upstream.step(handshake => handshake.open(vhost)),
      );
      return upstream;
    });
  }

  /** An upstream that is logged in but has opened no vhost, named for one. */
  private async newUpstream(account: Account, vhost: string): Promise<Upstream> {
    const spare = this.takeSpare();
    if (spare !== null) this.context.registry.release(); // it has a place already
    const upstream = spare ?? (await this.dial());
    const name = `amqproxy ${hostname()}: ${account.user}@${vhost} #${account.nextNumber(vhost)}`;
    upstream.title = name;
    await this.inTime(
      upstream,
      upstream.step(handshake => handshake.authenticate(account, name)),
    );
    return upstream;
  }

  /** The upstream that `make` gives, made anew if a reload has named other brokers meanwhile. */
  private async current(make: () => Promise<Upstream>): Promise<Upstream> {
    for (;;) {
      const { edition } = this;
      try {
        const upstream = await make();
        if (edition === this.edition) return upstream;
        upstream.destroy();
      } catch (error) {
        if (edition === this.edition) throw error;
      }
      this.context.registry.retake();
    }
  }

  /** Hangs up on a broker that takes longer than handshake_timeout for a step of the login. */
  private async inTime(upstream: Upstream, step: Promise<void>): Promise<void> {
    const inTime = clock.after(this.context.config.handshakeTimeout, () => upstream.destroy());
    try {
      await step;
    } finally {
      inTime();
    }
  }

  /** Other brokers are named: what is under way is made anew. */
  leaveBrokers(): void {
    this.edition++;
    this.dropSpare();
  }
}
