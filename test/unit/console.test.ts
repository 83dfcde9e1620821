/** The console's parts that need no proxy: tables, filters, durations, the screen of top. */
import { expect } from 'chai';
import { Most } from '../../src/console/order.ts';
import { matcher } from '../../src/console/scope.ts';
import { Screen } from '../../src/console/screen.ts';
import { commandNames, commandOf, viewNames, viewOf } from '../../src/console/table.ts';
import { bytes, cut, duration, number, table, width } from '../../src/console/text.ts';
import { Spread } from '../../src/spread.ts';

describe('A table', () => {
  const rows = [
    { id: 'app@/', state: 'ok', clients: 1200, waiting: 0, upstreams: 3 },
    { id: '用户@/a-very-long-name-of-a-vhost', state: 'paused', clients: 34, waiting: 2, upstreams: 1 },
  ];

  it('is never wider than the terminal, and keeps what matters most', () => {
    for (const columns of [40, 60, 80, 120, 200]) {
      const lines = table(viewOf('pools'), rows, columns);
      for (const line of lines) expect(width(line), line).to.be.at.most(columns);
      for (const title of ['ID', 'STATE', 'CLIENTS', 'WAIT']) expect(lines[0]).to.include(title);
    }
    expect(table(viewOf('pools'), rows, 60)[0]).not.to.include('PARKED');
    expect(table(viewOf('pools'), rows, 200)[0]).to.include('PARKED');
  });

  it('has totals of what can be added up, where there is more than one row', () => {
    expect(table(viewOf('pools'), rows, 200).at(-1)).to.match(/^2 +1234 +2 +4/);
    expect(table(viewOf('pools'), rows.slice(0, 1), 200)).to.have.length(2);
  });

  it('has no column for routes where all is on that of [main]', () => {
    for (const view of ['pools', 'clients', 'upstreams', 'brokers'] as const) {
      const head = (...routes: (string | undefined)[]): string =>
        table(
          viewOf(view),
          routes.map(route => ({ id: 'x', ...(route === undefined ? {} : { route }) })),
          300,
        )[0];
      expect(head('main', 'main'), view).not.to.include('ROUTE');
      // who is logging in is on none yet
      expect(head('main', '', undefined), view).not.to.include('ROUTE');
      expect(head('main', 'eu'), view).to.include('ROUTE');
    }
  });

  it('counts the columns of wide letters, and cuts between letters', () => {
    expect(width('用户')).to.equal(4);
    expect(cut('用户名', 5)).to.equal('用户…');
    expect(cut('user', 4)).to.equal('user');
  });
});

describe('Numbers for people', () => {
  it('are short', () => {
    expect([0, 999, 9999, 12_345, 1_234_567].map(number)).to.deep.equal([
      '0',
      '999',
      '9999',
      '12.3k',
      '1.23M',
    ]);
    expect([999, 1500, 4_194_304].map(bytes)).to.deep.equal(['999', '1.50kB', '4.19MB']);
    expect([0, 0.0005, 0.0123, 3.24, 125, 7260, 200_000].map(duration)).to.deep.equal([
      '0',
      '500 µs',
      '12 ms',
      '3.2 s',
      '2m05',
      '2h01',
      '2d07h',
    ]);
  });
});

describe('A filter', () => {
  const row = { id: 'c1', user: 'app', pool: 'app@/', upstream: 'u3,u4', waiting: 0 };

  it('is a column with a value, with * for anything, or a word', () => {
    for (const filters of [
      ['user=app'],
      ['user=a*'],
      ['APP'],
      ['c1'],
      ['u4'],
      ['user=app', 'id=c1'],
      ['pool=app@/'],
    ])
      expect(matcher(filters)(row), filters.join(' ')).to.equal(true);
    for (const filters of [['user=ap'], ['user=a.p'], ['ccccc'], ['c12'], ['u33'], ['user=app', 'id=c2']])
      expect(matcher(filters)(row), filters.join(' ')).to.equal(false);
  });

  it('is as quick to say no, whatever is in it', () => {
    expect(matcher([`user=${'a*'.repeat(60)}b`])({ user: 'a'.repeat(5000) })).to.equal(false);
    for (const [pattern, user, matches] of [
      ['a*b*c', 'a1b2c', true],
      ['*', '', true],
      ['a**b', 'ab', true],
      ['ab*ba', 'aba', false],
      ['*b', 'ab\n', false],
      ['a*', 'a\nb', true],
    ] as const)
      expect(matcher([`user=${pattern}`])({ user }), pattern).to.equal(matches);
  });

  it('of an id means this one only', () => {
    expect(matcher(['c1'])({ ...row, id: 'c12' })).to.equal(false);
  });
});

