/** Why clients may not have what they ask for. */
import { type CloseReason, reason } from '../amqp/errors.ts';

/** Why a client may not have what it asks for: for the client, and the name under which it counts. */
export interface Denial {
  cause: string;
  why: CloseReason;
}

export const isDenial = (value: object): value is Denial => 'cause' in value;

export const SHUTDOWN: Denial = {
  cause: 'shutdown',
  why: reason('CONNECTION_FORCED', 'amqproxy is shutting down'),
};

/** Nothing could be had in the time that is given to wait. */
export const leaseTimeout = (text: string): Denial => ({
  cause: 'lease_timeout',
  why: reason('CONNECTION_FORCED', text),
});

/** What a client asked for may not be had. */
export class Denied extends Error {
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(denial.why.text);
    this.denial = denial;
  }
}
