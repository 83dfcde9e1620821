/** The addresses behind the names of brokers: each one is a broker. They are looked up again while they are in use. */
import { ADDRCONFIG, lookup } from 'node:dns';
import { isIP } from 'node:net';
import type { BrokerAddress } from '../config/options.ts';

/** One address of a broker. */
export interface Endpoint {
  /** For people: host:port, or host[address]:port where the host is a name. */
  name: string;
  /** As it was named: what a certificate must be for. */
  host: string;
  /** Where to connect to; the host itself if its address is not known. */
  address: string;
  port: number;
  tls: boolean;
}

/** Gives all addresses of a name, or rejects. */
export type Lookup = (host: string) => Promise<string[]>;

const systemLookup: Lookup = host =>
  new Promise((resolve, reject) => {
    // no IPv6 where this machine has none
    lookup(host, { all: true, hints: ADDRCONFIG }, (error, found) => {
      if (error) reject(error);
      else resolve([...new Set(found.map(({ address }) => address))]);
    });
  });

/** Milliseconds for which what a name stands for is not asked again. */
const FRESH_MS = 1000;

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

export const addressName = ({ host, port }: BrokerAddress): string => `${bracketed(host)}:${port}`;

export class Names {
  private readonly lookup: Lookup;
  private readonly addresses = new Map<string, string[]>();
  private underWay: Promise<void> | null = null;
  private askedAt = Number.NEGATIVE_INFINITY;

  constructor(lookup: Lookup = systemLookup) {
    this.lookup = lookup;
  }

  /** The endpoints of these brokers, as far as their names have been looked up. */
  endpoints(brokers: readonly BrokerAddress[]): Endpoint[] {
    return brokers.flatMap(broker => {
      const { host, port } = broker;
      const found = this.addresses.get(host);
      if (isIP(host) || found === undefined) return [{ ...broker, name: addressName(broker), address: host }];
      return found.map(address => ({ ...broker, name: `${host}[${address}]:${port}`, address }));
    });
  }

  /** Whether all names have been found once. */
  allFound(brokers: readonly BrokerAddress[]): boolean {
    return brokers.every(({ host }) => isIP(host) > 0 || this.addresses.has(host));
  }

  /** Milliseconds since the last look-up. */
  get age(): number {
    return performance.now() - this.askedAt;
  }

  /** Looks the names up, unless that was done just now (or `anyhow`). A name that is not found keeps what it had. Never rejects. */
  refresh(brokers: readonly BrokerAddress[], anyhow = false): Promise<void> {
    const hosts = new Set(brokers.map(({ host }) => host).filter(host => !isIP(host)));
    if (hosts.size === 0) return Promise.resolve();
    if (this.underWay !== null) return this.underWay;
    if (!anyhow && this.age < FRESH_MS) return Promise.resolve();
    this.askedAt = performance.now();
    this.underWay = Promise.all(
      [...hosts].map(async host => {
        try {
          const found = await this.lookup(host);
          if (found.length > 0) this.addresses.set(host, found);
        } catch {
          // whoever dials the name itself hears why
        }
      }),
    ).then(() => {
      this.underWay = null;
    });
    return this.underWay;
  }
}
