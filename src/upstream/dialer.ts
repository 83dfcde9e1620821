/** Reaching a broker: which one, over TCP or TLS, and words for why not. */
import { readFileSync } from 'node:fs';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { clock } from '../clock.ts';
import type { BrokerAddress, Config } from '../config/options.ts';
import { Inbox } from '../io/inbox.ts';
import type { Stats } from '../stats.ts';
import type { Broker } from './broker.ts';
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
  private config: Config;
  private readonly broker: Broker;
  private readonly stats: Stats;
  private readonly failures = new Map<string, { until: number; count: number }>();
  private next = 0;

  constructor(config: Config, broker: Broker, stats: Stats) {
    this.config = config;
    this.broker = broker;
    this.stats = stats;
  }

  configure(config: Config): void {
    this.config = config;
    this.failures.clear();
  }

  /** An upstream that the broker has greeted. Tries every broker once, those that failed lately last. */
  async dial(): Promise<Upstream> {
    const all = this.config.upstream;
    const first = this.next++ % all.length;
    const order = [...all.slice(first), ...all.slice(0, first)];
    const name = addressName;
    const skipped = (a: BrokerAddress): number =>
      (this.failures.get(name(a))?.until ?? 0) > clock.now ? 1 : 0;
    order.sort((a, b) => skipped(a) - skipped(b));
    const errors: string[] = [];
    for (const address of order) {
      try {
        const upstream = await this.dialOne(address);
        this.failures.delete(name(address));
        return upstream;
      } catch (error) {
        const count = (this.failures.get(name(address))?.count ?? 0) + 1;
        const wait = Math.min(SKIP_MAX_MS, SKIP_MS * 2 ** (count - 1)) * (0.5 + Math.random() / 2);
        this.failures.set(name(address), { until: clock.now + wait, count });
        this.stats.upstreamErrors++;
        errors.push(`${name(address)}: ${explain(error as NodeJS.ErrnoException, address)}`);
      }
    }
    throw new Unreachable(`no broker can be reached: ${errors.join('; ')}`);
  }

  private dialOne(address: BrokerAddress): Promise<Upstream> {
    return new Promise((resolve, reject) => {
      const { config } = this;
      const inbox = new Inbox();
      let socket: Socket;
      const connected = (): void => {
        socket.setNoDelay(true);
        socket.setKeepAlive(true, 30_000);
        const upstream = new Upstream(socket, inbox, addressName(address), this.broker, this.stats);
        upstream.greet().then(() => done(null, upstream), done);
      };
      const timer = setTimeout(
        () => done(new Error(`no answer within connect_timeout (${config.connectTimeout} s)`)),
        config.connectTimeout * 1000,
      );
      const done = (error: Error | null, upstream?: Upstream): void => {
        clearTimeout(timer);
        if (upstream) {
          socket.off('error', done);
          resolve(upstream);
          return;
        }
        socket.destroy();
        reject(error);
      };
      try {
        if (address.tls) {
          socket = connectTls(
            {
              host: address.host,
              port: address.port,
              rejectUnauthorized: config.tlsVerify,
              ...(isIP(address.host) ? {} : { servername: address.host }),
              ...(config.tlsCa ? { ca: readFileSync(config.tlsCa) } : {}),
            },
            connected,
          );
          inbox.adopt(socket);
        } else {
          const { host, port } = address;
          socket = connect({ host, port, noDelay: true, onread: inbox.onread }, connected);
        }
        socket.on('error', done);
      } catch (error) {
        clearTimeout(timer);
        reject(error);
      }
    });
  }
}
