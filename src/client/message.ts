/** The message that a client is sending on a channel: what of it has come, and what is expected next. */
import type { Lease } from '../upstream/lease.ts';
import type { Held } from './held.ts';
import type { MessageShape } from './shape.ts';

/** What a channel expects next (AMQP 0-9-1 section 4.2.6). */
export const METHOD = 0;
export const HEADER = 1;
export const BODY = 2;

const NOTHING = Buffer.alloc(0);
/** The first of something: who sends one message only need not have it kept. */
const ONCE = Buffer.alloc(0);

/** What is kept of buf[at..end), to know it again, after what was kept `before`. */
export const remembered = (before: Buffer, buf: Buffer, at: number, end: number): Buffer =>
  before === NOTHING ? ONCE : Buffer.from(buf.subarray(at, end));

/** Changed by the publisher and its parts only. */
export class IncomingMessage {
  expect: typeof METHOD | typeof HEADER | typeof BODY = METHOD;
  /** Bytes of body to come; -1 when there were too many. */
  bodyLeft = 0;
  /** The lease over which it goes. */
  lease: Lease | null = null;
  /** What has come and not been sent on; null when nothing is. */
  held: Held | null = null;
  /** Bytes that count for it: those held, and those its header announces. */
  reserved = 0;
  // the last publish and properties that were found well-formed: the same bytes need no second check
  checkedPublish: Buffer = NOTHING;
  checkedProperties: Buffer = NOTHING;
  /** The publish and the properties were those of the message before it. */
  repeats = false;
  /** Of the messages that were sent one after the other; null when there were none. */
  shape: MessageShape | null = null;
}
