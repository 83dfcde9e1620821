/** The states of a client's channel: see channel.ts for the ways between them. */
import type { CloseReason } from '../amqp/errors.ts';
import type { Wait } from '../pool/waiters.ts';
import type { Lease } from '../upstream/lease.ts';
import type { Next } from './sequel.ts';

/** What comes after the end of a lease, with the reason where the proxy closes the channel. */
export type After = { next: Exclude<Next, 'error' | 'use'> } | { next: 'error'; why: CloseReason };

export type ChannelState =
  | { is: 'unbound' }
  | { is: 'waiting'; wait: Wait }
  | { is: 'bound'; lease: Lease }
  | { is: 'resetting'; lease: Lease; after: After }
  /** We have closed it; the client's close-ok is to come. `rest` of a message that is on its way has to go upstream, still. */
  | { is: 'closing'; rest: Lease | null }
  | { is: 'closed' };

export const UNBOUND: ChannelState = { is: 'unbound' };
export const CLOSED: ChannelState = { is: 'closed' };
