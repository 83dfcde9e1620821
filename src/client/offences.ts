/**
 * RabbitMQ's words for what a client must not send (rabbit_reader, rabbit_command_assembler, rabbit_channel; all seen at
 * a RabbitMQ 3.10). `silence` means that the broker ends the connection without a word.
 */
import { argumentFault } from '../amqp/check.ts';
import { type CloseReason, reason } from '../amqp/errors.ts';
import { FRAME_HEADER, FRAME_OVERHEAD } from '../amqp/frame.ts';
import { M, type Method } from '../amqp/methods.ts';
import type { BadFrame } from '../amqp/scanner.ts';
import { addBytes, addPair } from './erlang.ts';

export const SILENCE = 'silence';
export type Offence = CloseReason | typeof SILENCE;

const numbers = (bytes: Buffer): string => `<<${[...bytes.subarray(0, 128)].join(',')}>>`;

/** A frame as RabbitMQ shows it, with the beginning of its payload. */
function shown(type: number, payload: Buffer): string {
  const label = payload.length > 16 ? 'first 16 octets' : 'all octets';
  return addBytes(`type ${type}, ${label} = `, payload.subarray(0, 16));
}

/** A frame that breaks the framing. */
export function badFrame(bad: BadFrame): CloseReason {
  switch (bad.kind) {
    case 'size':
      return reason(
        'FRAME_ERROR',
        `${shown(bad.type, Buffer.alloc(0))}: {frame_too_large,${bad.size},${bad.max - FRAME_OVERHEAD}}`,
      );
    case 'end':
      return reason(
        'FRAME_ERROR',
        addPair(`${shown(bad.type, bad.payload)}: `, 'invalid_frame_end_marker', bad.end),
      );
    case 'type':
      return unknownFrame(bad.type, bad.payload);
  }
}

/** A frame that its client may send, but that is larger than this broker takes, and cannot be split. */
export const tooLarge = (type: number, size: number, { frameMax }: { frameMax: number }): CloseReason =>
  badFrame({ kind: 'size', type, channel: 0, size, max: frameMax });

/** A frame whose payload is not what its type prescribes. */
export const unknownFrame = (type: number, payload: Buffer): CloseReason =>
  reason('FRAME_ERROR', `${shown(type, payload)}: unknown_frame`);

/** A frame of a type that has no place on its channel. */
export const misplacedFrame = (type: number, payload: Buffer): CloseReason =>
  reason('UNEXPECTED_FRAME', shown(type, payload));

const EXPECTED = ['method', 'content header for class 60', 'content body'];
const NON = ['method', 'content header', 'content body'];

/** A frame that is not the one its channel expects next (METHOD, HEADER or BODY of message.ts). */
export const unexpectedFrame = (expect: number): CloseReason =>
  reason(
    'UNEXPECTED_FRAME',
    `expected ${EXPECTED[expect]}${expect === 0 ? ' frame' : ''}, got non ${NON[expect]} frame instead`,
    expect === 0 ? 0 : M.BASIC_PUBLISH,
  );

/** What is wrong with a content header, its properties apart; null if nothing is. */
export function badHeader(buf: Buffer, at: number, size: number): CloseReason | null {
  if (size < 12) return unknownFrame(FRAME_HEADER, buf.subarray(at + 7, at + 7 + size));
  if ((buf[at + 9] | buf[at + 10]) !== 0) return unexpectedFrame(1); // weight
  const classId = (buf[at + 7] << 8) | buf[at + 8];
  if (classId === 60) return null;
  return reason(
    'UNEXPECTED_FRAME',
    `expected content header for class 60, got one for class ${classId} instead`,
    M.BASIC_PUBLISH,
  );
}

/** What the broker says when one of its processes dies: of properties that cannot be decoded, for instance. */
export const INTERNAL_ERROR: CloseReason = { code: 541, text: 'INTERNAL_ERROR', classId: 0, methodId: 0 };

/** What is wrong with a method's arguments; null if nothing is. */
export function badArguments(
  method: Method,
  buf: Buffer,
  at: number,
  end: number,
  channel = 1,
): Offence | null {
  switch (argumentFault(method.args, buf, at, end)) {
    case null:
      return null;
    case 'length':
      return channel === 0
        ? INTERNAL_ERROR
        : reason('FRAME_ERROR', `cannot decode ${numbers(buf.subarray(at, end))}`, method.key);
    case 'utf8':
      return reason('FRAME_ERROR', 'Malformed UTF-8 in shortstr', channel === 0 ? method.key : 0);
    case 'table':
      return SILENCE;
  }
}

export const notForClients = (methodKey: number): CloseReason =>
  reason('COMMAND_INVALID', 'unimplemented method', methodKey);

export const wrongState = (state: 'opening' | 'running', methodKey: number): CloseReason =>
  reason('CHANNEL_ERROR', `unexpected method in connection state ${state}`, methodKey);

export const secondOpen = (): CloseReason =>
  reason('CHANNEL_ERROR', "second 'channel.open' seen", M.CHANNEL_OPEN);

export const notOpened = (methodKey: number): CloseReason =>
  reason('CHANNEL_ERROR', "expected 'channel.open'", methodKey);

/** What needs a private upstream cannot be had on a channel that must stay on a shared one. */
export const rooted = (method: Method): CloseReason =>
  reason(
    'PRECONDITION_FAILED',
    `${method.name} needs another upstream than the consumers and unacked messages of this channel (consumers = shared)`,
    method.key,
  );
