/** What make would do on a bare machine: which packages each target asks Debian for. */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect } from 'chai';

const root = resolve(import.meta.dirname, '../..');

/** The packages that a target installs where they are missing, by what `make -n` prints. */
function packages(target: string): Set<string> {
  const { MAKEFLAGS: _, MAKELEVEL: __, ...env } = process.env;
  const plan = execFileSync('make', ['-n', target], { cwd: root, encoding: 'utf8', env });
  return new Set(
    [...plan.matchAll(/^packaging\/install-debs (.*)$/gm)].flatMap(([, names]) =>
      names.replaceAll('?', '').split(' '),
    ),
  );
}

const BUILD = ['npm', 'g++', 'make', 'libsystemd-dev'];

describe('make', () => {
  it('build needs a compiler, headers and npm, and no broker', () => {
    expect([...packages('build')]).to.have.members(BUILD);
  });

  it('deb and rpm need the tools that pack besides, and no broker', () => {
    for (const target of ['deb', 'rpm'])
      expect([...packages(target)], target)
        .to.include.members(BUILD)
        .and.not.include.members(['rabbitmq-server'])
        .and.not.include.members(['php-cli']);
  });

  it('demo needs the broker, test the clients, too', () => {
    expect([...packages('demo')])
      .to.include('rabbitmq-server')
      .and.not.include('php-cli');
    expect([...packages('test')]).to.include.members([
      'rabbitmq-server',
      'php-cli',
      'python3-pika',
      'openssl',
      'chromium',
      'prometheus',
      'tmux',
    ]);
  });

  it('help names each target that is meant for people', () => {
    const help = execFileSync('make', ['help'], { cwd: root, encoding: 'utf8' });
    for (const target of [
      'build',
      'deb',
      'rpm',
      'packages',
      'repo',
      'release',
      'demo',
      'picture',
      'test',
      'test-systemd',
      'install',
    ])
      expect(help).to.match(new RegExp(`^  make ${target} `, 'm'));
  });
});
