/** Reaching a broker: which one, over TCP or TLS, and words for why not. */
import { readFileSync } from 'node:fs';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { clock } from '../clock.ts';
import type { BrokerAddress, Config } from '../config/options.ts';
import { Inbox } from '../io/inbox.ts';
import { Transport } from '../io/transport.ts';
import type { Stats } from '../stats.ts';
import { Brokers } from './brokers.ts';
import type { BrokerProfile } from './profile.ts';
import { Upstream } from './upstream.ts';

/** No broker could be reached: says for each why. */
export class Unreachable extends Error {}

/** Milliseconds an address that failed is passed over while others are left, doubled by each failure in a row. */
const SKIP_MS = 1000;
const SKIP_MAX_MS = 30_000;

export const addressName = ({ host, port }: BrokerAddress): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Says which check a certificate failed. */
export function explain(error: NodeJS.ErrnoException, address: BrokerAddress): string {
  switch (error.code) {
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired';
    case 'CERT_NOT_YET_VALID':
      return 'its certificate is not valid yet';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `its certificate is for another host name than ${address.host}: ${error.message.replace(/^.*altnames: /, '')}`;
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'its certificate is not trusted: it is signed by an authority this machine does not know (set tls_ca)';
    default:
      return error.message || String(error.code);
  }
}

export class Dialer {
  readonly brokers = new Brokers();
  private config: Config;
  private readonly profile: BrokerProfile;
  private readonly stats: Stats;
  private readonly failures = new Map<string, { until: number; count: number }>();
  private next = 0;

  constructor(config: Config, profile: BrokerProfile, stats: Stats) {
    this.config = config;
    this.profile = profile;
    this.stats = stats;
    this.configure(config);
  }

  configure(config: Config): void {
    this.config = config;
    this.brokers.keep(config.upstream.map(addressName));
    this.failures.clear();
  }

  /** An upstream that the broker has greeted. Tries every broker once, those that failed lately last. */
  async dial(): Promise<Upstream> {
    const all = this.config.upstream.filter(address => !this.brokers.of(addressName(address)).drained);
    if (all.length === 0)
      throw new Unreachable('no broker can be reached: the operator has drained all of them');
    const first = this.next++ % all.length;
    const order = [...all.slice(first), ...all.slice(0, first)];
    const name = addressName;
    const skipped = (a: BrokerAddress): number =>
      (this.failures.get(name(a))?.until ?? 0) > clock.now ? 1 : 0;
    order.sort((a, b) => skipped(a) - skipped(b));
    const errors: string[] = [];
    for (const address of order) {
      const began = Date.now();
      try {
        const upstream = await this.dialOne(address);
        this.failures.delete(name(address));
        this.brokers.dialed(name(address), began, null);
        return upstream;
      } catch (error) {
        const count = (this.failures.get(name(address))?.count ?? 0) + 1;
        const wait = Math.min(SKIP_MAX_MS, SKIP_MS * 2 ** (count - 1)) * (0.5 + Math.random() / 2);
        this.failures.set(name(address), { until: clock.now + wait, count });
        this.stats.upstreamErrors++;
        const why = explain(error as NodeJS.ErrnoException, address);
        this.brokers.dialed(name(address), began, why);
        errors.push(`${name(address)}: ${why}`);
      }
    }
    throw new Unreachable(`no broker can be reached: ${errors.join('; ')}`);
  }

  private dialOne(address: BrokerAddress): Promise<Upstream> {
    return new Promise((resolve, reject) => {
      const { connectTimeout } = this.config;
      const inbox = new Inbox();
      const { host, port } = address;
      // TLS reads by itself
      const onread = address.tls ? {} : { onread: inbox.onread };
      const tcp = connect({ host, port, noDelay: true, ...onread });
      let socket = tcp;
      const done = (error: Error | null, upstream?: Upstream): void => {
        clearTimeout(timer);
        tcp.off('error', done);
        socket.off('error', done);
        if (upstream) {
          resolve(upstream);
          return;
        }
        tcp.on('error', () => {});
        tcp.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => done(new Error(`no answer within connect_timeout (${connectTimeout} s)`)),
        connectTimeout * 1000,
      );
      const connected = (): void => {
        const transport = new Transport(socket, inbox, this.stats.upstreamTraffic, tcp);
        const upstream = new Upstream(transport, addressName(address), this.profile, this.stats);
        upstream.step(handshake => handshake.greet()).then(() => done(null, upstream), done);
      };
      tcp.on('error', done);
      tcp.once('connect', () => {
        if (!address.tls) return connected();
        try {
          socket = this.secure(tcp, address, connected);
          socket.on('error', done);
          inbox.adopt(socket);
        } catch (error) {
          done(error as Error);
        }
      });
    });
  }

  private secure(tcp: Socket, { host }: BrokerAddress, connected: () => void): Socket {
    const { tlsVerify, tlsCa } = this.config;
    return connectTls(
      {
        socket: tcp,
        host,
        rejectUnauthorized: tlsVerify,
        ...(isIP(host) ? {} : { servername: host }),
        ...(tlsCa ? { ca: readFileSync(tlsCa) } : {}),
      },
      connected,
    );
  }
}
