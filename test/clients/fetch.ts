/** fetch.ts [SUITE…]: brings the suites to .cache/clients, and the Debian packages that run them. Nothing is fetched twice. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { chosen, home, placeOf, type Source, type Suite } from './suites.ts';

const run = (cwd: string, file: string, ...args: string[]): void => {
  execFileSync(file, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: 300_000 });
};

const unpack = (dir: string): void => {
  const archive = readdirSync(dir).find(name => /\.t(ar\.)?(gz|xz|bz2|gz)$/.test(name));
  if (archive === undefined) throw new Error('no archive came');
  run(dir, 'tar', 'xf', archive, '--strip-components=1');
  rmSync(join(dir, archive));
};

/** apt with lists of its own: the machine's need not know of sources, nor of other Debians. */
function apt(dir: string, release: string, ...args: string[]): void {
  const state = join(home, `apt-${release}`);
  const list = join(state, 'sources.list');
  const options = [
    `Dir::Etc::SourceList=${list}`,
    'Dir::Etc::SourceParts=/nonexistent',
    `Dir::State::Lists=${state}/lists`,
    `Dir::Cache=${state}/cache`,
    'APT::Sandbox::User=root',
  ].flatMap(option => ['-o', option]);
  if (!existsSync(list)) {
    for (const part of ['lists', 'cache']) mkdirSync(join(state, part, 'partial'), { recursive: true });
    const keys = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
    writeFileSync(list, `deb-src ${keys} http://deb.debian.org/debian ${release} main\n`);
    run(dir, 'apt-get', ...options, 'update');
  }
  run(dir, 'apt-get', ...options, ...args);
}

/** One attempt, into an empty directory. */
function take(source: Source, dir: string): void {
  if ('npm' in source) {
    run(dir, 'npm', 'pack', '--silent', source.npm);
    unpack(dir);
  } else if ('debian' in source) {
    apt(dir, source.release, 'source', '--download-only', '--tar-only', `${source.debian}/${source.release}`);
    unpack(dir);
  } else run(dir, 'git', 'clone', '--quiet', '--depth=1', '--branch', source.tag, source.git, '.');
}

const describe = (source: Source): string =>
  'npm' in source
    ? `npm ${source.npm}`
    : 'debian' in source
      ? `Debian ${source.release}, source of ${source.debian}`
      : `${source.git} at ${source.tag}`;

function fetch(suite: Suite): void {
  const place = placeOf(suite);
  if (existsSync(place)) return;
  const failures: string[] = [];
  for (const source of suite.sources) {
    const dir = `${place}.new`;
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    try {
      take(source, dir);
      if (!existsSync(join(dir, suite.tests))) throw new Error(`no ${suite.tests} in it`);
      // beside the suite, where its own development dependencies do not come with it
      if (suite.npm)
        run(home, 'npm', 'install', '--prefix', home, '--no-package-lock', '--ignore-scripts', ...suite.npm);
      writeFileSync(join(dir, '.source'), describe(source));
      renameSync(dir, place);
      console.log(`${suite.name}: from ${describe(source)}`);
      return;
    } catch (error) {
      failures.push(`  ${describe(source)}: ${(error as Error).message.trim().split('\n').at(-1)}`);
      rmSync(dir, { recursive: true, force: true });
    }
  }
  console.log(`${suite.name}: cannot be fetched\n${failures.join('\n')}`);
}

mkdirSync(home, { recursive: true });
for (const suite of chosen(process.argv.slice(2))) {
  fetch(suite);
  if (existsSync(placeOf(suite)))
    execFileSync(resolve(import.meta.dirname, '../../packaging/install-debs'), suite.debs, {
      stdio: 'inherit',
    });
}
