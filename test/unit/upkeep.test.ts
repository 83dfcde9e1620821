/** How long upstreams live as installed: by this a right that was taken away ends. */
import { expect } from 'chai';
import { defaults } from '../../src/config/options.ts';
import { outdated } from '../../src/pool/upkeep.ts';

const AGE = 1_000_000;
/** Upstreams in use that are so many seconds old. */
const aged = (...seconds: number[]) =>
  seconds.map((age, id) => ({
    id,
    retired: false,
    holder: null,
    namedFor: '',
    busy: 1,
    idleSince: AGE,
    openedAt: AGE - age * 1000,
  }));
const old = (...seconds: number[]): number[] =>
  outdated(aged(...seconds), defaults(), { once: false, declared: false }, AGE).map(({ id }) => id);

describe('As installed, an upstream', () => {
  it('takes no new leases after ten minutes, however busy it is', () => {
    expect(old(...Array<number>(20).fill(601))).to.have.length(20);
  });

  it('lives for nine minutes at least, and those that were opened together do not end together', () => {
    expect(old(...Array<number>(20).fill(530))).to.deep.equal([]);
    expect(old(...Array<number>(20).fill(575)).length).to.be.within(1, 19);
  });
});
