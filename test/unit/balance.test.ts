/** Each broker's share of the upstreams. */
import { expect } from 'chai';
import { move } from '../../src/proxy/balance.ts';

const moved = (...shares: number[]): string => {
  const found = move(new Map(shares.map((n, at) => [`b${at}`, n])));
  return found === null ? 'none' : `${found.n} from ${found.from} to ${found.to}`;
};

describe('Upstreams', () => {
  it('move from the fullest broker to one that is back, a few at a time', () => {
    expect(moved(3, 4, 0)).to.equal('1 from b1 to b2');
    expect(moved(0, 2)).to.equal('1 from b1 to b0');
    expect(moved(100, 80, 0)).to.equal('12 from b0 to b2');
  });

  it('stay where they are while the shares are fair, and where there is one broker only', () => {
    for (const shares of [[], [5], [0, 1], [1, 0, 0], [2, 1], [4, 2], [3, 3, 2], [0, 0]])
      expect(moved(...shares)).to.equal('none');
  });

  it('come to rest', () => {
    const shares = [40, 41, 0];
    let moves = 0;
    for (;;) {
      const found = move(new Map(shares.map((n, at) => [String(at), n])));
      if (found === null) break;
      shares[Number(found.from)] -= found.n;
      shares[Number(found.to)] += found.n;
      expect(++moves).to.be.below(12); // of 5 s each
    }
    expect(Math.min(...shares) * 2).to.be.at.least(Math.max(...shares));
  });
});
