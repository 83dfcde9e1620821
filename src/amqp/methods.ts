/**
 * The method table: every AMQP 0-9-1 method RabbitMQ knows, its arguments, who may send it, and what the proxy does
 * when a client sends it. Adding a method is one line here.
 *
 * Arguments, one letter each: `o` octet, `s` short, `l` long, `L` longlong, `S` short string, `X` long string,
 * `T` field table, `b` one octet of packed bits, `R` a short string that RabbitMQ does not check for UTF-8.
 */
export type Sender = 'client' | 'server' | 'both';

/**
 * What the proxy does with a method from a client whose connection is open:
 * - `forward`: pass it to the leased upstream channel
 * - `answer`: the proxy itself replies, or keeps the state the method is about (channel.open, close …)
 * - `track`: forward, and remember what it changes in the channel; some arguments need a private upstream (client/methods.ts)
 * - `promote`: needs a private upstream, always
 * - `refuse`: a client may not send it
 */
export type Action = 'forward' | 'answer' | 'track' | 'promote' | 'refuse';

export interface Method {
  key: number;
  name: string;
  args: string;
  from: Sender;
  action: Action;
  /** A content header and body follow. */
  content: boolean;
  /** The queue name (argument 2) may be empty and then means the channel's last declared queue. */
  defaultQueue: boolean;
  /** The bit among its flags by which a client asks for no answer; 0 where it has none, NEVER where there is no answer anyway. */
  noWait: number;
}

const NEVER = -1;

/** Class id << 16 | method id. */
export const key = (classId: number, methodId: number): number => (classId << 16) | methodId;

type Row = [
  classId: number,
  methodId: number,
  name: string,
  args: string,
  from: Sender,
  action: Action,
  more?: Partial<Pick<Method, 'content' | 'defaultQueue' | 'noWait'>>,
];

