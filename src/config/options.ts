/**
 * The one table of options. The checks, the `Config` type, `--help`, etc/amqproxy.ini, the README's table, the manual
 * pages and the completions come from it: a new option is one entry here (then `make docs`).
 */
import {
  address,
  type BrokerAddress,
  boolean,
  brokers,
  choice,
  integer,
  names,
  pemFile,
  port,
  seconds,
  size,
  type Type,
} from './types.ts';

export type { BrokerAddress } from './types.ts';

/** Headings of the manual, in this order. */
export const GROUPS = ['Broker', 'Listen', 'Pool', 'Limits', 'Time', 'Log', 'Monitoring'] as const;

export interface Option<T> {
  /** Section and key in the INI file. */
  section: 'main' | 'listen';
  key: string;
  /** Other spellings of the same: `key` in the same section, or `section.key`. */
  aliases?: string[];
  group: (typeof GROUPS)[number];
  type: Type<T>;
  default: T;
  /** Environment variable. */
  env?: string;
  /** Command-line flag, and its letter. */
  flag?: string;
  letter?: string;
  /** Takes effect on reload (SIGHUP); the others at the next start. */
  live: boolean;
  /** One sentence, with its unit, and what 0 means. */
  help: string;
  /** What else the manual says: why this default, what it costs. */
  more?: string;
}

type Entry<T> = Omit<Option<T>, 'section' | 'key' | 'default'> & { default: NoInfer<T> };

const main = <T>(key: string, entry: Entry<T>): Option<T> => ({ section: 'main', key, ...entry });
const listen = <T>(key: string, entry: Entry<T>): Option<T> => ({ section: 'listen', key, ...entry });

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KIB = 1024;
const MIB = 1024 * KIB;

