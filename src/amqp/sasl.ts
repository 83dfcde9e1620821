/** The mechanisms RabbitMQ has by default (rabbit_auth_mechanism_plain, _amqplain and, from 4.0 on, _anonymous). */
import { decodeTable } from './table.ts';

export interface Credentials {
  user: string;
  /** Null for a login without one: ANONYMOUS. */
  secret: Buffer | null;
}

const MECHANISMS = ['PLAIN', 'AMQPLAIN', 'ANONYMOUS'];

/** Those of a broker's mechanisms that the proxy can hand on, in the broker's order. */
export const mechanismsOf = (offered: string): string[] =>
  offered.split(' ').filter(mechanism => MECHANISMS.includes(mechanism));

/** Reads a SASL response; null when it is not what the mechanism prescribes. */
export function readResponse(mechanism: string, response: Buffer): Credentials | null {
  // the broker logs it in as guest, unless told otherwise: its response says nothing that counts
  if (mechanism === 'ANONYMOUS') return { user: 'guest', secret: null };
  if (mechanism === 'PLAIN') {
    const user = 0; // an authorization identity before it is not taken by RabbitMQ
    const secret = response.indexOf(0, 1);
    if (response[0] !== 0 || secret < 0 || response.indexOf(0, secret + 1) >= 0) return null;
    return { user: response.toString('utf8', user + 1, secret), secret: response.subarray(secret + 1) };
  }
  // AMQPLAIN is a field table without its length
  const whole = Buffer.allocUnsafe(response.length + 4);
  whole.writeUInt32BE(response.length, 0);
  response.copy(whole, 4);
  try {
    const { LOGIN: user, PASSWORD: secret } = decodeTable(whole, 0, whole.length);
    if (typeof user !== 'string' || typeof secret !== 'string') return null;
    return { user, secret: Buffer.from(secret, 'utf8') };
  } catch {
    return null;
  }
}

/** What a client sends to log in: a mechanism, and a response that may be anything. */
export type RawLogin = [mechanism: string, response: Buffer];

/** Mechanism and response for a login: PLAIN is RFC 4616 with an empty authorization identity. */
export const loginResponse = ({ user, secret }: Credentials): RawLogin =>
  secret === null
    ? ['ANONYMOUS', Buffer.alloc(0)]
    : ['PLAIN', Buffer.concat([Buffer.from(`\0${user}\0`, 'utf8'), secret])];
