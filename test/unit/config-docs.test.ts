/** What is made from the option table is as the table says. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { documents } from '../../packaging/docs.ts';
import { load } from '../../src/config/load.ts';
import { defaults, optionNames, optionOf } from '../../src/config/options.ts';
import { tempDir } from '../support/cleanup.ts';

const root = resolve(import.meta.dirname, '../..');
const made = documents();

describe('Made from the option table', () => {
  for (const [path, text] of Object.entries(made))
    it(`${path} is up to date (else: make docs)`, () => {
      expect(readFileSync(join(root, path), 'utf8')).to.equal(text);
    });

  const withFile = (text: string, task: (file: string) => void): void => {
    const dir = tempDir('ini');
    const file = join(dir, 'amqproxy.ini');
    try {
      writeFileSync(file, text);
      task(file);
    } finally {
      rmSync(dir, { recursive: true });
    }
  };
  const upstream = [{ host: 'x', port: 5672, tls: false }];

  for (const [path, all] of [
    ['etc/amqproxy.ini', false],
    ['etc/amqproxy.ini.example', true],
  ] as const)
    it(`${path} changes nothing as it is, and each of its keys is valid with its default`, () => {
      const ini = readFileSync(join(root, path), 'utf8');
      withFile(ini, file =>
        expect(load({ file, flags: { upstream: 'amqp://x' } }).config).to.deep.equal({
          ...defaults(),
          upstream,
        }),
      );
      const keys = ini.match(/^;/gm) ?? [];
      expect(keys.length).to.be.at.most(all ? optionNames.length : 10);
      withFile(ini.replace(/^;/gm, ''), file => {
        const { config, sources } = load({ file });
        expect({ ...config, upstream: [] }).to.deep.equal(defaults());
        const read = optionNames.filter(name => /amqproxy\.ini:\d+$/.test(sources[name]));
        expect(read).to.have.length(keys.length).and.include('upstream');
        if (all) expect(read).to.deep.equal(optionNames);
      });
    });

  it('the manual pages name every key and flag', () => {
    const plain = (page: string): string => page.replaceAll('\\-', '-');
    for (const { key, flag, env } of optionNames.map(optionOf)) {
      expect(made['packaging/man/amqproxy.ini.5']).to.include(`\\fB${key}\\fR`);
      if (flag) expect(plain(made['packaging/man/amqproxy.8'])).to.include(`--${flag}`);
      if (env) expect(made['packaging/man/amqproxy.8']).to.include(env);
    }
  });

  it('the completion for bash knows flags, words and brokers', () => {
    const complete = (...words: string[]): string[] => {
      const script = `. ${join(root, 'packaging/completions/amqproxy.bash')}; compopt() { :; }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _amqproxy; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' })
        .trim()
        .split('\n');
    };
    expect(complete('amqproxy', '--log-f')).to.deep.equal(['--log-format']);
    expect(complete('amqproxy', '--log-format', 'j')).to.deep.equal(['journal', 'json']);
    expect(complete('amqproxy', '-')).to.include.members(['-p', '--port', '--check-config']);
    expect(complete('amqproxy', 'amqp')).to.deep.equal(['amqp://', 'amqps://']);
    expect(complete('amqproxy', '-p', '')).to.deep.equal(['']);
    expect(complete('amqproxy', 'sh')).to.deep.equal(['show']);
    expect(complete('amqproxy', 'show', 'p')).to.deep.equal(['pools']);
    expect(complete('amqproxy', 'set', 'max_clients_')).to.deep.equal(['max_clients_per_user']);
    expect(complete('amqproxy', 'pause', '--t')).to.deep.equal(['--timeout']);
  });

  it('the completion for bash runs nothing that a client calls itself', () => {
    const dir = tempDir('completion');
    const evil = `$(touch ${dir}/run)\`touch ${dir}/run\`@/;touch ${dir}/run`;
    const script = `. ${join(root, 'packaging/completions/amqproxy.bash')}; compopt() { :; }
      amqproxy() { [[ $2 == pools ]] && printf '%s\\n' "$EVIL" 'app@/'; }
      COMP_WORDS=(amqproxy pause '') COMP_CWORD=2; _amqproxy; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync('bash', ['-c', script], {
      encoding: 'utf8',
      env: { ...process.env, EVIL: evil },
    });
    const [quoted, app] = out.trim().split('\n');
    expect(app).to.equal('app@/');
    expect(execFileSync('bash', ['-c', `printf %s ${quoted}`], { encoding: 'utf8' })).to.equal(evil);
    expect(existsSync(join(dir, 'run'))).to.equal(false);
  });
});
