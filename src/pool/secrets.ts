/** Secrets as keyed hashes: a pool is found by what only somebody with the secret can give, and nothing is stored to steal. */
import { hash, randomBytes } from 'node:crypto';

const processKey = randomBytes(32);

/**
 * The look-up key of a login. The hash begins with random bytes of this process, so that comparing keys tells nothing about
 * secrets, however long the comparison takes. (An HMAC would guard a key that others see; it costs eight times as much.)
 */
export function loginKey(user: string, secret: Buffer | null): string {
  const digest = secret === null ? 'none' : hash('sha256', Buffer.concat([processKey, secret]), 'base64');
  return `${digest}\0${user}`;
}
