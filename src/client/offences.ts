/** RabbitMQ's words for frames that are out of place (rabbit_command_assembler). */
import { type CloseReason, reason } from '../amqp/errors.ts';
import { METHODS } from '../amqp/methods.ts';

const EXPECTED = ['method', 'content header', 'content body'];

export function methodNotExpected(expect: number, methodKey: number): CloseReason {
  return reason(
    'UNEXPECTED_FRAME',
    `expected ${EXPECTED[expect]} for class 60, got non ${EXPECTED[expect]} frame instead`,
    METHODS.has(methodKey) ? 0x3c0028 : 0x3c0028,
  );
}

export function contentInMethod(_kind: 'header' | 'body' | 'heartbeat', expect = 0): CloseReason {
  return expect === 0
    ? reason('UNEXPECTED_FRAME', 'expected method frame, got non method frame instead')
    : reason(
        'UNEXPECTED_FRAME',
        `expected ${EXPECTED[expect]} for class 60, got non ${EXPECTED[expect]} frame instead`,
        0x3c0028,
      );
}
