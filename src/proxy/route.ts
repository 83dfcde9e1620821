/** A way to the brokers of one cluster, with all that belongs to it: whom it takes, its settings, who dials and who logs in. */
import type { Socket } from 'node:net';
import type { Config } from '../config/options.ts';
import type { Account } from '../pool/account.ts';
import type { Route as PoolRoute } from '../pool/context.ts';
import type { Stats } from '../stats.ts';
import type { BrokerNews } from '../upstream/broker-news.ts';
import { Dialer } from '../upstream/dialer.ts';
import { addressName } from '../upstream/names.ts';
import { BrokerProfile } from '../upstream/profile.ts';
import { Greeter } from './greeter.ts';

/** What routes need of the proxy. */
export interface RouteOwner {
  readonly stats: Stats;
  readonly stopping: boolean;
  /** Places for connections to brokers. */
  reserve(route: Route): boolean;
  release(route: Route): void;
  retake(route: Route): void;
  brokerTells(news: BrokerNews): void;
  isSelf(socket: Socket): boolean;
  /** A name does not stand for this address any more. */
  brokerGone(route: Route, name: string): void;
}

/** What upstreams depend on. */
const brokersOf = ({ upstream, tlsCa, tlsVerify, upstreamTlsCert, upstreamTlsKey }: Config): string =>
  JSON.stringify([upstream, tlsCa, tlsVerify, upstreamTlsCert, upstreamTlsKey]);

export class Route implements PoolRoute<Account> {
  readonly name: string;
  config: Config;
  readonly profile: BrokerProfile;
  readonly dialer: Dialer;
  readonly opener: Greeter;

  constructor(name: string, config: Config, owner: RouteOwner) {
    this.name = name;
    this.config = config;
    this.profile = new BrokerProfile(config.heartbeat);
    this.dialer = new Dialer(config, this.profile, owner.stats, {
      brokerTells: news => owner.brokerTells(news),
      isSelf: socket => owner.isSelf(socket),
      brokerGone: name => owner.brokerGone(this, name),
    });
    const route = this;
    this.opener = new Greeter(
      {
        get config() {
          return route.config;
        },
        get stopping() {
          return owner.stopping;
        },
        reserve: () => owner.reserve(this),
        release: () => owner.release(this),
        retake: () => owner.retake(this),
      },
      this.dialer,
    );
  }

  /** It leads somewhere: [main] need not, where every route has brokers of its own. */
  get leads(): boolean {
    return this.config.upstream.length > 0;
  }

  get lostAt(): number {
    return this.dialer.lostAt;
  }

  /** Some broker is not known to be down. */
  get ready(): boolean {
    return this.dialer.ready;
  }

  /** Meets its brokers. */
  begin(): void {
    if (this.leads) void this.opener.meet().then(() => this.dialer.verifyNew());
  }

  /** Takes other settings; true when they name other brokers, or other ways to speak to them. */
  configure(config: Config): boolean {
    const changed = brokersOf(config) !== brokersOf(this.config);
    this.config = config;
    this.dialer.configure(config, changed);
    if (changed) this.opener.leaveBrokers();
    return changed;
  }

  /** "rabbit.example:5671 TLS", for each broker. */
  get addresses(): string[] {
    return this.config.upstream.map(address => `${addressName(address)}${address.tls ? ' TLS' : ''}`);
  }

  /** TLS is spoken, but no certificate is looked at. */
  get trustsAnybody(): boolean {
    return !this.config.tlsVerify && this.config.upstream.some(({ tls }) => tls);
  }

  /** It is not in force any more. */
  close(): void {
    this.opener.leaveBrokers();
    this.dialer.close();
  }
}
