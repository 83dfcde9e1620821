/** The brokers by address, and the choice among them: in turn, those that are down last, several at once when one is slow. */
import type { Socket } from 'node:net';
import { isFaultless } from '../amqp/errors.ts';
import { clock } from '../clock.ts';
import type { Config } from '../config/options.ts';
import type { Stats } from '../stats.ts';
import { Barriers } from './barriers.ts';
import { Broker } from './broker.ts';
import type { BrokerNews } from './broker-news.ts';
import { connectTo } from './connect.ts';
import { type Endpoint, type Lookup, Names } from './names.ts';
import type { BrokerProfile } from './profile.ts';
import { race } from './race.ts';
import type { Upstream } from './upstream.ts';

/** No broker could be reached: says for each why. */
export class Unreachable extends Error {
  constructor(troubles: string[]) {
    super(`no broker can be reached: ${troubles.join('; ')}`);
  }
}

/** Milliseconds a broker has to greet before the next one is tried as well. */
const GREETING_MS = 300;
/** Milliseconds a dial waits for names to be looked up again. */
const LOOKUP_MS = 300;

/** Who is told of changes. */
export interface DialerOwner {
  brokerTells(news: BrokerNews): void;
  /** It is one of our own listeners that was connected to. */
  isSelf(socket: Socket): boolean;
  /** A name does not stand for this address any more. */
  brokerGone(name: string): void;
}

export class Dialer {
  readonly profile: BrokerProfile;
  readonly stats: Stats;
  config: Config;
  private readonly owner: DialerOwner;
  private readonly names: Names;
  private readonly byName = new Map<string, Broker<Upstream>>();
  /** When one of several was lost last, as far as upstreams show that; of the coarse clock. */
  lostAt = Number.NEGATIVE_INFINITY;
  private next = 0;
  /** Who is to have the next ones. */
  private favoured: string[] = [];
  private closed = false;

  constructor(config: Config, profile: BrokerProfile, stats: Stats, owner: DialerOwner, lookup?: Lookup) {
    this.config = config;
    this.profile = profile;
    this.stats = stats;
    this.owner = owner;
    this.names = new Names(lookup);
    this.update();
  }

  get brokers(): Iterable<Broker<Upstream>> {
    return this.byName.values();
  }

  /** Some broker is not known to be down. */
  get ready(): boolean {
    for (const broker of this.byName.values()) if (broker.usable) return true;
    return false;
  }

  /** `anew`: what was known of the brokers counts no more. */
  configure(config: Config, anew: boolean): void {
    this.config = config;
    if (anew) {
      for (const broker of this.byName.values()) broker.close();
      this.byName.clear();
    }
    this.update();
    void this.refresh(true);
  }

  // ---- names

  /** Looks names up that are older than dns_period. */
  maintain(): void {
    const { dnsPeriod } = this.config;
    if (dnsPeriod > 0 && this.names.age > dnsPeriod * 1000) void this.refresh(true);
  }

  private async refresh(anyhow = false): Promise<void> {
    await this.names.refresh(this.config.upstream, anyhow);
    this.update();
  }

  /** What names stand for is looked up again at every dial, unless that takes long. */
  private async fresh(): Promise<void> {
    const refreshed = this.refresh();
    if (!this.names.allFound(this.config.upstream)) return refreshed;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, LOOKUP_MS);
    });
    await Promise.race([refreshed, late]);
    clearTimeout(timer);
  }

  /** Brokers are as many as names stand for now. */
  private update(): void {
    if (this.closed) return;
    const endpoints = this.names.endpoints(this.config.upstream);
    const named = new Set(endpoints.map(({ name }) => name));
    for (const endpoint of endpoints)
      if (!this.byName.has(endpoint.name)) this.byName.set(endpoint.name, this.broker(endpoint));
    for (const [name, broker] of this.byName) {
      if (named.has(name)) continue;
      this.byName.delete(name);
      broker.close();
      this.owner.brokerGone(name);
    }
  }

  private broker(endpoint: Endpoint): Broker<Upstream> {
    const { profile, stats, owner } = this;
    const { name } = endpoint;
    const barriers = new Barriers(text => owner.brokerTells({ name, is: 'odd', text }));
    const itself = new Set([name]);
    const broker: Broker<Upstream> = new Broker(name, {
      connect: async () => {
        try {
          return await connectTo(endpoint, {
            config: this.config,
            profile,
            barriers,
            leaves: () => broker.leaves && this.hasOther(itself),
            stats,
            isSelf: socket => owner.isSelf(socket),
          });
        } catch (error) {
          this.stats.upstreamErrors++;
          throw error;
        }
      },
      unwanted: upstream => upstream.destroy(),
      tell: news => owner.brokerTells(news),
      refusals: () => this.stats.refused.get('unreachable') ?? 0,
      now: () => performance.now(),
    });
    return broker;
  }

  // ---- dials

  /** An upstream that a broker has greeted, which is none of those `tried`. Rejects with Unreachable. */
  async dial(tried: ReadonlySet<string> = new Set()): Promise<Upstream> {
    await this.fresh();
    const order = this.order(tried);
    let at = 0;
    try {
      return await race({
        patience: GREETING_MS,
        next: () => (at < order.length ? order[at++].dial() : null),
        late: upstream => upstream.destroy(),
      });
    } catch {
      throw this.unreachable();
    }
  }

  /** Brokers in turn; those that are down only if there are no others. */
  private order(tried: ReadonlySet<string>): Broker<Upstream>[] {
    const all = [...this.byName.values()].filter(({ name, drained }) => !drained && !tried.has(name));
    const usable = all.filter(broker => broker.usable);
    const from = usable.length > 0 ? usable : all;
    const favoured = this.favoured.pop();
    const named = from.findIndex(({ name }) => name === favoured);
    const first = named >= 0 ? named : this.next++ % Math.max(1, from.length);
    return [...from.slice(first), ...from.slice(0, first)];
  }

  /** One dial for each of these names goes there first; the others go in turn. */
  favour(names: string[]): void {
    this.favoured = names;
  }

  /** Whether there is a broker, not known to be down, that is none of those. */
  hasOther(tried: ReadonlySet<string>): boolean {
    for (const { usable, name, drained } of this.byName.values())
      if (usable && !drained && !tried.has(name)) return true;
    return false;
  }

  /** In words, why no login can be served. */
  unreachable(): Unreachable {
    const troubles = [...this.byName.values()].map(
      ({ name, trouble, drained }) => `${name}: ${drained ? 'drained' : (trouble ?? 'no answer')}`,
    );
    return new Unreachable(troubles);
  }

  /** Looks for those of which nothing is known. */
  verifyNew(): void {
    for (const broker of this.byName.values()) if (broker.unknown) broker.verify();
  }

  // ---- what is seen of brokers

  of(upstream: Upstream): Broker<Upstream> | undefined {
    return this.byName.get(upstream.address);
  }

  /** It has greeted, but does not answer. */
  hangs(name: string, why: string): void {
    this.byName.get(name)?.hangs(why);
  }

  /** It is live. */
  joined(upstream: Upstream): void {
    const broker = this.of(upstream);
    if (broker === undefined) return;
    broker.joined();
    upstream.whenClosed(why => {
      const lost = !upstream.retired;
      if (lost && isFaultless(why) && this.byName.size > 1) this.lostAt = clock.now;
      broker.left(lost, isFaultless(why));
    });
  }

  close(): void {
    this.closed = true;
    for (const broker of this.byName.values()) broker.close();
  }
}
