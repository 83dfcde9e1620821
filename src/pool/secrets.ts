/** Secrets as keyed hashes: a pool is found by what only somebody with the secret can give, and nothing is stored to steal. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

const processKey = randomBytes(32);

/**
 * The look-up key of a login. The hash begins with random bytes of this process, so that comparing keys tells nothing about
 * secrets, however long the comparison takes. (An HMAC would guard a key that others see; it costs eight times as much.)
 */
export function loginKey(user: string, secret: Buffer | null): string {
  const digest = secret === null ? 'none' : hash('sha256', Buffer.concat([processKey, secret]), 'base64');
  return `${digest}\0${user}`;
}

/** Whether these are the same, in a time that tells no more about them than their length. */
export const isSame = (one: Buffer | null, other: Buffer | null): boolean =>
  one === null || other === null ? one === other : one.length === other.length && timingSafeEqual(one, other);

/** Longer ones are no tokens. */
const TOKEN_MAX = 65_536;

/**
 * When a secret that is a JSON Web Token (RFC 7519: header.payload.signature) expires by its own `exp`, in milliseconds since
 * 1970; Infinity for any other secret. Whether the token is good is the broker's to judge.
 */
export function expiryOf(secret: Buffer): number {
  const never = Number.POSITIVE_INFINITY;
  if (secret.length > TOKEN_MAX) return never;
  const parts = secret.toString('latin1').split('.');
  if (parts.length !== 3 || !parts.every(part => /^[A-Za-z0-9_-]+$/.test(part))) return never;
  try {
    const [header, payload] = parts.map(part => Buffer.from(part, 'base64url').toString('utf8'));
    if (typeof JSON.parse(header).alg !== 'string') return never;
    const { exp } = JSON.parse(payload);
    return typeof exp === 'number' ? exp * 1000 : never;
  } catch {
    return never;
  }
}
