/** What clients are told of the broker, so that it is the same as they would be told directly. */
import { methodFrame, Writer } from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { mechanismsOf } from '../amqp/sasl.ts';
import { decodeTable, encodeTable, type Table } from '../amqp/table.ts';
import type { Barriers } from './barriers.ts';

/** RabbitMQ's own defaults, offered until an upstream has been met. */
const PROPERTIES = encodeTable({
  capabilities: {
    publisher_confirms: true,
    exchange_exchange_bindings: true,
    'basic.nack': true,
    consumer_cancel_notify: true,
    'connection.blocked': true,
    consumer_priorities: true,
    authentication_failure_close: true,
    per_consumer_qos: true,
    direct_reply_to: true,
  },
  cluster_name: 'rabbit@localhost',
  copyright: '',
  information: '',
  platform: 'Erlang/OTP',
  product: 'RabbitMQ',
  version: '3.10.8',
});

function namesIn(properties: Uint8Array): Table {
  try {
    return decodeTable(Buffer.from(properties), 0, properties.length);
  } catch {
    return {};
  }
}

export class BrokerProfile {
  /** The frame connection.start, as the broker sends it but for the mechanisms that the proxy cannot hand on. */
  start!: Buffer;
  /** The frame connection.tune. */
  tune!: Buffer;
  /** Its name and version. */
  product!: string;
  /** SASL mechanisms that clients may choose from. */
  mechanisms!: string[];
  channelMax!: number;
  frameMax!: number;
  /** Seconds. */
  heartbeat!: number;
  /** connection.start has been seen. */
  met = false;
  /** It is a RabbitMQ, whose words for what it does not do are known; others are asked themselves. */
  isRabbit = true;

  /** `heartbeat` in seconds. */
  constructor(heartbeat: number) {
    this.starts(PROPERTIES, 'PLAIN AMQPLAIN', 'en_US');
    this.tunes(2047, 131072, heartbeat);
  }

  /** It has greeted: `properties` is an encoded field table, the others are lists with spaces between. */
  starts(properties: Uint8Array, mechanisms: string, locales: string): void {
    this.mechanisms = mechanismsOf(mechanisms);
    const { product, version } = namesIn(properties);
    this.isRabbit = product === 'RabbitMQ';
    this.product = `${product ?? 'a broker without a name'} ${version ?? ''}`.trim();
    const args = new Writer(1024).octet(0).octet(9).bytes(properties);
    this.start = methodFrame(
      0,
      M.CONNECTION_START,
      args.longstr(this.mechanisms.join(' ')).longstr(locales).take(),
    );
  }

  /** It has made its offer; `heartbeat` in seconds. */
  tunes(channelMax: number, frameMax: number, heartbeat: number): void {
    this.channelMax = channelMax;
    this.frameMax = frameMax;
    this.heartbeat = heartbeat;
    const args = new Writer(8).short(channelMax).long(frameMax).short(heartbeat);
    this.tune = methodFrame(0, M.CONNECTION_TUNE, args.take());
  }
}

/** What a client is offered in connection.tune. */
export interface Offer {
  readonly tune: Buffer;
  readonly channelMax: number;
  readonly frameMax: number;
  readonly isRabbit: boolean;
}

/** What all of these can do, as far as they are known. */
export function offerOf(profiles: readonly BrokerProfile[]): Offer {
  if (profiles.length === 1) return profiles[0];
  const least = (of: (profile: BrokerProfile) => number): number => {
    const bounds = profiles.map(of).filter(value => value > 0);
    return bounds.length === 0 ? 0 : Math.min(...bounds);
  };
  const offer = new BrokerProfile(0);
  offer.tunes(
    least(({ channelMax }) => channelMax || 65535),
    least(({ frameMax }) => frameMax),
    least(({ heartbeat }) => heartbeat),
  );
  offer.isRabbit = profiles.every(({ isRabbit }) => isRabbit);
  return offer;
}

/** The broker, as its upstreams see it. */
export interface UpstreamBroker {
  /** Its address, for people. */
  readonly name: string;
  readonly profile: BrokerProfile;
  /** Seconds; 0 for what it offers. */
  readonly heartbeat: number;
  /** Whether it answers channel.flow. */
  readonly barriers: Barriers;
  /** Its upstreams are about to end, and there are other brokers. */
  leaves(): boolean;
}
