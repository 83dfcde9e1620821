/** Where leases go, and who leaves a busy upstream. */
import { expect } from 'chai';
import { type Placeable, rank, relieve, type Share, type Want } from '../../src/pool/placement.ts';

interface Sketch extends Partial<Omit<Placeable, 'channels'>> {
  loaded?: boolean;
  tenants?: number;
  pace?: number;
}

const upstream = ({ loaded = false, tenants = 0, pace = 0, ...rest }: Sketch = {}): Placeable => ({
  blocked: null,
  consuming: false,
  busy: 1,
  suspect: false,
  ...rest,
  channels: { load: { busy: loaded, tenants, pace } },
});

const PUBLISH: Want = { purpose: 'publish', home: null, alarm: false };

/** The numbers of upstreams, the best for a lease first. */
function order(want: Partial<Want>, upstreams: Placeable[]): number[] {
  const ranks = upstreams.map(each => rank(each, { ...PUBLISH, ...want }));
  return ranks.map((_, i) => i).sort((a, b) => ranks[a] - ranks[b]);
}

describe('A lease', () => {
  it('goes where nobody waits behind the bytes of others', () => {
    const there = [upstream({ loaded: true }), upstream({ tenants: 1 }), upstream()];
    expect(order({}, there)[0]).to.equal(2);
    expect(order({ purpose: 'other' }, there)[0]).to.equal(2);
  });

  it('finds all as good that are not busy, however much they carry', () => {
    expect(rank(upstream({ busy: 500, pace: 1e6 }), PUBLISH)).to.equal(rank(upstream({ busy: 0 }), PUBLISH));
  });

  it('takes the least busy where all are: nobody’s before somebody’s, then the one with less to carry', () => {
    const there = [
      upstream({ loaded: true, tenants: 2, pace: 1e6 }),
      upstream({ loaded: true, tenants: 1, pace: 9e6 }),
      upstream({ loaded: true, tenants: 1, pace: 2e6 }),
      upstream({ loaded: true, pace: 5e6 }),
    ];
    expect(order({}, there)).to.deep.equal([3, 2, 1, 0]);
  });

  it('takes a busy one rather than one that is silent, or for consumers', () => {
    const there = [
      upstream({ suspect: true }),
      upstream({ consuming: true }),
      upstream({ loaded: true, tenants: 99, pace: 1e12 }),
    ];
    expect(order({}, there)[0]).to.equal(2);
  });

  it('of a client that has an upstream for what it publishes goes there, busy as it may be', () => {
    const home = upstream({ loaded: true, tenants: 3, pace: 1e8 });
    const there = [upstream(), upstream({ busy: 0 }), home];
    expect(order({ home }, there)[0]).to.equal(2);
    expect(order({}, there)[0]).not.to.equal(2);
  });

  it('of such a client goes anywhere else when its upstream is gone', () => {
    expect(order({ home: {} }, [upstream({ loaded: true }), upstream()])).to.deep.equal([1, 0]);
  });

  it('goes by alarms alone during an alarm', () => {
    const home = upstream({ tenants: 1 });
    const there = [home, upstream({ blocked: 'memory', loaded: true, tenants: 5 })];
    expect(order({ home, alarm: true }, there)[0]).to.equal(1);
    expect(order({ home, alarm: true, purpose: 'other' }, there)[0]).to.equal(0);
  });
});

const share = (pace: number, more: Partial<Share> = {}): Share => ({
  pace,
  settled: false,
  fixed: false,
  ...more,
});
const light = (n: number): Share[] => Array.from({ length: n }, (_, i) => share(10 + i));

describe('A busy upstream', () => {
  it('is left as it is to the only client that is there', () => {
    expect(relieve([share(1e6)])).to.deep.equal({ keeper: 0, fillers: [], others: [] });
  });

  it('is kept by one of those who fill it, and left by the others, the busiest first', () => {
    expect(relieve([share(5e6), share(9e6), share(7e6)])).to.deep.equal({
      keeper: 1,
      fillers: [2, 0],
      others: [],
    });
  });

  it('is left by those who fill it where others are at work', () => {
    const crowd = [...light(200), share(9e6), share(8e6)];
    expect(relieve(crowd)).to.deep.equal({ keeper: -1, fillers: [200, 201], others: [] });
  });

  it('is left by those who do nothing now rather than by the one that fills it', () => {
    expect(relieve([share(0), share(9e6), share(0)])).to.deep.equal({
      keeper: 1,
      fillers: [],
      others: [0, 2],
    });
  });

  it('is left by the one that fills it where many others have something there, though they do nothing now', () => {
    const crowd = [...Array.from({ length: 200 }, () => share(0)), share(9e6)];
    expect(relieve(crowd)).to.deep.equal({ keeper: -1, fillers: [200], others: [] });
  });

  it('stays with the client that has it already, whoever has come since', () => {
    const relief = relieve([share(9e6), share(8e6, { settled: true }), share(10)]);
    expect(relief).to.deep.equal({ keeper: 1, fillers: [0], others: [2] });
  });

  it('stays with a client that cannot leave', () => {
    const crowd = [share(9e6, { settled: true }), share(8e6, { fixed: true }), share(10)];
    expect(relieve(crowd)).to.deep.equal({ keeper: 1, fillers: [0], others: [2] });
    expect(relieve([share(9e6, { fixed: true }), share(8e6, { fixed: true })]).fillers).to.deep.equal([]);
  });

  it('is filled by sixteen that share it evenly', () => {
    const { keeper, fillers } = relieve(Array.from({ length: 16 }, (_, i) => share(1e6 + i * 1e4)));
    expect([keeper, ...fillers].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 16 }, (_, i) => i));
  });

  it('is left by half of a crowd in which nobody stands out', () => {
    const { keeper, fillers, others } = relieve(light(100).map(({ pace }) => share(1e6 + pace)));
    expect([keeper, fillers.length, others.length]).to.deep.equal([-1, 0, 50]);
  });

  it('has nobody to blame for it among those who publish little', () => {
    expect(relieve([share(3000), share(9000), share(0)]).fillers).to.deep.equal([]);
  });

  it('is left by nobody where nobody publishes', () => {
    expect(relieve([]).others).to.deep.equal([]);
    expect(relieve([share(0)]).fillers).to.deep.equal([]);
  });
});
