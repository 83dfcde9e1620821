/** The pool, with plain objects for upstreams. */
import { expect } from 'chai';
import { defaults } from '../../src/config/options.ts';
import { Logins } from '../../src/pool/logins.ts';
import { Pool, type PoolContext } from '../../src/pool/pool.ts';
import { loginKey } from '../../src/pool/secrets.ts';
import { Stats } from '../../src/stats.ts';
import { Refused } from '../../src/upstream/login.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';

class FakeUpstream {
  holder: unknown = null;
  retired = false;
  blocked: string | null = null;
  consuming = false;
  busy = 0;
  state = 'live';
  idleSince = 0;
  openedAt = 0;
  owner: Pool | null = null;
  address = 'fake:5672';
  capacity = 2;
  parkedPlain = [];
  parkedConfirm = [];
  closed = false;

  takeChannel(): object | null {
    if (this.busy >= this.capacity) return null;
    this.busy++;
    return { upstream: this };
  }

  close(): void {
    this.closed = true;
    this.state = 'closed';
    this.owner?.upstreamClosed(this as never, null);
  }
}

const tick = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

describe('A pool', () => {
  let opened: FakeUpstream[];
  let capacity: number;
  let failure: Error | null;
  let stats: Stats;
  const make = (settings: Partial<ReturnType<typeof defaults>> = {}): Pool => {
    opened = [];
    capacity = 2;
    failure = null;
    stats = new Stats();
    const context: PoolContext = {
      config: { ...defaults(), ...settings },
      stats,
      totalUpstreams: () => opened.filter(upstream => !upstream.closed).length,
      open: async () => {
        await tick();
        if (failure) throw failure;
        const upstream = new FakeUpstream();
        upstream.capacity = capacity;
        opened.push(upstream);
        return upstream as unknown as Upstream;
      },
      blockedChanged: () => {},
      report: () => {},
    };
    return new Pool(context, new Logins('key', 'user', Buffer.from('secret')), '/');
  };
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await tick();
  };

  it('shares one attempt among all who log in at once', async () => {
    const pool = make();
    await Promise.all([pool.admit(), pool.admit(), pool.admit()]);
    expect(opened).to.have.length(1);
  });

  it('fills an upstream before it opens another, and serves waiters in turn', async () => {
    const pool = make();
    await pool.admit();
    expect(pool.leaseNow(false, 'publish')).not.to.equal(null);
    expect(pool.leaseNow(false, 'publish')).not.to.equal(null);
    expect(pool.leaseNow(false, 'publish')).to.equal(null);
    const served: number[] = [];
    for (const n of [1, 2, 3]) pool.lease(false, 'publish', outcome => outcome.ok && served.push(n));
    await settle();
    expect(served).to.deep.equal([1, 2, 3]);
    expect(opened.length).to.be.within(2, 4);
  });

  it('opens one upstream for as many leases as it has channels, and one for each client that wants it for itself', async () => {
    const pool = make({ maxUpstreamChannels: 100 });
    capacity = 100;
    let leases = 0;
    for (let i = 0; i < 150; i++) pool.lease(false, 'publish', () => leases++);
    await settle();
    expect(leases).to.equal(150);
    expect(opened).to.have.length(2);
    const holder = { updateSecretOk: () => {}, holderLost: () => {} };
    for (let i = 0; i < 3; i++) pool.acquire(holder, () => {});
    await settle();
    expect(opened).to.have.length(5);
  });

  it('counts the wait of every lease, 0 for those that found a channel free', async () => {
    const pool = make({ maxUpstreams: 1 });
    await pool.admit();
    const waits: number[] = [];
    stats.leaseWaitSeconds.observe = seconds => waits.push(seconds);
    pool.leaseNow(false, 'publish');
    pool.lease(false, 'publish', () => {});
    expect(pool.leaseNow(false, 'publish')).to.equal(null);
    pool.lease(false, 'publish', () => {});
    expect(waits).to.deep.equal([0, 0]);
    await settle();
    opened[0].busy--;
    pool.channelFreed(opened[0] as never);
    expect(waits).to.have.length(3);
    expect(waits[2]).to.be.above(0);
  });

  it('keeps to max_upstreams, and fails who waits longer than lease_timeout', async () => {
    const pool = make({ maxUpstreams: 1, leaseTimeout: 1 });
    await pool.admit();
    pool.leaseNow(false, 'publish');
    pool.leaseNow(false, 'publish');
    let why = '';
    pool.lease(false, 'publish', outcome => {
      if (!outcome.ok) why = outcome.why.text;
    });
    await settle();
    expect(opened).to.have.length(1);
    pool.maintain(performance.now());
    expect(why).to.equal('');
    pool.maintain(performance.now() + 1001);
    expect(why).to.match(/CONNECTION_FORCED - .*lease_timeout/);
  });

  it('lends a private upstream to one client only, and takes it back', async () => {
    const pool = make();
    await pool.admit();
    const holder = { updateSecretOk: () => {}, holderLost: () => {} };
    let mine: Upstream | null = null;
    pool.acquire(holder, outcome => {
      if (outcome.ok) mine = outcome.value;
    });
    expect(mine).to.equal(opened[0]);
    expect(pool.leaseNow(false, 'publish')).to.equal(null);
    pool.giveBack(mine!, false);
    expect(pool.leaseNow(false, 'publish')).not.to.equal(null);
  });

  it('serves a waiter once, also one that gives back at once because it is leaving', async () => {
    const pool = make({ maxUpstreams: 1 });
    await pool.admit();
    let first: Upstream | null = null;
    pool.acquire({} as never, outcome => {
      if (outcome.ok) first = outcome.value;
    });
    let served = 0;
    let after = 0;
    pool.acquire({} as never, outcome => {
      served++;
      if (outcome.ok) pool.giveBack(outcome.value, false);
    });
    pool.acquire({} as never, () => after++);
    pool.giveBack(first!, false);
    expect(served).to.equal(1);
    expect(after).to.equal(1);
  });

  it('closes a private upstream that is spent', async () => {
    const pool = make();
    await pool.admit();
    pool.acquire({ updateSecretOk: () => {}, holderLost: () => {} }, () => {});
    pool.giveBack(opened[0] as never, true);
    expect(opened[0].closed).to.equal(true);
    expect(pool.live).to.equal(false);
  });

  it('leads those who do not publish around a blocked upstream', async () => {
    const pool = make();
    await pool.admit();
    opened[0].blocked = 'low on memory';
    expect(pool.leaseNow(false, 'publish')).not.to.equal(null);
    expect(pool.leaseNow(false, 'other')).to.equal(null);
    let other: unknown = null;
    pool.lease(false, 'other', outcome => {
      if (outcome.ok) other = outcome.value.upstream;
    });
    await settle();
    expect(other).to.equal(opened[1]);
  });

  it('lets consumers share upstreams with consumers only, as far as there are enough', async () => {
    const pool = make({ maxUpstreams: 2 });
    await pool.admit();
    pool.leaseNow(false, 'other');
    expect(pool.leaseNow(false, 'consume')).to.equal(null);
    let consuming: unknown = null;
    pool.lease(false, 'consume', outcome => {
      if (outcome.ok) consuming = outcome.value.upstream;
    });
    await settle();
    expect(consuming).to.equal(opened[1]);
    expect(pool.leaseNow(false, 'publish')?.upstream).to.equal(opened[0]);
    expect(pool.leaseNow(false, 'consume')?.upstream).to.equal(opened[1]);
    // both are full and no more may be opened: better together than not at all
    opened[1].capacity = 3;
    expect(pool.leaseNow(false, 'publish')?.upstream).to.equal(opened[1]);
    expect(opened[1].consuming).to.equal(true);
  });

  it('tries other brokers at once, without waiting for its next attempt', async () => {
    const pool = make();
    failure = new Error('the broker is down');
    let served = false;
    pool.lease(false, 'publish', outcome => {
      served = outcome.ok;
    });
    await settle();
    failure = null;
    pool.leaveBrokers();
    await settle();
    expect(served).to.equal(true);
  });

  it('gives a refusal to all who wait', async () => {
    const pool = make();
    const why = { code: 403, text: 'ACCESS_REFUSED', classId: 0, methodId: 0 };
    const told: unknown[] = [];
    failure = new Refused(why);
    for (let i = 0; i < 3; i++) pool.lease(false, 'publish', outcome => told.push(outcome));
    await settle();
    expect(told).to.deep.equal(Array(3).fill({ ok: false, cause: 'refused', why }));
  });

  it('closes idle upstreams but min_upstreams, and old ones when they are free', async () => {
    const pool = make({ idleConnectionTimeout: 10, minUpstreams: 1, maxLifetime: 100 });
    await pool.admit();
    pool.leaseNow(false, 'publish');
    pool.leaseNow(false, 'publish');
    pool.lease(false, 'publish', () => {});
    await settle();
    for (const upstream of opened) upstream.busy = 0;
    pool.maintain(11_000);
    expect(pool.upstreams).to.have.length(1);
    (pool.upstreams[0] as unknown as FakeUpstream).busy = 1;
    pool.maintain(101_000);
    expect(pool.upstreams[0].retired).to.equal(true);
    expect(opened.filter(upstream => !upstream.closed)).to.have.length(1);
    (pool.upstreams[0] as unknown as FakeUpstream).busy = 0;
    pool.channelFreed(pool.upstreams[0]);
    expect(pool.upstreams).to.have.length(0);
  });
});

describe('Login keys', () => {
  it('tell users and secrets apart, and show no secret', () => {
    const keys = new Set(
      [
        ['a', 'b'],
        ['a', 'c'],
        ['a', ''],
        ['ab', ''],
        ['', 'ab'],
      ].map(([user, secret]) => loginKey(user, Buffer.from(secret))),
    );
    keys.add(loginKey('a', null));
    expect(keys.size).to.equal(6);
    expect(loginKey('user', Buffer.from('hunter2'))).not.to.include('hunter2');
    expect(loginKey('user', Buffer.from('x'))).to.equal(loginKey('user', Buffer.from('x')));
  });
});
