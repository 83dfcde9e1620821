/** What is known of the broker, so that clients are told the same as they would be directly. */
import { encodeTable } from '../amqp/table.ts';

/** RabbitMQ's own defaults, offered until an upstream has been met. */
export class Broker {
  /** server-properties of connection.start: an encoded field table. */
  serverProperties: Buffer = encodeTable({
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
  /** SASL mechanisms of connection.start, as one string. */
  mechanisms = 'PLAIN AMQPLAIN';
  locales = 'en_US';
  channelMax = 2047;
  frameMax = 131072;
  /** Seconds. */
  heartbeat: number;
  /** connection.start has been seen. */
  met = false;

  constructor(heartbeat: number) {
    this.heartbeat = heartbeat;
  }
}
