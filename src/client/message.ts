/** The message that a client is sending on a channel: what of it has come, and what is expected next. */
import type { Buffered } from '../stats.ts';
import type { Lease } from '../upstream/lease.ts';
import type { Held } from './held.ts';

/** What a channel expects next (AMQP 0-9-1 section 4.2.6). */
export const METHOD = 0;
export const HEADER = 1;
export const BODY = 2;

const NOTHING = Buffer.alloc(0);

/** Changed by the publisher only. */
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
}

/** All incomplete messages of one client, in bytes. */
export class Reserved implements Buffered {
  pending = 0;
}
