/** Reply codes and their names as RabbitMQ writes them (AMQP 0-9-1 section 1.2; rabbit_framing_amqp_0_9_1). */
export const REPLY = {
  CONTENT_TOO_LARGE: 311,
  NO_ROUTE: 312,
  NO_CONSUMERS: 313,
  CONNECTION_FORCED: 320,
  INVALID_PATH: 402,
  ACCESS_REFUSED: 403,
  NOT_FOUND: 404,
  RESOURCE_LOCKED: 405,
  PRECONDITION_FAILED: 406,
  FRAME_ERROR: 501,
  SYNTAX_ERROR: 502,
  COMMAND_INVALID: 503,
  CHANNEL_ERROR: 504,
  UNEXPECTED_FRAME: 505,
  RESOURCE_ERROR: 506,
  NOT_ALLOWED: 530,
  NOT_IMPLEMENTED: 540,
  INTERNAL_ERROR: 541,
} as const;

export type ReplyName = keyof typeof REPLY;

/** What a `connection.close` or `channel.close` carries. `classId`/`methodId` name the method at fault, 0 if none. */
export interface CloseReason {
  code: number;
  text: string;
  classId: number;
  methodId: number;
}

/** A connection that ended so was not at fault itself: where a broker stops, the others there end, too. */
export const isFaultless = (why: CloseReason | null): boolean =>
  why === null || why.code === REPLY.CONNECTION_FORCED;

/** A reason in RabbitMQ's words: "NAME - explanation". `methodKey` is class id << 16 | method id of the method at fault. */
export function reason(name: ReplyName, explanation: string, methodKey = 0): CloseReason {
  return {
    code: REPLY[name],
    text: `${name} - ${explanation}`,
    classId: methodKey >>> 16,
    methodId: methodKey & 0xffff,
  };
}
