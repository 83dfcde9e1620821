/** The pool, with plain objects for upstreams. */
import { expect } from 'chai';
import { clock } from '../../src/clock.ts';
import { defaults } from '../../src/config/options.ts';
import type { Outbox } from '../../src/io/outbox.ts';
import { Account } from '../../src/pool/account.ts';
import type { Opener, PoolContext } from '../../src/pool/context.ts';
import { Pool } from '../../src/pool/pool.ts';
import type { PrivateLease } from '../../src/pool/private-lease.ts';
import { ChannelQuota } from '../../src/pool/quota.ts';
import { loginKey } from '../../src/pool/secrets.ts';
import type { Outcome, Wait } from '../../src/pool/waiters.ts';
import { Stats } from '../../src/stats.ts';
import { Refused } from '../../src/upstream/handshake.ts';
import type { Lease, Purpose } from '../../src/upstream/lease.ts';
import { Load } from '../../src/upstream/load.ts';
import { BrokerProfile } from '../../src/upstream/profile.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';

const NO_TRAFFIC = {
  out: { total: 0, refused: 0 } as Outbox,
  blocked: null,
  answersFlow: true,
  barriers: { best: 1 },
};
const CLIENT = { channels: { tenancy: { home: null } } };

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
  suspect = false;
  namedFor = '';
  readonly id = 1;
  readonly stats = new Stats();
  readonly channels = {
    parked: 0,
    ending: 0,
    stuck: 0,
    closeOld: () => {},
    load: new Load(NO_TRAFFIC, new Stats(), () => false),
  };
  closed = false;

  lease(): object | null {
    if (this.busy >= this.capacity) return null;
    this.busy++;
    return { upstream: this, peer: CLIENT };
  }

  whenClosed(listener: () => void): void {
    listener();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.state = 'closed';
    this.owner?.upstreamClosed(this as never, null);
    this.owner?.upstreamGone();
  }
}

const ROUTE = { name: 'main', profile: new BrokerProfile(0), opener: {} as Opener<Account>, lostAt: -1e9 };
const HOLDER = { peer: CLIENT } as never;
const leaseNow = (pool: Pool, purpose: Purpose): Lease | null => pool.lease(HOLDER, purpose, false);
const lease = (pool: Pool, purpose: Purpose, done: (outcome: Outcome<Lease>) => void): Wait =>
  pool.waitForLease(HOLDER, purpose, false, done);
