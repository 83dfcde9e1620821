/** What `make release` asks for before it builds anything. GnuPG is played: it knows one key. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { tempDir } from '../support/cleanup.ts';

const root = resolve(import.meta.dirname, '../..');
const NAMES = { MAINTAINER: 'Jane Doe <jane@example.org>', HOMEPAGE: 'https://example.org/amqproxy' };
const GPG = `#!/bin/sh
case "$*" in *ABCD*) echo sec:u:255:22:0123:1700000000::::::; echo fpr:::::::::0123ABCD: ;; esac
`;

describe('make release', () => {
  let dir: string;
  const git = (...args: string[]): void => {
    spawnSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.org', ...args], { cwd: dir });
  };
  beforeEach(() => {
    dir = tempDir('release');
    mkdirSync(join(dir, 'packaging'));
    for (const file of ['release.sh', 'target', 'publisher', 'signing'])
      cpSync(join(root, 'packaging', file), join(dir, 'packaging', file));
    mkdirSync(join(dir, '.git-tools'));
    writeFileSync(join(dir, '.git-tools/gpg'), GPG, { mode: 0o755 });
    writeFileSync(join(dir, 'package.json'), '{\n  "version": "1.2.0",\n}\n');
    changelog('## [Unreleased]\n\n## [1.2.0] - 2026-11-26\n\n### Added\n\n- This.\n');
    git('init', '-q');
    commit();
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const changelog = (text: string): void =>
    writeFileSync(join(dir, 'CHANGELOG.md'), `# Changelog\n\n${text}`);
  const commit = (): void => {
    git('add', '-A');
    git('commit', '-qm', 'x');
  };
  /** The check; its exit code and what it says. */
  const check = (env: NodeJS.ProcessEnv = {}): [code: number | null, said: string] => {
    const PATH = `${join(dir, '.git-tools')}:${process.env.PATH}`;
    const { status, stdout, stderr } = spawnSync('packaging/release.sh', ['--check'], {
      cwd: dir,
      encoding: 'utf8',
      env: { PATH, REPO_KEY: 'ABCD', ...NAMES, ...env },
    });
    return [status, stdout + stderr];
  };

  it('has nothing to say where key, names and changelog are there', () => {
    expect(check()).to.deep.equal([0, '']);
  });

  it('wants a key', () => {
    expect(check({ REPO_KEY: '' })).to.deep.equal([
      1,
      "make release: no key to sign with: name one with REPO_KEY=FINGERPRINT; gpg --quick-generate-key 'amqproxy packages <you@example.org>' default sign never makes one\n",
    ]);
  });

  it('warns that packages of nobody are no packages to publish', () => {
    expect(check({ MAINTAINER: '' })).to.deep.equal([
      0,
      'make release: these packages name nobody as their maintainer, which is fine to try them. To publish them, put your name and address into packaging/publisher\n',
    ]);
  });

  it('wants names that packages can have', () => {
    for (const MAINTAINER of ['jane@example.org', 'Jane <jane>', 'Jane\nSection: x <j@example.org>'])
      expect(check({ MAINTAINER })[1], MAINTAINER).to.equal(
        "make release: MAINTAINER is 'Jane Doe <jane@example.org>', a name and an address, see packaging/publisher\n",
      );
    expect(check({ HOMEPAGE: 'example.org' })).to.deep.equal([
      1,
      'make release: HOMEPAGE is an address such as https://example.org/amqproxy, or nothing, see packaging/publisher\n',
    ]);
    expect(check({ HOMEPAGE: '' })).to.deep.equal([0, '']);
  });

  it('is made of a commit', () => {
    changelog('## [1.2.0]\n\n- That.\n');
    expect(check()[1]).to.match(/^make release: there are changes that are not committed/);
  });

  for (const [what, text, told] of [
    [
      'no section of the version',
      '## [1.1.0]\n\n- That.\n',
      'CHANGELOG.md has no section [1.2.0]: write one',
    ],
    [
      'changes since the version',
      '## [Unreleased]\n\n- More.\n\n## [1.2.0]\n\n- That.\n',
      'CHANGELOG.md has changes since 1.2.0, as Unreleased: they need a version of their own, there and in package.json',
    ],
  ])
    it(`says what the changelog lacks: ${what}`, () => {
      changelog(text);
      commit();
      expect(check()).to.deep.equal([1, `make release: ${told}\n`]);
    });

  it('takes what is not released for a version that is none yet', () => {
    changelog('## [Unreleased]\n\n- More.\n');
    commit();
    expect(check()).to.deep.equal([0, '']);
  });
});
