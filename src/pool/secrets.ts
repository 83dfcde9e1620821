/** Secrets as keyed hashes: a pool is found by what only somebody with the secret can give, and nothing is stored to steal. */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto';

/** A key object, made once: making one for each login costs more than the hash. */
const processKey = createSecretKey(randomBytes(32));

/**
 * The look-up key of a login. The hash is keyed with random bytes of this process, so that comparing keys tells nothing
 * about secrets, however long the comparison takes.
 */
export function loginKey(user: string, secret: Buffer | null): string {
  const digest = secret === null ? 'none' : createHmac('sha256', processKey).update(secret).digest('base64');
  return `${digest}\0${user}`;
}
