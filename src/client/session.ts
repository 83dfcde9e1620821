/** A client's connection, as its parts see it. */

import type { Verdict } from '../amqp/scanner.ts';
import type { Config } from '../config/options.ts';
import type { Denial } from '../pool/denial.ts';
import type { Pool } from '../pool/pool.ts';
import type { PrivateHolder } from '../pool/private-lease.ts';
import type { TopologyOwner } from '../pool/topologies.ts';
import type { Stats } from '../stats.ts';
import type { Carrier } from '../upstream/carrier.ts';
import type { ChannelOwner } from './channel.ts';
import type { Offence } from './offences.ts';
import type { Stay } from './stay.ts';
import type { Trail } from './trail.ts';

/** See ending.ts. */
export type ClientState = 'handshake' | 'running' | 'leaving' | 'closing' | 'closed';

export interface Session extends ChannelOwner, PrivateHolder, TopologyOwner {
  readonly config: Config;
  readonly stats: Stats;
  readonly state: ClientState;
  readonly trail: Trail;
  readonly transport: { readonly bytesIn: number };
  readonly publisher: { readonly published: number };
  readonly stay: Stay;
  /** What the application calls its connection. */
  readonly negotiated: { readonly title: string };
  /** Where it is logged in, from connection.open on. */
  readonly pool: Pool;
  /** The frame_max that was agreed on. */
  readonly frameMax: number;
  /** Closes the client's connection for what it did; the reason is the broker's own. */
  offend(why: Offence): Verdict;
  /** Closes it because something cannot be had. */
  deny(denial: Denial): void;
  /** Has the channels that can leave their upstreams; true when none is on its way. */
  moveAll(): boolean;
  /** Has bytes of earlier frames scanned again, before the one at hand. */
  rewind(bytes: Buffer): void;
  /** A consumer of this client is on a shared upstream. */
  sharesConsumer(): void;
  /** Reads it no more until an upstream has taken what waits for it. */
  upstreamFull(upstream: Carrier): void;
}
