/** README and pages: short enough, and their links lead somewhere. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { expect } from 'chai';
import { KINDS, namesIn, optionNames, optionOf } from '../../src/config/options.ts';
import { Authority } from '../support/certs.ts';
import { Settings } from '../support/settings.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = ['README.md', ...globSync('packaging/doc/*.md', { cwd: root })];
const text = (page: string): string => readFileSync(resolve(root, page), 'utf8');

describe('The README', () => {
  it('is short enough for somebody who is busy', () => {
    expect(text('README.md').split('\n').length).to.be.below(150);
  });

  it('has pictures that are small', () => {
    for (const picture of globSync('packaging/readme/*', { cwd: root }))
      expect(statSync(resolve(root, picture)).size, picture).to.be.below(150_000);
  });

  it('leads to every page', () => {
    const readme = text('README.md');
    for (const page of pages.slice(1)) expect(readme, page).to.include(`(${page})`);
  });
});

describe('Each page', () => {
  for (const page of pages)
    it(`${page} links to what is there`, () => {
      for (const [, target] of text(page).matchAll(/(?:\]\(|src(?:set)?=")([^)"#]+)(?:#[^)]*)?[)"]/g))
        if (!target.startsWith('http'))
          expect(existsSync(resolve(root, dirname(page), target)), target).to.equal(true);
    });

  it('has settings as examples that a start takes, without a warning', () => {
    const settings = new Settings({});
    try {
      const { ca } = new Authority().sign('example', 'DNS:localhost');
      const examples = pages.flatMap(page =>
        [...text(page).matchAll(/^```ini\n(.*?)^```$/gms)].map(([, block]) => block),
      );
      expect(examples).to.have.length.above(1);
      for (const example of examples) {
        // a file that this machine does not have
        const { warnings } = settings.load(example.replace(/^(tls_ca = ).*$/m, `$1${ca}`));
        expect(warnings, example).to.deep.equal([]);
      }
    } finally {
      settings.end();
    }
  });

  it('names only settings that exist', () => {
    const keys = new Set([...optionNames, ...KINDS.flatMap(namesIn)].map(name => optionOf(name).key));
    for (const page of pages)
      for (const [, key] of text(page).matchAll(/`(?:\[\w+\] )?([a-z_]+) = [^`]*`/g))
        expect(keys.has(key), `${key} in ${page}`).to.equal(true);
  });
});