const owner = { peer: HOLDER, updateSecretOk: () => {}, privateLost: () => {} };

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
    const context: PoolContext<Pool> = {
      config: { ...defaults(), ...settings },
      stats,
      full: () => false,
      makesRoom: () => true,
      reserve: () => true,
      place: async () => true,
      roomFor: async () => false,
      waitingChanged: () => {},
      upstreamIdle: () => {},
      open: async () => {
        await tick();
        if (failure) throw failure;
        const upstream = new FakeUpstream();
        upstream.capacity = capacity;
        opened.push(upstream);
        return upstream as unknown as Upstream;
      },
      report: () => {},
    };
    const { config } = context;
    const route = { ...ROUTE, config };
    const way = { route, quota: new ChannelQuota('user') };
    return new Pool(context, new Account('key', 'user', Buffer.from('secret')), '/', way);
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
    expect(leaseNow(pool, 'publish')).not.to.equal(null);
    expect(leaseNow(pool, 'publish')).not.to.equal(null);
    expect(leaseNow(pool, 'publish')).to.equal(null);
    const served: number[] = [];
    for (const n of [1, 2, 3]) lease(pool, 'publish', outcome => outcome.ok && served.push(n));
    await settle();
    expect(served).to.deep.equal([1, 2, 3]);
    expect(opened.length).to.be.within(2, 4);
  });

  it('opens one upstream for as many leases as it has channels, and one for each client that wants it for itself', async () => {
    const pool = make({ maxUpstreamChannels: 100 });
    capacity = 100;
    let leases = 0;
    for (let i = 0; i < 150; i++) lease(pool, 'publish', () => leases++);
    await settle();
    expect(leases).to.equal(150);
    expect(opened).to.have.length(2);
    for (let i = 0; i < 3; i++) pool.leaseUpstream(owner, '', () => {});
    await settle();
    expect(opened).to.have.length(5);
  });

  it('counts the wait of every lease, 0 for those that found a channel free', async () => {
    const pool = make({ maxUpstreams: 1 });
    await pool.admit();
    const waits: number[] = [];
    stats.leaseWaitSeconds.observe = seconds => waits.push(seconds);
    leaseNow(pool, 'publish');
    lease(pool, 'publish', () => {});
    expect(leaseNow(pool, 'publish')).to.equal(null);
    lease(pool, 'publish', () => {});
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
    leaseNow(pool, 'publish');
    leaseNow(pool, 'publish');
    let why = '';
    lease(pool, 'publish', outcome => {
      if (!outcome.ok) why = outcome.why.text;
    });
    await settle();
    expect(opened).to.have.length(1);
    pool.maintain(clock.now);
    expect(why).to.equal('');
    pool.maintain(clock.now + 1001);
    expect(why).to.match(/CONNECTION_FORCED - .*lease_timeout/);
  });

  it('lends a private upstream to one client only, and takes it back', async () => {
    const pool = make();
    await pool.admit();
    let mine: PrivateLease | null = null;
    pool.leaseUpstream(owner, '', outcome => {
      if (outcome.ok) mine = outcome.value;
    });
    expect(mine!.upstream).to.equal(opened[0]);
    expect(leaseNow(pool, 'publish')).to.equal(null);
    (mine as unknown as PrivateLease).end(null);
    expect(leaseNow(pool, 'publish')).not.to.equal(null);
  });

  it('lends no private upstream that is silent while it may open one', async () => {
    const pool = make();
    await pool.admit();
    opened[0].suspect = true;
    let mine: PrivateLease | null = null;
    pool.leaseUpstream(owner, '', outcome => {
      if (outcome.ok) mine = outcome.value;
    });
    await settle();
    expect(mine!.upstream === (opened[1] as unknown)).to.equal(true);
  });

  it('lends one that is silent where there is no other', async () => {
    const pool = make({ maxUpstreams: 1 });
    await pool.admit();
    opened[0].suspect = true;
    let mine: PrivateLease | null = null;
    pool.leaseUpstream(owner, '', outcome => {
      if (outcome.ok) mine = outcome.value;
    });
    expect(mine!.upstream === (opened[0] as unknown)).to.equal(true);
  });

  it('serves a waiter once, also one that gives back at once because it is leaving', async () => {
    const pool = make({ maxUpstreams: 1 });
    await pool.admit();
    let first: PrivateLease | null = null;
    pool.leaseUpstream(owner, '', outcome => {
      if (outcome.ok) first = outcome.value;
    });
    let served = 0;
    let after = 0;
    pool.leaseUpstream(owner, '', outcome => {
      served++;
      if (outcome.ok) outcome.value.end(null);
    });
    pool.leaseUpstream(owner, '', () => after++);
    (first as unknown as PrivateLease).end(null);
    expect(served).to.equal(1);
    expect(after).to.equal(1);
  });

  it('closes a private upstream that is spent', async () => {
    const pool = make();
    await pool.admit();
    let spent: PrivateLease | null = null;
    pool.leaseUpstream(owner, '', outcome => {
      if (outcome.ok) spent = outcome.value;
    });
    (spent as unknown as PrivateLease).spent = true;
    (spent as unknown as PrivateLease).end(null);
    expect(opened[0].closed).to.equal(true);
    expect(pool.live).to.equal(false);
  });

  it('leads those who do not publish around a blocked upstream', async () => {
    const pool = make();
    await pool.admit();
    opened[0].blocked = 'low on memory';
    pool.blockedChanged(opened[0] as never);
    expect(leaseNow(pool, 'publish')).not.to.equal(null);
    expect(leaseNow(pool, 'other')).to.equal(null);
    let other: unknown = null;
    lease(pool, 'other', outcome => {
      if (outcome.ok) other = outcome.value.upstream;
    });
    await settle();
    expect(other).to.equal(opened[1]);
  });

  it('lets consumers share upstreams with consumers only, as far as there are enough', async () => {
    const pool = make({ maxUpstreams: 2 });
    await pool.admit();
    leaseNow(pool, 'other');
    expect(leaseNow(pool, 'consume')).to.equal(null);
    let consuming: unknown = null;
    lease(pool, 'consume', outcome => {
      if (outcome.ok) consuming = outcome.value.upstream;
    });
    await settle();
    expect(consuming).to.equal(opened[1]);
    expect(leaseNow(pool, 'publish')?.upstream).to.equal(opened[0]);
    expect(leaseNow(pool, 'consume')?.upstream).to.equal(opened[1]);
    // both are full and no more may be opened: better together than not at all
    opened[1].capacity = 3;
    expect(leaseNow(pool, 'publish')?.upstream).to.equal(opened[1]);
    expect(opened[1].consuming).to.equal(true);
  });

  it('tries other brokers at once, without waiting for its next attempt', async () => {
    const pool = make();
    failure = new Error('the broker is down');
    let served = false;
    lease(pool, 'publish', outcome => {
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
    for (let i = 0; i < 3; i++) lease(pool, 'publish', outcome => told.push(outcome));
    await settle();
    expect(told).to.deep.equal(Array(3).fill({ ok: false, cause: 'refused', why }));
  });

  it('closes idle upstreams but min_upstreams, and old ones when they are free', async () => {
    const pool = make({ idleConnectionTimeout: 10, minUpstreams: 1, maxLifetime: 100 });
    await pool.admit();
    leaseNow(pool, 'publish');
    leaseNow(pool, 'publish');
    lease(pool, 'publish', () => {});
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
