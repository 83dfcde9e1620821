/** What several workers have together: limits in parts, numbers in turns, counters and rows as one. */
import { expect } from 'chai';
import { workersOf } from '../../src/config/workers.ts';
import { evenly, part } from '../../src/share.ts';
import { Spread } from '../../src/spread.ts';
import { Stats } from '../../src/stats.ts';
import { divided, type Need, unfair } from '../../src/workers/allotment.ts';
import { Brokers } from '../../src/workers/brokers.ts';
import { merged, mergedRoutes, mergedStanding } from '../../src/workers/merge.ts';
import { Sum, tallyOf } from '../../src/workers/tally.ts';
import { settingsOf } from '../support/settings.ts';

const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('The number of workers', () => {
  const settings = settingsOf();

  const allowed = 'allowed is auto, or a whole number, 1 to 256';
  for (const [text, why] of [
    ['0', 'is out of range'],
    ['-1', 'is out of range'],
    ['2.5', 'is not a whole number'],
    ['many', 'is not a number'],
  ])
    it(`cannot be ${text}, and the mistake says what can`, () =>
      expect(settings.problemsIn(`[main]\nworkers = ${text}\n`)).to.deep.equal([
        `2: workers = "${text}" ${why}: ${allowed}`,
      ]));

  it('cannot be more than there may be clients, or upstreams', () =>
    expect(
      settings.problemsIn('[main]\nworkers = 3\nmax_clients = 2\nmax_upstreams_total = 1\n'),
    ).to.deep.equal([
      '2: workers = "3" is more than max_clients (2), of which each worker has one at least',
      '2: workers = "3" is more than max_upstreams_total (1), of which each worker has one at least',
    ]));

  it('is one unless told otherwise; auto is one for each CPU, and not more than there may be clients', () => {
    const of = (text: string): number => workersOf(settings.load(text).config);
    expect(of('')).to.equal(1);
    expect(of('[main]\nworkers = 5\n')).to.equal(5);
    expect(of('[main]\nworkers = auto\n')).to.be.at.least(1);
    expect(of('[main]\nworkers = AUTO\nmax_clients = 1\n')).to.equal(1);
    expect(settings.load('[main]\nworkers = auto\n').config.workers).to.equal(0);
  });
});

describe('Limits of several workers', () => {
  it('are divided without a rest', () => {
    for (const limit of [1, 2, 3, 10, 101])
      for (const count of [1, 2, 3, 7]) {
        const parts = Array.from({ length: count }, (_, i) => evenly(limit, i, count));
        expect(sum(parts), `${limit} by ${count}`).to.equal(limit);
        expect(Math.max(...parts) - Math.min(...parts)).to.be.at.most(1);
      }
  });

  it('are one for each worker at least, and no limit stays none', () => {
    expect([0, 1, 2].map(i => part(2, i, 3))).to.deep.equal([1, 1, 1]);
    expect(part(0, 1, 3)).to.equal(0);
  });

  /** Workers with so many clients, and some that wait. */
  const needs = (admitted: number[], waiting: number[] = []): Need[] =>
    admitted.map((n, i) => ({ admitted: n, waiting: waiting[i] ?? 0 }));

  it('by need: who is there has room, then who waits for it, and what is left is divided', () => {
    expect(divided(10, needs([6, 0]))).to.deep.equal([8, 2]);
    expect(divided(10, needs([10, 0]))).to.deep.equal([10, 0]);
    // lowered below what is in use
    expect(divided(4, needs([6, 1]))).to.deep.equal([6, 1]);
    expect(divided(7, needs([0, 6], [0, 1]))).to.deep.equal([0, 7]);
    expect(divided(7, needs([0, 4], [0, 9]))).to.deep.equal([0, 7]);
    expect(divided(10, needs([2, 4], [1, 1]))).to.deep.equal([4, 6]);
    for (const used of [
      [0, 0, 0],
      [1, 2, 3],
      [9, 0, 1],
    ])
      for (const waiting of [[], [0, 3, 0], [5, 5, 5]])
        expect(sum(divided(10, needs(used, waiting)))).to.equal(10);
  });

  it('are divided anew only where somebody is short of room', () => {
    expect(unfair(100, needs([10, 0]), [50, 50])).to.equal(false);
    expect(unfair(100, needs([40, 0]), [50, 50])).to.equal(true);
    expect(unfair(100, needs([40, 0]), [70, 30])).to.equal(false);
    expect(unfair(60, needs([40, 0]), [70, 30])).to.equal(true);
    expect(unfair(7, needs([0, 6]), [1, 6])).to.equal(false);
    expect(unfair(7, needs([0, 6], [0, 1]), [1, 6])).to.equal(true);
    expect(unfair(7, needs([1, 6], [0, 1]), [1, 6])).to.equal(false);
  });
});

