/**
 * Opens upstreams: dials a broker, logs in, in time, at the brokers that are named now. Keeps the one that was dialed to meet
 * the broker, so that clients are greeted as it greets, for the first login.
 */
import { hostname } from 'node:os';
import type { RawLogin } from '../amqp/sasl.ts';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import type { Account } from '../pool/account.ts';
import type { Opener } from '../pool/context.ts';
import { type Dialer, Unreachable } from '../upstream/dialer.ts';
import { Refused } from '../upstream/handshake.ts';
import { race } from '../upstream/race.ts';
import { sharedTitle } from '../upstream/title.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** Milliseconds an upstream that was dialed to meet the broker waits for a login (RabbitMQ hangs up after 10 s). */
const SPARE_MS = 8000;
/** Milliseconds a broker has to answer a login before another broker is tried as well. */
const LOGIN_MS = 1000;

/** An upstream was lost by what was found out with it: the next one will do. */
class Learned extends Error {}

interface GreeterContext {
  readonly config: Config;
  readonly stopping: boolean;
  /** Takes a place for one more connection; false when there is none. */
  reserve(): boolean;
  /** A connection has ended, or could not be had. */
  release(): void;
  /** Takes the place of one that has just ended, for another in its stead. */
  retake(): void;
}

export class Greeter implements Opener<Account> {
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
    if (!this.context.reserve()) return;
    try {
      this.keepSpare(await this.current(() => this.dial()));
    } catch {
      // the broker's state says so
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

  /** A connection in a place that was taken, which is free again when it ends; not to one of the brokers `tried`. */
  private async dial(tried?: ReadonlySet<string>): Promise<Upstream> {
    const { context } = this;
    try {
      const upstream = await this.dialer.dial(tried);
      upstream.whenGone(() => context.release());
      return upstream;
    } catch (error) {
      context.release();
      throw error;
    }
  }

  /** One that has just been dialed, or was kept for this. */
  private async greeted(): Promise<Upstream> {
    const spare = this.takeSpare();
    if (spare === null) return this.dial();
    this.context.release(); // it has a place already
    return spare;
  }

  // ---- logins

  authenticate(account: Account, vhost: string, title: string): Promise<Upstream> {
    return this.current(() => this.contest(null, upstream => this.logIn(upstream, account, vhost, title)));
  }

  open(account: Account, vhost: string, tuned: Upstream | null, title: string): Promise<Upstream> {
    let ready = tuned;
    return this.current(async () => {
      const first = ready;
      ready = null;
      const upstream = await this.contest(first, async upstream => {
        if (upstream !== first) await this.logIn(upstream, account, vhost, title);
        await this.inTime(
          upstream,
          upstream.step(handshake => handshake.open(vhost)),
        );
      });
      await this.inTime(upstream, upstream.learnBarrier());
      if (!upstream.answersFlow && upstream.state !== 'live') throw new Learned();
      this.dialer.joined(upstream);
      return upstream;
    });
  }

  async imitate(login: RawLogin, tuneOk: Buffer | null): Promise<void> {
    const upstream = await this.dial();
    try {
      await this.inTime(
        upstream,
        upstream.step(handshake => handshake.respond(...login, `amqproxy ${hostname()}`)),
      );
      if (tuneOk !== null)
        await this.inTime(
          upstream,
          upstream.step(handshake => handshake.openAs(tuneOk, '/')),
        );
    } finally {
      if (upstream.state !== 'closed') upstream.destroy();
    }
  }

  /** Logs in, with an application's name, or under one for the vhost. */
  private logIn(upstream: Upstream, account: Account, vhost: string, title: string): Promise<void> {
    const name = title || sharedTitle(account.user, vhost, account.nextNumber(vhost));
    upstream.title = name;
    upstream.namedFor = title;
    return this.inTime(
      upstream,
      upstream.step(handshake => handshake.authenticate(account, name)),
    );
  }

  /**
   * The upstream with which `login` has worked: that one, or one of another broker if the first does not answer soon, or not
   * at all.
   */
  private async contest(
    given: Upstream | null,
    login: (upstream: Upstream) => Promise<void>,
  ): Promise<Upstream> {
    const { dialer } = this;
    const first = given ?? (await this.greeted());
    const tried = new Set<string>();
    const waiting = new Set<Upstream>();
    const attempt = async (upstream: Upstream): Promise<Upstream> => {
      tried.add(upstream.address);
      waiting.add(upstream);
      try {
        await login(upstream);
        dialer.of(upstream)?.answers();
        return upstream;
      } catch (error) {
        if (error instanceof Refused && error.why !== null) dialer.of(upstream)?.answers();
        if (upstream.state !== 'closed') upstream.destroy();
        throw error;
      } finally {
        waiting.delete(upstream);
      }
    };
    const next = (): Promise<Upstream> | null => {
      if (tried.size === 0) return attempt(first);
      if (!dialer.hasOther(tried) || !this.context.reserve()) return null;
      return this.dial(tried).then(attempt);
    };
    try {
      const upstream = await race({
        patience: LOGIN_MS,
        next,
        final: error => error instanceof Refused && error.why !== null,
        late: loser => loser.close(),
      });
      for (const { address } of waiting)
        dialer.hangs(
          address,
          `a login was not answered within ${LOGIN_MS / 1000} s, while another broker answered`,
        );
      return upstream;
    } catch (error) {
      const errors = (error as AggregateError).errors as Error[];
      throw errors.find(error => error instanceof Refused) ?? errors[0];
    }
  }

  /** Hangs up on a broker that takes longer than handshake_timeout for a step of the login. */
  private async inTime(upstream: Upstream, step: Promise<void>): Promise<void> {
    const { handshakeTimeout } = this.context.config;
    let late = false;
    const inTime = clock.after(handshakeTimeout, () => {
      late = true;
      upstream.destroy();
    });
    try {
      await step;
    } catch (error) {
      if (!late) throw error;
      const why = `a login was not answered within handshake_timeout (${handshakeTimeout} s)`;
      this.dialer.hangs(upstream.address, why);
      throw new Unreachable([`${upstream.address}: ${why}`]);
    } finally {
      inTime();
    }
  }

  /** The upstream that `make` gives, made anew if a reload has named other brokers meanwhile, or it is spent. */
  private async current(make: () => Promise<Upstream>): Promise<Upstream> {
    for (;;) {
      const { edition } = this;
      try {
        const upstream = await make();
        if (edition === this.edition) return upstream;
        upstream.destroy();
      } catch (error) {
        if (edition === this.edition && !(error instanceof Learned)) throw error;
      }
      this.context.retake();
    }
  }

  /** Other brokers are named: what is under way is made anew. */
  leaveBrokers(): void {
    this.edition++;
    this.dropSpare();
  }
}
