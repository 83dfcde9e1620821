/** The client's handshake (AMQP 0-9-1 section 2.2.4): what it is told and what it answers. Pure. */
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { type Credentials, readResponse } from '../amqp/sasl.ts';
import { decodeTable, type Table } from '../amqp/table.ts';
import type { Pool } from '../pool/pool.ts';
import type { BrokerProfile, Offer } from '../upstream/profile.ts';

/** What an application says of itself. */
interface Properties {
  /** What it calls its connection, and itself. */
  title: string;
  product: string;
  /** The capabilities that it has announced. */
  cancelNotify: boolean;
  blockedNotify: boolean;
  failureClose: boolean;
}

export interface Login {
  mechanism: string;
  properties: Properties;
  /** Null when the mechanism is not known or the response not what it prescribes. */
  credentials: Credentials | null;
  /** As it came: borrowed bytes; empty once it is not needed. */
  response: Buffer;
}

const AMQP = 0x41_4d_51_50;
/** What may follow "AMQP": 0 0 9 1, and the older spellings of the same that RabbitMQ takes (rabbit_reader:handshake). */
const VERSIONS = [0x00_00_09_01, 0x01_01_00_09, 0x01_01_08_00, 0x01_01_09_01];
/** Whether these bytes begin with a whole header. */
export const isProtocolHeader = (bytes: Buffer): boolean =>
  bytes.length >= 8 && bytes.readUInt32BE(0) === AMQP && VERSIONS.includes(bytes.readUInt32BE(4));

/** Characters of what an application calls itself that are kept. */
const LONGEST_TITLE = 128;

/** The last client properties, as bytes and read: those of the next client are often the same. */
let lastBytes: Buffer = Buffer.alloc(0);
let last: Properties;

function readProperties(args: Buffer, size: number): Properties {
  if (size === lastBytes.length && lastBytes.compare(args, 0, size) === 0) return last;
  const properties = decodeTable(args, 0, size);
  const { capabilities } = properties;
  const can = (name: string): boolean =>
    typeof capabilities === 'object' && capabilities !== null && (capabilities as Table)[name] === true;
  const words = (name: string): string => {
    const value = properties[name];
    if (typeof value !== 'string') return '';
    // a part of a text would keep the whole of it in memory
    return value.length <= LONGEST_TITLE ? value : Buffer.from(value.slice(0, LONGEST_TITLE)).toString();
  };
  last = {
    title: words('connection_name'),
    product: words('product'),
    cancelNotify: can('consumer_cancel_notify'),
    blockedNotify: can('connection.blocked'),
    failureClose: can('authentication_failure_close'),
  };
  lastBytes = Buffer.from(args.subarray(0, size));
  return last;
}

/** Reads the (well-formed) arguments of start-ok; a string says what is wrong with them. */
export function readStartOk(args: Buffer, profile: BrokerProfile): Login | string {
  const tableSize = 4 + args.readUInt32BE(0);
  let properties: Properties;
  try {
    properties = readProperties(args, tableSize);
  } catch (error) {
    return (error as Error).message;
  }
  const mechanism = frames.readShortstr(args, tableSize);
  const response = tableSize + 1 + args[tableSize];
  const bytes = args.subarray(response + 4, response + 4 + args.readUInt32BE(response));
  return {
    mechanism,
    properties,
    credentials: profile.mechanisms.includes(mechanism) ? readResponse(mechanism, bytes) : null,
    response: bytes,
  };
}

/** What client and proxy have agreed on, as far as they have come. */
export class Negotiated {
  user = '';
  vhost = '';
  /** What the application calls its connection, and itself. */
  title = '';
  product = '';
  /** Set from connection.open on. */
  pool: Pool | null = null;
  channelMax = 2047;
  frameMax = 131072;
  /** Seconds. */
  heartbeat = 0;
  /** The client understands basic.cancel from the broker, and connection.blocked. */
  cancelNotify = false;
  blockedNotify = false;

  login({ credentials, properties: { title, product, cancelNotify, blockedNotify } }: Login): void {
    this.title = title;
    this.product = product;
    this.user = credentials?.user ?? '';
    this.cancelNotify = cancelNotify;
    this.blockedNotify = blockedNotify;
  }
}

const tooHigh = (name: string, value: number, offered: number): CloseReason | null =>
  offered > 0 && (value === 0 || value > offered)
    ? reason(
        'NOT_ALLOWED',
        `negotiated ${name} = ${value}${value === 0 ? ' (no limit)' : ''} is higher than the maximum allowed value (${offered})`,
        M.CONNECTION_TUNE_OK,
      )
    : null;

/**
 * Reads the arguments of tune-ok at buf[args]; why the client's wish cannot be, if it cannot
 * (rabbit_reader: validate_negotiated_integer_value).
 */
export function readTuneOk(
  buf: Buffer,
  args: number,
  profile: Offer,
  negotiated: Negotiated,
): CloseReason | null {
  const channelMax = buf.readUInt16BE(args);
  const frameMax = buf.readUInt32BE(args + 2);
  if (frameMax > 0 && frameMax < frames.FRAME_MIN_SIZE)
    return reason(
      'NOT_ALLOWED',
      `negotiated frame_max = ${frameMax} is lower than the minimum allowed value (${frames.FRAME_MIN_SIZE})`,
      M.CONNECTION_TUNE_OK,
    );
  const fault =
    tooHigh('frame_max', frameMax, profile.frameMax) ??
    tooHigh('channel_max', channelMax, profile.channelMax);
  if (fault !== null) return fault;
  negotiated.channelMax = channelMax || 65535;
  negotiated.frameMax = frameMax || profile.frameMax || 131072;
  negotiated.heartbeat = buf.readUInt16BE(args + 6);
  return null;
}
