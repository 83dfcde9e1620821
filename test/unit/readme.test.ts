/** The commands of the README that are for the sources, tried as far as they can be without doing what they do. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { launcher } from '../support/proxy.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(resolve(root, 'README.md'), 'utf8');

const blocks = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) => block.split('\n'));
/** In text, and where the table of targets names them. */
const inText = [...readme.matchAll(/`((?:\w+=\S+ )*make [^`]+)`/g)].map(([, command]) => command);
const inTable = [...readme.matchAll(/^\| ((?:`[a-z]+`(?:, )?)+) \|/gm)].flatMap(([, names]) =>
  [...names.matchAll(/`([a-z]+)`/g)].map(([, name]) => `make ${name}`),
);
const commands = [...blocks, ...inText, ...inTable]
  .map(line => line.replace(/\s+#.*/, '').trim())
  .filter(line => line !== '');

/** What make would do; it fails for a target that there is not. */
function plan(line: string): string {
  const { MAKEFLAGS: _, MAKELEVEL: __, ...env } = process.env;
  const words = line.split(' ');
  const at = words.indexOf('make');
  for (const word of words.slice(0, at)) {
    const [name, value] = word.split('=');
    env[name] = value;
  }
  return execFileSync('make', ['-n', ...words.slice(at + 1)], { cwd: root, encoding: 'utf8', env });
}

describe('The commands of the README', () => {
  it('are found', () => {
    expect(commands).to.include.members([
      'make demo',
      'make build',
      'make repo',
      'make release',
      'make help',
    ]);
    expect(commands.length).to.be.above(15);
  });

  for (const command of new Set(commands))
    it(`${command}`, () => {
      const [program, ...args] = command.split(' ');
      if (program === 'dist/amqproxy') {
        // what would run for ever is asked whether it could
        const check = args.includes('--help') ? [] : ['--check-config'];
        const { status, stdout } = spawnSync(launcher(), [...args, ...check], { encoding: 'utf8' });
        expect(status).to.equal(0);
        expect(stdout).to.match(
          args.includes('--help') ? /^Usage: amqproxy/ : /^upstream = amqp:\/\/rabbitmq/m,
        );
        return;
      }
      expect(command).to.match(/^(\w+=\S+ )*make /);
      expect(plan(command)).not.to.equal('');
      const file = /FILES=(\S+)/.exec(command)?.[1];
      if (file !== undefined) expect(existsSync(resolve(root, file)), file).to.equal(true);
    });
});
