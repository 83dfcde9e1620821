/** Secrets as keyed hashes: a pool is found by what only somebody with the secret can give, and nothing is stored to steal. */
import { createHmac, randomBytes } from 'node:crypto';

const processKey = randomBytes(32);

/**
 * The look-up key of a login. The hash is keyed with random bytes of this process, so that comparing keys tells nothing
 * about secrets, however long the comparison takes.
 */
export function poolKey(user: string, secret: Buffer, vhost: string): string {
  const digest = createHmac('sha256', processKey).update(secret).digest('base64');
  return `${user}\0${vhost}\0${digest}`;
}