describe('The rows that matter most', () => {
  it('are the same as those of a sorted list, of any number', () => {
    const most = new Most(3, ['waiting', 'buffered']);
    for (let i = 0; i < 1000; i++) most.add({ waiting: (i * 7919) % 1000, buffered: 0 });
    expect(most.rows.map(({ waiting }) => waiting)).to.deep.equal([999, 998, 997]);
  });
});

describe('A spread of durations', () => {
  it('gives quantiles that are up to a fifth too large, of any span', () => {
    const spread = new Spread();
    for (let i = 0; i < 100; i++) spread.add(10);
    const before = spread.copy();
    for (let i = 1; i <= 100; i++) spread.add(i / 1000);
    const since = spread.since(before);
    expect(since.quantile(0.5)).to.be.within(0.05, 0.06);
    expect(since.quantile(0.99)).to.be.within(0.099, 0.119);
    expect(spread.quantile(0.99)).to.be.within(10, 12);
    expect(new Spread().quantile(0.5)).to.equal(0);
  });
});

describe('The screen of top', () => {
  const pools = [
    { id: 'a@/', clients: 1, waiting: 0 },
    { id: 'b@/', clients: 5, waiting: 3 },
  ];

  it('is as large as the terminal, whatever is on it', () => {
    const screen = new Screen();
    screen.show(
      Array.from({ length: 100 }, (_, i) => ({ id: `p${i}@/`, clients: i })),
      [],
    );
    for (const [columns, rows] of [
      [80, 24],
      [40, 10],
    ]) {
      const lines = screen.lines(columns, rows);
      expect(lines).to.have.length(rows);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: bold and reversed take no columns
      for (const line of lines) expect(width(line.replace(/\x1b\[\d*m/g, ''))).to.be.at.most(columns);
    }
  });

  it('goes from a pool to its clients and back, and keeps the selection in sight', () => {
    const screen = new Screen();
    screen.show(pools, []);
    expect(screen.key('\r')).to.equal('ask');
    // what waits comes first
    expect([screen.view, screen.filters]).to.deep.equal(['clients', ['pool=b@/']]);
    expect(screen.key('\x1b')).to.equal('ask');
    expect(screen.view).to.equal('pools');
    screen.show(
      Array.from({ length: 100 }, (_, i) => ({ id: `p${i}@/`, clients: 100 - i, waiting: 0 })),
      [],
    );
    for (let i = 0; i < 50; i++) screen.key('j');
    expect(screen.lines(80, 24).join('\n')).to.include('\x1b[1mp50@/');
  });

  it('has nothing on it that steers the terminal, whoever is shown, typed or heard from', () => {
    const evil = '\x1b]0;owned\x07\u009b2J\u202e';
    const screen = new Screen();
    screen.show([{ id: `${evil}@/`, state: evil }], [{ span: evil }]);
    screen.fails(evil);
    for (const key of ['/', ...evil]) screen.key(key);
    const lines = screen.lines(200, 24).join('');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: bold and reversed are ours
    const text = lines.replace(/\x1b\[\d*m/g, '');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(text).not.to.match(/[\x00-\x1f\x7f-\x9f\u202e]/);
    expect(text).to.include('\\u001b]0;owned');
  });

  it('takes a filter as it is typed, and quits', () => {
    const screen = new Screen();
    for (const key of ['/', 'q', 'x', '\x7f', ' ', 'a', '\r']) screen.key(key);
    expect(screen.filters).to.deep.equal(['q', 'a']);
    expect(screen.key('q')).to.equal('quit');
    expect(screen.key('\x03')).to.equal('quit');
  });
});

describe('The table of the console', () => {
  it('has a sentence for each command and view, and no column twice', () => {
    for (const name of commandNames) expect(commandOf(name).help, name).to.match(/^[A-Z].*\.$/);
    for (const name of viewNames) {
      const keys = viewOf(name).columns.map(({ key }) => key);
      expect(new Set(keys).size, name).to.equal(keys.length);
      expect(viewOf(name).help, name).to.match(/^[A-Z].*\.$/);
    }
  });
});
