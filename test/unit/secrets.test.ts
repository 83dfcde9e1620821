/** When secrets expire, by what they say themselves. */
import { expect } from 'chai';
import { expiryOf } from '../../src/pool/secrets.ts';

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const expiry = (secret: string): number => expiryOf(Buffer.from(secret));
const NEVER = Number.POSITIVE_INFINITY;

describe('The expiry of a secret', () => {
  it('is that of the token it is', () => {
    expect(expiry(`${part({ alg: 'RS256' })}.${part({ exp: 1700000000 })}.c2ln`)).to.equal(1700000000000);
  });

  it('is never for a token without one, and for what only looks like a token', () => {
    for (const secret of [
      'secret',
      'a.b.c',
      `${part({ alg: 'RS256' })}.${part({ sub: 'me' })}.c2ln`,
      `${part({ alg: 'RS256' })}.${part({ exp: 'soon' })}.c2ln`,
      `${part({ typ: 'other' })}.${part({ exp: 1 })}.c2ln`,
      `${part({ alg: 'RS256' })}.${part({ exp: 1 })}`,
      `${part({ alg: 'RS256' })}.${part(null)}.c2ln`,
      `${part(null)}.${part({ exp: 1 })}.c2ln`,
      '',
    ])
      expect(expiry(secret), secret).to.equal(NEVER);
  });
});
