/**
 * The one table of options. `--help`, the INI file, the README's table, the checks and the `Config` type come from it:
 * a new option is one entry here.
 */
import {
  parseBoolean,
  parseBrokers,
  parseChoice,
  parseInteger,
  parseNumber,
  parseSize,
  parseText,
} from './values.ts';

export interface BrokerAddress {
  host: string;
  port: number;
  tls: boolean;
}

type Parse<T> = (text: string) => T;

interface Option<T> {
  /** Section and key in the INI file. */
  section: 'main' | 'listen';
  key: string;
  /** Other spellings of the same: `key` in the same section, or `section.key`. */
  aliases?: string[];
  parse: Parse<T>;
  default: T;
  /** Environment variable. */
  env?: string;
  /** Command-line flag, and its letter. */
  flag?: string;
  letter?: string;
  /** Takes effect on reload. */
  live: boolean;
  /** What it means, with its unit. */
  help: string;
  /** What is allowed, for errors and the manual. */
  allowed: string;
}

const option = <T>(o: Option<T>): Option<T> => o;

export const OPTIONS = {
  upstream: option({
    section: 'main',
    key: 'upstream',
    env: 'AMQP_URL',
    live: true,
    default: [] as BrokerAddress[],
    parse: parseBrokers,
    allowed: '{amqp|amqps}://HOST[:PORT], several separated by commas',
    help: 'The broker, or the brokers of a cluster, tried in turn. No user, password or vhost: clients bring their own.',
  }),
  logLevel: option({
    section: 'main',
    key: 'log_level',
    aliases: ['listen.log_level'],
    env: 'LOG_LEVEL',
    flag: 'log-level',
    live: true,
    default: 'info',
    parse: parseChoice('debug', 'info', 'warn', 'error', 'fatal'),
    allowed: 'debug, info, warn, error or fatal',
    help: 'The least important messages to log.',
  }),
  logFormat: option({
    section: 'main',
    key: 'log_format',
    flag: 'log-format',
    live: false,
    default: 'auto',
    parse: parseChoice('auto', 'pretty', 'journal', 'json'),
    allowed: 'auto, pretty, journal or json',
    help: 'auto: pretty on a terminal, with journal priorities under systemd, plain text in a pipe.',
  }),
  statsPeriod: option({
    section: 'main',
    key: 'stats_period',
    live: true,
    default: 60,
    parse: parseNumber(0, 86400),
    allowed: 'seconds, 0 to 86400',
    help: 'Seconds between two stats lines in the log; 0 for none.',
  }),
  idleConnectionTimeout: option({
    section: 'main',
    key: 'idle_connection_timeout',
    env: 'IDLE_CONNECTION_TIMEOUT',
    flag: 'idle-connection-timeout',
    letter: 't',
    live: true,
    default: 300,
    parse: parseNumber(0, 86400 * 7),
    allowed: 'seconds, 0 to 604800',
    help: 'Seconds after which an upstream nobody uses is closed; 0 for never. 5 minutes bridge the quiet spells of a web application; an idle upstream costs the broker about 100 KB.',
  }),
  maxUpstreamChannels: option({
    section: 'main',
    key: 'max_upstream_channels',
    env: 'MAX_UPSTREAM_CHANNELS',
    flag: 'max-upstream-channels',
    live: true,
    default: 2047,
    parse: parseInteger(1, 65535),
    allowed: 'a whole number, 1 to 65535',
    help: "Most channels on one shared upstream; the broker's channel_max holds as well.",
  }),
  minUpstreams: option({
    section: 'main',
    key: 'min_upstreams',
    live: true,
    default: 0,
    parse: parseInteger(0, 10000),
    allowed: 'a whole number, 0 to 10000',
    help: 'Upstreams of a pool that stay open however long they are idle.',
  }),
  maxUpstreams: option({
    section: 'main',
    key: 'max_upstreams',
    live: true,
    default: 0,
    parse: parseInteger(0, 100000),
    allowed: 'a whole number, 0 to 100000',
    help: 'Most upstreams of one pool (user, secret and vhost); 0 for no limit.',
  }),
  maxUpstreamsTotal: option({
    section: 'main',
    key: 'max_upstreams_total',
    live: true,
    default: 0,
    parse: parseInteger(0, 100000),
    allowed: 'a whole number, 0 to 100000',
    help: 'Most upstreams of all pools together; 0 for no limit.',
  }),
  maxLifetime: option({
    section: 'main',
    key: 'max_lifetime',
    live: true,
    default: 3600,
    parse: parseNumber(0, 86400 * 30),
    allowed: 'seconds, 0 to 2592000',
    help: 'Seconds after which an upstream takes no new leases and is closed when the last one ends, so that a revoked secret does not open the door for ever; 0 for never.',
  }),
  poolMode: option({
    section: 'main',
    key: 'pool_mode',
    live: false,
    default: 'shared',
    parse: parseChoice('shared', 'session'),
    allowed: 'shared or session',
    help: 'shared: many clients on one upstream; session: each client has an upstream for itself while it is connected.',
  }),
  close: option({
    section: 'main',
    key: 'close',
    live: true,
    default: 'barrier',
    parse: parseChoice('barrier', 'instant'),
    allowed: 'barrier or instant',
    help: 'barrier: a close is answered when the broker has handled everything before it; instant: at once.',
  }),
  consumers: option({
    section: 'main',
    key: 'consumers',
    live: true,
    default: 'private',
    parse: parseChoice('private', 'shared'),
    allowed: 'private or shared',
    help: 'private: a client that consumes gets an upstream for itself; shared: it stays on a shared one, and is closed when more than client_buffer waits for it.',
  }),
  messageBuffer: option({
    section: 'main',
    key: 'message_buffer',
    live: true,
    default: 1048576,
    parse: parseSize(0, 134217728),
    allowed: 'a size from 0 to 128MiB',
    help: 'Largest message held back until it is complete; a larger one goes over a private upstream as it comes.',
  }),
  clientBuffer: option({
    section: 'main',
    key: 'client_buffer',
    live: true,
    default: 1048576,
    parse: parseSize(65536, 1073741824),
    allowed: 'a size from 64KiB to 1GiB',
    help: 'Bytes that may wait to be read by one client before its upstream is paused (private) or it is closed (shared).',
  }),
  upstreamBuffer: option({
    section: 'main',
    key: 'upstream_buffer',
    live: true,
    default: 4194304,
    parse: parseSize(65536, 1073741824),
    allowed: 'a size from 64KiB to 1GiB',
    help: 'Bytes that may wait to be taken by one upstream before the clients that write to it are paused.',
  }),
  leaseTimeout: option({
    section: 'main',
    key: 'lease_timeout',
    live: true,
    default: 10,
    parse: parseNumber(0.1, 3600),
    allowed: 'seconds, 0.1 to 3600',
    help: 'Seconds a client waits for an upstream channel before it is closed with 320.',
  }),
  connectTimeout: option({
    section: 'main',
    key: 'connect_timeout',
    live: true,
    default: 5,
    parse: parseNumber(0.1, 600),
    allowed: 'seconds, 0.1 to 600',
    help: 'Seconds one broker has to accept a connection and greet.',
  }),
  handshakeTimeout: option({
    section: 'main',
    key: 'handshake_timeout',
    live: true,
    default: 10,
    parse: parseNumber(0.1, 600),
    allowed: 'seconds, 0.1 to 600',
    help: 'Seconds a client has to log in.',
  }),
  heartbeat: option({
    section: 'main',
    key: 'heartbeat',
    live: false,
    default: 60,
    parse: parseInteger(0, 65535),
    allowed: 'seconds, 0 to 65535',
    help: "Seconds, offered to clients until an upstream has been met; then the broker's own.",
  }),
  maxClients: option({
    section: 'main',
    key: 'max_clients',
    live: true,
    default: 0,
    parse: parseInteger(0, 10000000),
    allowed: 'a whole number, 0 to 10000000',
    help: 'Most clients at a time; 0 for no limit.',
  }),
  maxClientsPerUser: option({
    section: 'main',
    key: 'max_clients_per_user',
    live: true,
    default: 0,
    parse: parseInteger(0, 10000000),
    allowed: 'a whole number, 0 to 10000000',
    help: 'Most clients of one user at a time; 0 for no limit.',
  }),
  allowRemoteGuest: option({
    section: 'main',
    key: 'allow_remote_guest',
    live: true,
    default: false,
    parse: parseBoolean,
    allowed: 'yes or no',
    help: 'Let the user guest in from other hosts. The broker trusts guest from its own host only; a proxy there must not lend that trust.',
  }),
  tlsCa: option({
    section: 'main',
    key: 'tls_ca',
    live: true,
    default: '',
    parse: parseText,
    allowed: 'a file of certificates in PEM form',
    help: "Certificates of the authorities that may sign the broker's; empty for the system's own list.",
  }),
  tlsVerify: option({
    section: 'main',
    key: 'tls_verify',
    live: true,
    default: true,
    parse: parseBoolean,
    allowed: 'yes or no',
    help: 'no: take any certificate from the broker. Anybody on the way can then read and change everything.',
  }),
  termTimeout: option({
    section: 'main',
    key: 'term_timeout',
    env: 'TERM_TIMEOUT',
    flag: 'term-timeout',
    live: true,
    default: -1,
    parse: parseNumber(-1, 86400),
    allowed: 'seconds, 0 to 86400, or -1',
    help: 'On SIGTERM: seconds to wait for clients to answer connection.close; -1 for as long as it takes.',
  }),
  termClientCloseTimeout: option({
    section: 'main',
    key: 'term_client_close_timeout',
    env: 'TERM_CLIENT_CLOSE_TIMEOUT',
    flag: 'term-client-close-timeout',
    live: true,
    default: 0,
    parse: parseNumber(0, 86400),
    allowed: 'seconds, 0 to 86400',
    help: 'On SIGTERM: seconds to wait for clients to leave by themselves before they are sent connection.close.',
  }),
  listenAddress: option({
    section: 'listen',
    key: 'address',
    aliases: ['bind'],
    env: 'LISTEN_ADDRESS',
    flag: 'listen',
    letter: 'l',
    live: false,
    default: 'localhost',
    parse: parseText,
    allowed: 'an IP address or host name',
    help: 'Address to listen on; localhost is 127.0.0.1 and, where there is one, ::1.',
  }),
  listenPort: option({
    section: 'listen',
    key: 'port',
    env: 'LISTEN_PORT',
    flag: 'port',
    letter: 'p',
    live: false,
    default: 5673,
    parse: parseInteger(0, 65535),
    allowed: 'a port, 0 to 65535',
    help: 'Port to listen on; 0 for any that is free.',
  }),
  listenTlsPort: option({
    section: 'listen',
    key: 'tls_port',
    live: false,
    default: 0,
    parse: parseInteger(0, 65535),
    allowed: 'a port, 0 to 65535',
    help: 'Port for clients that speak TLS; 0 for none.',
  }),
  tlsCert: option({
    section: 'listen',
    key: 'tls_cert',
    live: true,
    default: '',
    parse: parseText,
    allowed: 'a file in PEM form',
    help: 'Certificate (chain) shown on tls_port.',
  }),
  tlsKey: option({
    section: 'listen',
    key: 'tls_key',
    live: true,
    default: '',
    parse: parseText,
    allowed: 'a file in PEM form',
    help: 'Private key of tls_cert.',
  }),
  httpAddress: option({
    section: 'listen',
    key: 'http_address',
    aliases: ['http_bind'],
    live: false,
    default: 'localhost',
    parse: parseText,
    allowed: 'an IP address or host name',
    help: 'Address of the HTTP server (metrics and health).',
  }),
  httpPort: option({
    section: 'listen',
    key: 'http_port',
    aliases: ['main.http_port'],
    env: 'HTTP_PORT',
    flag: 'http-port',
    letter: 'b',
    live: false,
    default: 15673,
    parse: parseInteger(0, 65535),
    allowed: 'a port, 0 to 65535',
    help: 'Port of the HTTP server; 0 for none.',
  }),
};

export type OptionName = keyof typeof OPTIONS;
export type Config = { -readonly [K in OptionName]: (typeof OPTIONS)[K]['default'] };

export const optionNames = Object.keys(OPTIONS) as OptionName[];

/** The options as a list of one type, for code that treats all alike. */
export const optionOf = (name: OptionName): Option<unknown> => OPTIONS[name] as unknown as Option<unknown>;

export function defaults(): Config {
  return Object.fromEntries(optionNames.map(name => [name, OPTIONS[name].default])) as unknown as Config;
}