const ROWS: Row[] = [
  [10, 10, 'connection.start', 'ooTXX', 'server', 'refuse'],
  [10, 11, 'connection.start-ok', 'TSXS', 'client', 'answer'],
  [10, 20, 'connection.secure', 'X', 'server', 'refuse'],
  [10, 21, 'connection.secure-ok', 'X', 'client', 'answer'],
  [10, 30, 'connection.tune', 'sls', 'server', 'refuse'],
  [10, 31, 'connection.tune-ok', 'sls', 'client', 'answer'],
  [10, 40, 'connection.open', 'SSb', 'client', 'answer'],
  [10, 41, 'connection.open-ok', 'S', 'server', 'refuse'],
  [10, 50, 'connection.close', 'sSss', 'both', 'answer'],
  [10, 51, 'connection.close-ok', '', 'both', 'answer'],
  [10, 60, 'connection.blocked', 'S', 'server', 'refuse'],
  [10, 61, 'connection.unblocked', '', 'server', 'refuse'],
  [10, 70, 'connection.update-secret', 'XS', 'client', 'promote'],
  [10, 71, 'connection.update-secret-ok', '', 'server', 'refuse'],
  [20, 10, 'channel.open', 'S', 'client', 'answer'],
  [20, 11, 'channel.open-ok', 'X', 'server', 'refuse'],
  [20, 20, 'channel.flow', 'b', 'both', 'track'],
  [20, 21, 'channel.flow-ok', 'b', 'both', 'refuse'],
  [20, 40, 'channel.close', 'sSss', 'both', 'answer'],
  [20, 41, 'channel.close-ok', '', 'both', 'answer'],
  // LavinMQ does not read it to its end, and closes the connection
  [30, 10, 'access.request', 'Sb', 'client', 'promote'],
  [30, 11, 'access.request-ok', 's', 'server', 'refuse'],
  [40, 10, 'exchange.declare', 'sSSbT', 'client', 'track', { noWait: 16 }],
  [40, 11, 'exchange.declare-ok', '', 'server', 'refuse'],
  [40, 20, 'exchange.delete', 'sSb', 'client', 'forward', { noWait: 2 }],
  [40, 21, 'exchange.delete-ok', '', 'server', 'refuse'],
  [40, 30, 'exchange.bind', 'sSSSbT', 'client', 'forward', { noWait: 1 }],
  [40, 31, 'exchange.bind-ok', '', 'server', 'refuse'],
  [40, 40, 'exchange.unbind', 'sSSSbT', 'client', 'forward', { noWait: 1 }],
  [40, 51, 'exchange.unbind-ok', '', 'server', 'refuse'],
  [50, 10, 'queue.declare', 'sSbT', 'client', 'track', { noWait: 16 }],
  [50, 11, 'queue.declare-ok', 'Sll', 'server', 'refuse'],
  [50, 20, 'queue.bind', 'sSSSbT', 'client', 'forward', { defaultQueue: true, noWait: 1 }],
  [50, 21, 'queue.bind-ok', '', 'server', 'refuse'],
  // a purge or get ends the whole connection on a stream or a quorum queue, and only the broker knows what a queue is
  [50, 30, 'queue.purge', 'sSb', 'client', 'promote', { defaultQueue: true, noWait: 1 }],
  [50, 31, 'queue.purge-ok', 'l', 'server', 'refuse'],
  [50, 40, 'queue.delete', 'sSb', 'client', 'track', { defaultQueue: true, noWait: 4 }],
  [50, 41, 'queue.delete-ok', 'l', 'server', 'refuse'],
  [50, 50, 'queue.unbind', 'sSSST', 'client', 'forward', { defaultQueue: true }],
  [50, 51, 'queue.unbind-ok', '', 'server', 'refuse'],
  [60, 10, 'basic.qos', 'lsb', 'client', 'track'],
  [60, 11, 'basic.qos-ok', '', 'server', 'refuse'],
  [60, 20, 'basic.consume', 'sSSbT', 'client', 'track', { defaultQueue: true, noWait: 8 }],
  [60, 21, 'basic.consume-ok', 'S', 'server', 'refuse'],
  [60, 30, 'basic.cancel', 'Sb', 'both', 'track', { noWait: 1 }],
  [60, 31, 'basic.cancel-ok', 'S', 'both', 'refuse'],
  [60, 40, 'basic.publish', 'sRRb', 'client', 'track', { content: true, noWait: NEVER }],
  [60, 50, 'basic.return', 'sSSS', 'server', 'refuse', { content: true }],
  [60, 60, 'basic.deliver', 'SLbSS', 'server', 'refuse', { content: true }],
  [60, 70, 'basic.get', 'sSb', 'client', 'promote', { defaultQueue: true }],
  [60, 71, 'basic.get-ok', 'LbSSl', 'server', 'refuse', { content: true }],
  [60, 72, 'basic.get-empty', 'S', 'server', 'refuse'],
  [60, 80, 'basic.ack', 'Lb', 'both', 'track', { noWait: NEVER }],
  [60, 90, 'basic.reject', 'Lb', 'client', 'track', { noWait: NEVER }],
  // nor does it know this one
  [60, 100, 'basic.recover-async', 'b', 'client', 'promote', { noWait: NEVER }],
  [60, 110, 'basic.recover', 'b', 'client', 'track'],
  [60, 111, 'basic.recover-ok', '', 'server', 'refuse'],
  [60, 120, 'basic.nack', 'Lb', 'both', 'track', { noWait: NEVER }],
  // RabbitMQ's own, for its AMQP 1.0 side; from 4.0 on it closes the whole connection for it
  [60, 200, 'basic.credit', 'Slb', 'client', 'promote'],
  [60, 201, 'basic.credit-ok', 'l', 'server', 'refuse'],
  [60, 202, 'basic.credit-drained', 'Sl', 'server', 'refuse'],
  [85, 10, 'confirm.select', 'b', 'client', 'track', { noWait: 1 }],
  [85, 11, 'confirm.select-ok', '', 'server', 'refuse'],
  [90, 10, 'tx.select', '', 'client', 'promote'],
  [90, 11, 'tx.select-ok', '', 'server', 'refuse'],
  [90, 20, 'tx.commit', '', 'client', 'forward'],
  [90, 21, 'tx.commit-ok', '', 'server', 'refuse'],
  [90, 30, 'tx.rollback', '', 'client', 'forward'],
  [90, 31, 'tx.rollback-ok', '', 'server', 'refuse'],
];

