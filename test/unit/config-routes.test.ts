/** Routes: which one is taken, and which settings of them cannot be right. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describeRoute, fits, routeFor, routesOf } from '../../src/config/routes.ts';
import { settingsOf } from '../support/settings.ts';

describe('A pattern', () => {
  for (const [pattern, word, does] of [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['*', '', true],
    ['b-*', 'b-1', true],
    ['b-*', 'b-', true],
    ['b-*', 'ab-1', false],
    ['*-eu', 'shop-eu', true],
    ['*-eu', 'shop-eu2', false],
    ['a*a', 'a', false],
    ['a*b*c', 'aXbYc', true],
    ['a*b*c', 'acb', false],
    ['a.c', 'abc', false],
    ['*/*', '/', true],
  ] as const)
    it(`${pattern} ${does ? 'takes' : 'does not take'} "${word}"`, () => {
      expect(fits(pattern, word)).to.equal(does);
    });
});

describe('Routes', () => {
  const settings = settingsOf({});
  const { load, problemsIn: problems } = settings;
  const MAIN = '[main]\nupstream = amqp://a\n';

  it('are tried in the order of the file; whom none fits goes by [main]', () => {
    const { config } = load(
      `${MAIN}[route one]\nvhosts = shop\nusers = alice\nupstream = amqp://b\n[route two]\nvhosts = shop, x-*\n[route three]\nusers = bob\n`,
    );
    const taken = (user: string, vhost: string): string | undefined => routeFor(config, user, vhost)?.name;
    expect(taken('alice', 'shop')).to.equal('one');
    expect(taken('bob', 'shop')).to.equal('two');
    expect(taken('bob', 'x-1')).to.equal('two');
    expect(taken('bob', '/')).to.equal('three');
    expect(taken('alice', '/')).to.equal(undefined);
    const may = (user: string): (string | undefined)[] => routesOf(config, user).map(route => route?.name);
    expect(may('alice')).to.deep.equal(['one', 'two', undefined]);
    expect(may('bob')).to.deep.equal(['two', 'three']);
    expect(describeRoute(config, 'alice', 'shop')).to.match(
      /^alice@shop takes \[route one\] \(.*:3\): amqp:\/\/b:5672$/,
    );
    expect(describeRoute(config, 'alice', '/')).to.equal('alice@/ takes [main]: amqp://a:5672');
  });

  for (const [what, text] of [
    ['the same again', '[route one]\nvhosts = a\n[route two]\nvhosts = a\n'],
    ['something narrower', '[route one]\nvhosts = a-*\n[route two]\nvhosts = a-b, a-c-*\n'],
    [
      'what is left by several',
      '[route one]\nvhosts = a\n[route three]\nvhosts = b\n[route two]\nvhosts = b, a\n',
    ],
    ['anything after one that takes all', '[route one]\n[route two]\nusers = bob\n'],
    ['users that an earlier one takes', '[route one]\nusers = b*\n[route two]\nvhosts = x\nusers = bob\n'],
  ])
    it(`that take ${what} can never be reached: told with file, line and key`, () => {
      const found = problems(MAIN + text);
      expect(found).to.have.length(1);
      expect(found[0]).to.match(
        /^\d+: (vhosts|users) = ".+" can never be reached: \[route one\] \(3\)( and \[route three\] \(5\))? before it takes all that$/,
      );
    });

  it('without vhosts and users behind one that takes all are told by the line they begin at', () => {
    expect(problems(`${MAIN}[route one]\n[route two]\n`)).to.deep.equal([
      '4: [route two] can never be reached: [route one] (3) before it takes all that',
    ]);
  });

  for (const [what, text, told] of [
    [
      'a vhost',
      '[route one]\nvhosts = a, b\n[route two]\nvhosts = b, c\n',
      '6: vhosts = "b,c" has b, which [route one] (3) before it takes already',
    ],
    [
      'a pattern',
      '[route one]\nvhosts = a-*\n[route two]\nvhosts = c, a-b-*\n',
      '6: vhosts = "c,a-b-*" has a-b-*, which [route one] (3) before it takes already',
    ],
    [
      'a user',
      '[route one]\nusers = a, b\n[route two]\nvhosts = x, y\nusers = b, c\n',
      '7: users = "b,c" has b, which [route one] (3) before it takes already',
    ],
  ])
    it(`with ${what} that an earlier one has taken are told with file, line and key`, () => {
      expect(problems(MAIN + text)).to.deep.equal([told]);
    });

  it('may name again in a wide one what a narrow one before it takes', () => {
    for (const text of [
      '[route one]\nvhosts = a\n[route two]\nvhosts = a, b\n',
      '[route one]\nvhosts = a\nusers = x\n[route two]\nvhosts = a, b\n',
    ])
      expect(load(MAIN + text).warnings, text).to.deep.equal([]);
  });

  it('that overlap in part are a warning, a narrow one before a wide one is none', () => {
    const { warnings } = load(`${MAIN}[route one]\nvhosts = a-*\n[route two]\nvhosts = *-b\n`);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.match(
      /:6: vhosts = \*-b of \[route two\] and vhosts = a-\* of \[route one\] \(.*:4\) both fit some: those take \[route one\], which comes first$/,
    );
    expect(load(`${MAIN}[route one]\nvhosts = a\n[route two]\nusers = bob\n`).warnings[0]).to.match(
      /:6: users = bob of \[route two\] and vhosts = a of \[route one\] \(.*:4\) both fit some: those take \[route one\], which comes first$/,
    );
    expect(load(`${MAIN}[route one]\nvhosts = a-b\n[route two]\nvhosts = a-*\n`).warnings).to.deep.equal([]);
    expect(load(`${MAIN}[route one]\nvhosts = a\n[route two]\nvhosts = b\n`).warnings).to.deep.equal([]);
  });

  it('need an upstream in [main], or one each', () => {
    expect(problems('[main]\n[route one]\n')[0]).to.match(/^no broker is named/);
    expect(load('[route one]\nvhosts = a\nupstream = amqp://b\n').config.upstream).to.deep.equal([]);
  });

  it('are checked as [main] is: the proxy itself, a certificate without its key, limits that contradict', () => {
    expect(problems(`${MAIN}[route one]\nupstream = amqp://127.0.0.1:5673\n`)).to.deep.equal([
      '4: upstream = "amqp://127.0.0.1:5673" is the proxy itself, which listens on localhost:5673: name the broker',
    ]);
    const certificate = join(settings.dir, 'cert.pem');
    writeFileSync(certificate, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    expect(problems(`${MAIN}[route one]\ntls_cert = ${certificate}\n`)).to.deep.equal([
      `4: tls_cert = "${certificate}" needs tls_key in [route one]`,
    ]);
    expect(problems(`${MAIN}max_upstreams = 2\n[route one]\nmin_upstreams = 3\n`)).to.deep.equal([
      '5: min_upstreams = "3" is more than max_upstreams (2)',
    ]);
    expect(problems(`${MAIN}min_upstreams = 3\n[route one]\nmax_upstreams = 2\n`)).to.deep.equal([
      '5: max_upstreams = "2" is less than min_upstreams (3)',
    ]);
  });
});
