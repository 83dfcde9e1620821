/** The group "Time": how long each may take. */
import { DAY, HOUR, MINUTE, main } from '../option.ts';
import { integer, seconds } from '../types.ts';

export const TIME = {
  dnsPeriod: main('dns_period', {
    group: 'Time',
    type: seconds(0, DAY),
    default: 30,
    live: true,
    help: "Seconds after which brokers' names are looked up again; 0 for at dials only.",
    more: 'Upstreams to an address that a name does not have any more end with their last lease.',
  }),
  connectTimeout: main('connect_timeout', {
    group: 'Time',
    type: seconds(0.1, 10 * MINUTE),
    default: 2,
    live: true,
    help: 'Seconds a broker has to accept a connection and greet.',
    more: 'Each address of a name is a broker, and the next one is tried as well after 0.3 seconds. 2 is below what clients wait for (php-amqplib: 3).',
  }),
  handshakeTimeout: main('handshake_timeout', {
    group: 'Time',
    type: seconds(0.1, 10 * MINUTE),
    default: 10,
    live: true,
    help: 'Seconds a client has to log in.',
    more: "10 is RabbitMQ's own.",
  }),
  leaseTimeout: main('lease_timeout', {
    group: 'Time',
    type: seconds(0.1, HOUR),
    default: 10,
    live: true,
    help: 'Seconds a client waits for an upstream channel before it is closed with 320.',
  }),
  sendTimeout: main('send_timeout', {
    group: 'Time',
    type: seconds(0, DAY),
    default: 30,
    live: true,
    help: 'Seconds a client may read nothing of what waits for it before it is cut off; 0 for no limit.',
    more: 'Its unacked messages are requeued. RabbitMQ does the like.',
  }),
  heartbeat: main('heartbeat', {
    group: 'Time',
    type: integer(0, 65535, 'SECONDS'),
    default: 60,
    live: false,
    help: 'Heartbeat, in seconds, offered to clients until a broker has been met, and its own from then on.',
  }),
  upstreamHeartbeat: main('upstream_heartbeat', {
    group: 'Time',
    type: integer(0, 65535, 'SECONDS'),
    default: 20,
    live: true,
    help: 'Heartbeat, in seconds, of upstreams, unless the broker offers a shorter one; 0 for what it offers.',
    more: 'It keeps firewalls from forgetting idle upstreams. One that owes an answer and is silent is given up after 8 seconds in any case. It holds for upstreams that are opened from then on.',
  }),
  termClientCloseTimeout: main('term_client_close_timeout', {
    group: 'Time',
    type: seconds(0, DAY),
    default: 0,
    env: 'TERM_CLIENT_CLOSE_TIMEOUT',
    flag: 'term-client-close-timeout',
    live: true,
    help: 'At SIGTERM: seconds clients have to leave by themselves, before they are sent a close.',
    more: 'With 0 who has come in the last 5 seconds, and does not consume, still has 2 seconds: short clients finish.',
  }),
  termTimeout: main('term_timeout', {
    group: 'Time',
    type: seconds(0, DAY, -1),
    default: -1,
    env: 'TERM_TIMEOUT',
    flag: 'term-timeout',
    live: true,
    help: 'At SIGTERM: seconds clients have to answer that close; -1 for as long as it takes.',
  }),
};
