/** Reaching one address over TCP or TLS, as far as the broker's greeting, and words for why not. */
import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../config/options.ts';
import { Inbox } from '../io/inbox.ts';
import { Transport } from '../io/transport.ts';
import type { Stats } from '../stats.ts';
import type { Barriers } from './barriers.ts';
import { Refused } from './handshake.ts';
import type { Endpoint } from './names.ts';
import type { BrokerProfile } from './profile.ts';
import { Upstream } from './upstream.ts';

/** What an upstream needs besides its address. */
export interface Dialing {
  readonly config: Config;
  readonly profile: BrokerProfile;
  readonly barriers: Barriers;
  readonly stats: Stats;
}

/** Says which check a certificate failed. */
export function explain(error: NodeJS.ErrnoException, host: string): string {
  switch (error.code) {
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired';
    case 'CERT_NOT_YET_VALID':
      return 'its certificate is not valid yet';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `its certificate is for another host name than ${host}: ${error.message.replace(/^.*altnames: /, '')}`;
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

/** An upstream that the broker has greeted. Rejects with an error whose message says what is wrong. */
export function connectTo(endpoint: Endpoint, dialing: Dialing): Promise<Upstream> {
  return new Promise((resolve, reject) => {
    const { config, profile, barriers, stats } = dialing;
    const { connectTimeout, upstreamHeartbeat } = config;
    const inbox = new Inbox();
    const { address, port, tls, name, host } = endpoint;
    // TLS reads by itself
    const onread = tls ? {} : { onread: inbox.onread };
    const tcp = connectTcp({ host: address, port, noDelay: true, ...onread });
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
      reject(new Error(explain(error!, host)));
    };
    const timer = setTimeout(
      () => done(new Error(`no answer within connect_timeout (${connectTimeout} s)`)),
      connectTimeout * 1000,
    );
    const connected = (): void => {
      const transport = new Transport(socket, inbox, stats.upstreamTraffic, tcp);
      const upstream = new Upstream(transport, { name, profile, barriers }, upstreamHeartbeat, stats);
      upstream.greet().then(
        () => done(null, upstream),
        error => done(error instanceof Refused ? new Error('it hangs up without a greeting') : error),
      );
    };
    tcp.on('error', done);
    tcp.once('connect', () => {
      if (!tls) return connected();
      try {
        socket = secure(tcp, host, config, connected);
        socket.on('error', done);
        inbox.adopt(socket);
      } catch (error) {
        done(error as Error);
      }
    });
  });
}

function secure(tcp: Socket, host: string, { tlsVerify, tlsCa }: Config, connected: () => void): Socket {
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