describe('Counters of several workers', () => {
  const stats = (clients: number, logins: number): Stats => {
    const one = Object.assign(new Stats(), { clients, logins });
    one.refuse('max_clients');
    one.loginSeconds.add(0.01);
    return one;
  };

  it('are added up, and those of one that has gone stay', () => {
    const all = new Sum();
    const [a, b] = [tallyOf(stats(3, 10)), tallyOf(stats(4, 20))];
    all.update([a, b]);
    expect([all.now.clients, all.now.logins, all.now.refused.get('max_clients')]).to.deep.equal([7, 30, 2]);
    all.lose(a);
    all.update([b]);
    expect([all.now.clients, all.now.logins, all.now.refused.get('max_clients')]).to.deep.equal([4, 30, 2]);
    expect(all.now.clientsPeak).to.equal(7);
    expect(sum([...all.now.loginSeconds.spread.counts])).to.equal(2);
  });

  it('give quantiles of what came since the last time they were told', () => {
    const all = new Sum();
    const one = stats(0, 0);
    all.update([tallyOf(one)]);
    expect(all.now.loginSeconds.quantile(0.5)).to.be.within(0.01, 0.012);
    all.now.loginSeconds.clear();
    expect(all.now.loginSeconds.quantile(0.5)).to.equal(0);
    one.loginSeconds.add(1);
    all.update([tallyOf(one)]);
    expect(all.now.loginSeconds.quantile(0.5)).to.be.within(1, 1.2);
    expect(all.now.loginSeconds.spread).to.be.instanceOf(Spread);
  });
});

describe('Rows of several workers', () => {
  it('about the same broker or pool are one', () => {
    const broker = {
      id: 'b:5672',
      route: 'main',
      why: '',
      for: 1,
      barrier: 0.1,
      leased: 0,
      blocked: 0,
      failures: 0,
    };
    expect(
      merged('brokers', [
        { ...broker, worker: 1, state: 'up', upstreams: 2, dials: 3, dialed: 9 },
        { ...broker, worker: 2, state: 'down', upstreams: 0, dials: 1, dialed: 2, why: 'refused', for: 5 },
      ]),
    ).to.deep.equal([
      { ...broker, state: 'down', upstreams: 2, dials: 4, dialed: 2, why: 'refused', for: 5 },
    ]);
  });

  it('about clients are all there, those of the log in the order of time', () => {
    const clients = [
      { id: 'c1', worker: 1 },
      { id: 'c2', worker: 2 },
    ];
    expect(merged('clients', clients)).to.deep.equal(clients);
    const events = [{ time: '2026-01-01T00:00:02' }, { time: '2026-01-01T00:00:01' }];
    expect(merged('events', events)).to.deep.equal([events[1], events[0]]);
  });

  it('of what is wrong say the worst that one of them knows', () => {
    const calm = { paused: false, waiting: 1, longestWait: 2, blocked: 0 };
    const down = { since: 0, why: 'refused' };
    expect(
      mergedStanding([
        { ...calm, brokers: [{ name: 'b', drained: false, down }] },
        { ...calm, longestWait: 3, brokers: [{ name: 'b', drained: false, down: null }] },
      ]),
    ).to.deep.equal({
      paused: false,
      waiting: 2,
      longestWait: 3,
      blocked: 0,
      brokers: [{ name: 'b', drained: false, down }],
    });
    expect([...mergedRoutes([new Map([['eu', true]]), new Map([['eu', false]])])]).to.deep.equal([
      ['eu', false],
    ]);
    expect(mergedStanding([]).longestWait).to.equal(0);
  });
});

describe('News of brokers from several workers', () => {
  const make = () => {
    const said: string[] = [];
    const brokers = new Brokers({
      info: line => said.push(`INFO ${line}`),
      warn: line => said.push(`WARN ${line}`),
    });
    const down = (worker: number): void => brokers.heard(worker, { name: 'one', is: 'down', why: 'refused' });
    const up = (worker: number, refused: number): void =>
      brokers.heard(worker, { name: 'one', is: 'up', ms: 9, failures: 2, refused, why: 'refused' });
    return { said, brokers, down, up };
  };
  const DOWN = 'WARN Broker one is down: refused';

  it('are one: it is down with the first word of it, and up with the last, with what all have counted', () => {
    const { said, down, up } = make();
    for (const worker of [0, 1]) down(worker);
    up(0, 3);
    down(2);
    for (const worker of [2, 1]) up(worker, 4);
    expect(said[0]).to.equal(DOWN);
    expect(said[1]).to.match(
      /^WARN Broker one is up again after 0\.\d s and 6 failed attempts, 11 logins refused \(refused\)$/,
    );
    expect(said).to.have.length(2);
    down(1);
    expect(said[2], 'the next time').to.equal(DOWN);
  });

  it('do not wait for a worker that has ended, nor for what is named no more', () => {
    const { said, brokers, down, up } = make();
    for (const worker of [0, 1, 2]) down(worker);
    brokers.lose(0);
    brokers.heard(1, { name: 'one', is: 'gone' });
    up(2, 0);
    expect(said).to.have.length(2);
    down(0);
    brokers.lose(0);
    expect(said, 'nobody has seen it up').to.deep.equal([DOWN, said[1], DOWN]);
    down(0);
    expect(said[3]).to.equal(DOWN);
  });

  it('that each tells once are said once, and again when one of them tells it again', () => {
    const { said, brokers } = make();
    for (const worker of [0, 1, 1, 0]) brokers.heard(worker, { name: 'one', is: 'left' });
    expect(said).to.deep.equal(new Array(2).fill('INFO Broker one is gone: its name stands for others now'));
  });
});