export const OPTIONS = {
  upstream: main('upstream', {
    group: 'Broker',
    type: brokers,
    default: [] as BrokerAddress[],
    env: 'AMQP_URL',
    live: true,
    help: 'The broker, or the brokers of a cluster, tried in turn.',
    more: 'Without user, password and vhost: each client brings its own. amqps speaks TLS. Default ports: 5672, with TLS 5671. When it changes, new leases go to the new brokers and the old upstreams drain.',
  }),
  tlsCa: main('tls_ca', {
    group: 'Broker',
    type: pemFile,
    default: '',
    live: true,
    help: "Certificates of the authorities that may sign the broker's; empty for the usual ones.",
  }),
  tlsVerify: main('tls_verify', {
    group: 'Broker',
    type: boolean,
    default: true,
    live: true,
    help: "Check the broker's certificate and host name.",
    more: 'With no, anybody on the way can read and change everything; every start warns of it.',
  }),

  upstreamTlsCert: main('tls_cert', {
    group: 'Broker',
    type: pemFile,
    default: '',
    live: true,
    help: 'Certificate shown to brokers that ask for one, with its chain; empty for none.',
    more: 'It and its key are read again at every connection.',
  }),
  upstreamTlsKey: main('tls_key', {
    group: 'Broker',
    type: pemFile,
    default: '',
    live: true,
    help: 'Private key of tls_cert.',
  }),

  poolMode: main('pool_mode', {
    group: 'Pool',
    type: choice(['shared', 'session']),
    default: 'shared',
    live: false,
    help: 'shared: many clients on one upstream; session: each client has one for itself while it is connected.',
    more: 'session is what AMQProxy 0.4 did.',
  }),
  close: main('close', {
    group: 'Pool',
    type: choice(['barrier', 'instant']),
    default: 'barrier',
    live: true,
    help: 'barrier: a close is answered when the broker has handled everything before it; instant: at once.',
    more: 'A barrier is one round trip on that channel (80 µs of broker CPU). With instant nothing is lost, but an error of the last publish has nobody to reach.',
  }),
  consumers: main('consumers', {
    group: 'Pool',
    type: choice(['private', 'shared']),
    default: 'private',
    live: true,
    help: 'private: a client that consumes gets an upstream for itself; shared: it stays on a shared one.',
    more: 'Shared are consumers with a prefetch bound, with acks and without arguments; on upstreams of their own, so that no alarm stops their acks. Such a client is closed (506) when more than client_buffer waits for it, and its messages are requeued.',
  }),
  maxUpstreamChannels: main('max_upstream_channels', {
    group: 'Pool',
    type: integer(1, 65535),
    default: 2047,
    env: 'MAX_UPSTREAM_CHANNELS',
    flag: 'max-upstream-channels',
    live: true,
    help: "Most channels on one upstream; the broker's channel_max holds as well.",
    more: "2047 is RabbitMQ's own channel_max.",
  }),
  idleConnectionTimeout: main('idle_connection_timeout', {
    group: 'Pool',
    type: seconds(0, 7 * DAY),
    default: 5 * MINUTE,
    env: 'IDLE_CONNECTION_TIMEOUT',
    flag: 'idle-connection-timeout',
    letter: 't',
    live: true,
    help: 'Seconds after which an upstream nobody uses is closed; 0 for never.',
    more: "AMQProxy's 5 seconds are shorter than the pause between two requests of a quiet site, which would log in anew each time. 5 minutes bridge it, and an idle upstream costs the broker only about 100 KB.",
  }),
  minUpstreams: main('min_upstreams', {
    group: 'Pool',
    type: integer(0, 10000),
    default: 0,
    live: true,
    help: 'Upstreams of a pool (user, secret and vhost) that stay open however long they are idle.',
  }),
  channelLifetime: main('channel_lifetime', {
    group: 'Pool',
    type: seconds(0, DAY),
    default: 30,
    live: true,
    help: 'Seconds after which an upstream channel is closed rather than parked for another lease; 0 for never.',
    more: 'RabbitMQ remembers by channel what a user may do: so this bounds how long a right that was taken away is still good. And after a burst no more channels stay than are used.',
  }),
  maxLifetime: main('max_lifetime', {
    group: 'Pool',
    type: seconds(0, 30 * DAY),
    default: 10 * MINUTE,
    live: true,
    help: 'Seconds after which an upstream takes no new leases; 0 for never.',
    more: 'It is closed when its last lease ends. This bounds how long a revoked secret, or a right that hangs on the connection (tags of the user, limits), still opens the door.',
  }),
  messageBuffer: main('message_buffer', {
    group: 'Pool',
    type: size(0, 128 * MIB),
    default: MIB,
    live: true,
    help: 'Bytes of incomplete messages held back for one client.',
    more: 'What would exceed it goes over a private upstream as it comes; twice as much counts with the frames around it.',
  }),
  clientBuffer: main('client_buffer', {
    group: 'Pool',
    type: size(64 * KIB, 1024 * MIB),
    default: MIB,
    live: true,
    help: 'Bytes that may wait to be read by one client.',
    more: 'Beyond half of it, a private upstream is paused, or a client on a shared one read no more. Beyond it, a client that consumes from a shared one is closed (506); one that only publishes may have 128 MiB more of what the broker returns.',
  }),
  upstreamBuffer: main('upstream_buffer', {
    group: 'Pool',
    type: size(64 * KIB, 1024 * MIB),
    default: 4 * MIB,
    live: true,
    help: 'Bytes that may wait to be taken by one upstream before those who publish to it are paused.',
  }),

  maxClients: main('max_clients', {
    group: 'Limits',
    type: integer(0, 10_000_000),
    default: 0,
    live: true,
    help: 'Most clients at a time; 0 for no limit.',
  }),
  maxClientsPerUser: main('max_clients_per_user', {
    group: 'Limits',
    type: integer(0, 10_000_000),
    default: 0,
    live: true,
    help: 'Most clients of one user at a time; 0 for no limit.',
  }),
  maxUpstreams: main('max_upstreams', {
    group: 'Limits',
    type: integer(0, 100_000),
    default: 0,
    live: true,
    help: 'Most upstreams of one pool (user, secret and vhost); 0 for no limit.',
  }),
  maxUpstreamsTotal: main('max_upstreams_total', {
    group: 'Limits',
    type: integer(0, 100_000),
    default: 0,
    live: true,
    help: 'Most upstreams of all pools together; 0 for no limit.',
  }),
  allowRemoteGuest: main('allow_remote_guest', {
    group: 'Limits',
    type: boolean,
    default: false,
    live: true,
    help: 'Let the user guest in from other hosts.',
    more: 'A broker trusts guest, and logins by ANONYMOUS, from its own host only. A proxy on that host must not lend this trust to others.',
  }),
  loopbackUsers: main('loopback_users', {
    group: 'Limits',
    type: names,
    default: ['guest'],
    live: true,
    help: 'Users that may come in from this host only, as with the setting of the same name in RabbitMQ.',
    more: 'A broker lets them in from its own host only, and a proxy there looks like one of its own host. Name here who is named there.',
  }),

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

  logLevel: main('log_level', {
    group: 'Log',
    aliases: ['listen.log_level'],
    type: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      // the other levels of AMQProxy, and of syslog
      notice: 'warn',
      warning: 'warn',
      none: 'silent',
      unknown: 'fatal',
    }),
    default: 'info',
    env: 'LOG_LEVEL',
    flag: 'log-level',
    live: true,
    help: 'The least important messages to log.',
  }),
  logFormat: main('log_format', {
    group: 'Log',
    type: choice(['auto', 'pretty', 'journal', 'json']),
    default: 'auto',
    flag: 'log-format',
    live: false,
    help: 'How the log is written to standard output.',
    more: 'auto: pretty on a terminal, with journal priorities under systemd, plain lines elsewhere.',
  }),
  statsPeriod: main('stats_period', {
    group: 'Log',
    type: seconds(0, DAY),
    default: MINUTE,
    live: true,
    help: 'Seconds between two stats lines in the log; 0 for none.',
  }),

  listenAddress: listen('address', {
    group: 'Listen',
    aliases: ['bind'],
    type: address,
    default: 'localhost',
    env: 'LISTEN_ADDRESS',
    flag: 'listen',
    letter: 'l',
    live: false,
    help: 'Address to listen on; localhost is 127.0.0.1 and, where there is one, ::1.',
  }),
  listenPort: listen('port', {
    group: 'Listen',
    type: port,
    default: 5673,
    env: 'LISTEN_PORT',
    flag: 'port',
    letter: 'p',
    live: false,
    help: 'Port to listen on; 0 for any that is free.',
  }),
  listenTlsPort: listen('tls_port', {
    group: 'Listen',
    type: port,
    default: 0,
    live: false,
    help: 'Port for clients that speak TLS; 0 for none.',
  }),
  tlsCert: listen('tls_cert', {
    group: 'Listen',
    type: pemFile,
    default: '',
    live: true,
    help: 'Certificate shown to clients that speak TLS, with its chain.',
    more: 'It is read again at each reload.',
  }),
  tlsKey: listen('tls_key', {
    group: 'Listen',
    type: pemFile,
    default: '',
    live: true,
    help: 'Private key of tls_cert.',
  }),
  httpAddress: listen('http_address', {
    group: 'Monitoring',
    aliases: ['http_bind'],
    type: address,
    default: 'localhost',
    live: false,
    help: 'Address of the HTTP server (/metrics, /healthz, /readyz).',
    more: 'AMQProxy listens on the same address as for AMQP; here it stays on loopback unless told otherwise.',
  }),
  httpPort: listen('http_port', {
    group: 'Monitoring',
    aliases: ['main.http_port'],
    type: port,
    default: 15673,
    env: 'HTTP_PORT',
    flag: 'http-port',
    letter: 'b',
    live: false,
    help: 'Port of the HTTP server; 0 for none.',
  }),
};

export type OptionName = keyof typeof OPTIONS;

/** The settings by name: sizes in bytes, times in seconds. */
export type Config = { -readonly [K in OptionName]: (typeof OPTIONS)[K]['default'] };

export const optionNames = Object.keys(OPTIONS) as OptionName[];

/** An option as one type, for code that treats all alike. */
export const optionOf = (name: OptionName): Option<unknown> => OPTIONS[name] as unknown as Option<unknown>;

export function defaults(): Config {
  return Object.fromEntries(optionNames.map(name => [name, OPTIONS[name].default])) as unknown as Config;
}

/** A value as it is written in the INI file. */
export const show = (name: OptionName, value: unknown): string => optionOf(name).type.show(value);
