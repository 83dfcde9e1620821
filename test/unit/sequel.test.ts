/** What the end of a lease means for its channel. */
import { expect } from 'chai';
import { type Next, sequel } from '../../src/client/sequel.ts';

describe('The end of a lease', () => {
  const all: Next[] = ['close', 'rebind', 'error', 'leave', 'use'];

  it('is no close-ok when the upstream was lost, whether or not anything was published', () => {
    for (const atStake of [false, true])
      for (const next of ['close', 'leave'] as const) expect(sequel('lost', next, atStake)).to.equal('lost');
  });

  it('by a loss goes unnoticed only where the client was to go on elsewhere with nothing at stake', () => {
    const unnoticed = all.filter(next => sequel('lost', next, false) !== 'lost');
    expect(unnoticed).to.deep.equal(['rebind']);
    expect(sequel('lost', 'rebind', true)).to.equal('lost');
  });

  it('by the broker is told to the client, whatever was to come', () => {
    for (const next of all)
      expect(sequel('closed', next, true)).to.be.oneOf(['closing', 'left with an error']);
  });
});