export const METHODS: ReadonlyMap<number, Method> = new Map(
  ROWS.map(([classId, methodId, name, args, from, action, more]) => [
    key(classId, methodId),
    {
      key: key(classId, methodId),
      name,
      args,
      from,
      action,
      content: false,
      defaultQueue: false,
      noWait: 0,
      ...more,
    },
  ]),
);

/** Whether the broker answers a method of a client whose arguments begin at `at`. */
export function isAnswered({ noWait, args }: Method, buf: Buffer, at: number): boolean {
  if (noWait <= 0) return noWait !== NEVER;
  // before the flags there are shorts and short strings only
  let flags = at;
  for (let i = 0; args[i] !== 'b'; i++) flags += args[i] === 's' ? 2 : 1 + buf[flags];
  return (buf[flags] & noWait) === 0;
}

/** Method keys that code elsewhere names. */
export const M = {
  CONNECTION_START: key(10, 10),
  CONNECTION_START_OK: key(10, 11),
  CONNECTION_SECURE: key(10, 20),
  CONNECTION_TUNE: key(10, 30),
  CONNECTION_TUNE_OK: key(10, 31),
  CONNECTION_OPEN: key(10, 40),
  CONNECTION_OPEN_OK: key(10, 41),
  CONNECTION_CLOSE: key(10, 50),
  CONNECTION_CLOSE_OK: key(10, 51),
  CONNECTION_BLOCKED: key(10, 60),
  CONNECTION_UNBLOCKED: key(10, 61),
  CONNECTION_UPDATE_SECRET: key(10, 70),
  CONNECTION_UPDATE_SECRET_OK: key(10, 71),
  CHANNEL_OPEN: key(20, 10),
  CHANNEL_OPEN_OK: key(20, 11),
  CHANNEL_FLOW: key(20, 20),
  CHANNEL_FLOW_OK: key(20, 21),
  CHANNEL_CLOSE: key(20, 40),
  CHANNEL_CLOSE_OK: key(20, 41),
  EXCHANGE_DECLARE: key(40, 10),
  QUEUE_DECLARE: key(50, 10),
  QUEUE_DECLARE_OK: key(50, 11),
  QUEUE_BIND: key(50, 20),
  QUEUE_UNBIND: key(50, 50),
  QUEUE_PURGE: key(50, 30),
  QUEUE_DELETE: key(50, 40),
  BASIC_QOS: key(60, 10),
  BASIC_QOS_OK: key(60, 11),
  BASIC_CONSUME: key(60, 20),
  BASIC_CONSUME_OK: key(60, 21),
  BASIC_CANCEL: key(60, 30),
  BASIC_CANCEL_OK: key(60, 31),
  BASIC_PUBLISH: key(60, 40),
  BASIC_RETURN: key(60, 50),
  BASIC_DELIVER: key(60, 60),
  BASIC_GET: key(60, 70),
  BASIC_GET_OK: key(60, 71),
  BASIC_ACK: key(60, 80),
  BASIC_REJECT: key(60, 90),
  BASIC_RECOVER_ASYNC: key(60, 100),
  BASIC_RECOVER: key(60, 110),
  BASIC_NACK: key(60, 120),
  CONFIRM_SELECT: key(85, 10),
  CONFIRM_SELECT_OK: key(85, 11),
  TX_SELECT: key(90, 10),
} as const;
