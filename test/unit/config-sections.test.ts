/** Sections of which there may be several, each with a name: how they are read, and what a reload says of them. */
import { expect } from 'chai';
import { describe as describeSettings } from '../../src/config/load.ts';
import { reloadedConfig } from '../../src/config/reload.ts';
import { settingsIn } from '../../src/config/sections.ts';
import { settingsOf } from '../support/settings.ts';

const MAIN = '[main]\nupstream = amqp://a\n';

describe('Sections with a name', () => {
  const settings = settingsOf({});
  const { load, problemsIn: problems } = settings;

  it('are read in their order, also empty ones, and one that comes twice is one', () => {
    const { config } = load(
      `${MAIN}[route  eu]\nvhosts = a\n[route us]\n[route eu]\nvhosts = b, c\nusers = u\n[main]\nclose = instant\n`,
    );
    expect(config.sections.map(({ kind, name, own }) => ({ kind, name, own }))).to.deep.equal([
      { kind: 'route', name: 'eu', own: { routeVhosts: ['b', 'c'], routeUsers: ['u'] } },
      { kind: 'route', name: 'us', own: {} },
    ]);
    expect(settingsIn(config, config.sections[0])).to.include({ close: 'instant', maxClients: 0 });
  });

  it('are printed with where each setting comes from, and read as the same', () => {
    const text = describeSettings(load(`${MAIN}[route eu]\nvhosts = a, b-*\n`));
    expect(text).to.match(/\n\n\[route eu\]\nvhosts = a,b-\* {2}; .*:4$/);
    expect(load(text).config.sections[0].own).to.deep.equal({ routeVhosts: ['a', 'b-*'] });
  });

  for (const [what, text, why] of [
    ['without a name', '[route]\n', /^3: \[route\] needs a name: \[route NAME\]$/],
    ['with a name that no label can be', '[route a b]\n', /^3: \[route a b\]: a name may have letters/],
    [
      'named main',
      '[route main]\n',
      /^3: \[route main\]: main is what is in no section of this kind, choose another name/,
    ],
    [
      'with an unknown key',
      '[route eu]\nvhost = a\n',
      /^4: unknown key vhost in \[route eu\]: did you mean vhosts\?$/,
    ],
    [
      'with a key of others',
      '[route eu]\nlog_level = warn\n',
      /^4: unknown key log_level .*: it belongs in \[main\]$/,
    ],
  ] as const)
    it(`${what} are told, with file and line`, () => {
      const found = problems(MAIN + text);
      expect(found).to.have.length(1);
      expect(found[0]).to.match(why);
    });

  it('come, go and change with a reload', () => {
    const first = load(
      `${MAIN}[route eu]\nvhosts = a\n[route us]\nusers = u\n[route old]\nvhosts = o\n`,
    ).config;
    const next = load(
      `${MAIN}[route us]\nusers = u\n[route eu]\nvhosts = b\n[route new]\nvhosts = n\n`,
    ).config;
    const { config, changed, waiting } = reloadedConfig(first, next);
    expect(config.sections).to.deep.equal(next.sections);
    expect(changed).to.deep.equal([
      '[route eu] vhosts a -> b',
      '[route new] is new',
      '[route old] is gone',
      'sections are in another order',
    ]);
    expect(waiting).to.deep.equal([]);
    expect(reloadedConfig(next, next).changed).to.deep.equal([]);
  });
});
