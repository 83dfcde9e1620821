/** Reaching one address over TCP or TLS, as far as the broker's greeting, and words for why not. */
import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../config/options.ts';
import { bareOf } from '../io/bare-socket.ts';
import { Inbox } from '../io/inbox.ts';
import { Transport } from '../io/transport.ts';
import type { Stats } from '../stats.ts';
import type { Barriers } from './barriers.ts';
import { explain } from './explain.ts';
import { Refused } from './handshake.ts';
import type { Endpoint } from './names.ts';
import type { BrokerProfile } from './profile.ts';
import { Upstream } from './upstream.ts';

/** What an upstream needs besides its address. */
export interface Dialing {
  readonly config: Config;
  readonly profile: BrokerProfile;
  readonly barriers: Barriers;
  /** Its upstreams are about to end, and there are other brokers. */
  leaves(): boolean;
  readonly stats: Stats;
  /** It is one of our own listeners that was connected to. */
  isSelf(socket: Socket): boolean;
}

/** An upstream that the broker has greeted. Rejects with an error whose message says what is wrong. */
export function connectTo(endpoint: Endpoint, dialing: Dialing): Promise<Upstream> {
  return new Promise((resolve, reject) => {
    const { config, profile, barriers, leaves, stats } = dialing;
    const { connectTimeout, upstreamHeartbeat: heartbeat } = config;
    const inbox = new Inbox();
    const { address, port, tls, name, host } = endpoint;
    const tcp = connectTcp({ host: address, port, noDelay: true });
    let secured: Socket | null = null;
    let transport: Transport | null = null;
    const done = (error: Error | null, upstream?: Upstream): void => {
      clearTimeout(timer);
      tcp.off('error', done);
      secured?.off('error', done);
      if (upstream) {
        resolve(upstream);
        return;
      }
      tcp.on('error', () => {});
      tcp.destroy();
      transport?.destroy();
      reject(new Error(explain(error!, host)));
    };
    const timer = setTimeout(
      () => done(new Error(`no answer within connect_timeout (${connectTimeout} s)`)),
      connectTimeout * 1000,
    );
    const connected = (): void => {
      transport =
        secured !== null
          ? new Transport(secured, inbox, stats.upstreamTraffic, tcp)
          : new Transport(bareOf(tcp) ?? inbox.adopt(tcp), inbox, stats.upstreamTraffic);
      const upstream = new Upstream(transport, { name, profile, barriers, leaves, heartbeat }, stats);
      upstream
        .step(handshake => handshake.greet())
        .then(
          () => done(null, upstream),
          error => done(error instanceof Refused ? new Error('it hangs up without a greeting') : error),
        );
    };
    tcp.on('error', done);
    tcp.once('connect', () => {
      if (dialing.isSelf(tcp)) return done(new Error('it is this proxy itself: name the broker as upstream'));
      if (!tls) return connected();
      try {
        secured = secure(tcp, host, config, connected);
        secured.on('error', done);
        inbox.adopt(secured);
      } catch (error) {
        done(error as Error);
      }
    });
  });
}

function secure(tcp: Socket, host: string, config: Config, connected: () => void): Socket {
  const { tlsVerify, tlsCa, upstreamTlsCert, upstreamTlsKey } = config;
  return connectTls(
    {
      socket: tcp,
      host,
      rejectUnauthorized: tlsVerify,
      ...(isIP(host) ? {} : { servername: host }),
      ...(tlsCa ? { ca: readFileSync(tlsCa) } : {}),
      ...(upstreamTlsCert ? { cert: readFileSync(upstreamTlsCert), key: readFileSync(upstreamTlsKey) } : {}),
    },
    connected,
  );
}
