/**
 * The commands of README and pages that are for the sources, or stand in a sentence, tried as far as they can be without doing
 * what they do. Blocks that begin with ```sh in the pages are typed into a machine with the service (test/systemd).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { parseCommandLine } from '../../src/config/cli.ts';
import { readLine } from '../../src/console/cli.ts';
import { isCommand, isView } from '../../src/console/table.ts';
import { launcher } from '../support/proxy.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(resolve(root, 'README.md'), 'utf8');

const blocks = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) => block.split('\n'));
const pages = globSync('packaging/doc/*.md', { cwd: root }).map(page =>
  readFileSync(resolve(root, page), 'utf8'),
);
/** In text, and where the table of targets names them. */
const inText = [...[readme, ...pages].join('\n').matchAll(/`((?:\w+=\S+ )*make [^`]+)`/g)].map(
  ([, command]) => command,
);
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

/** What README and pages tell to type at a proxy that is installed, in a sentence, a table or a block for a terminal. */
const spoken = [readme, ...pages].flatMap(text => [
  ...[...text.matchAll(/`(amqproxy [^`]+)`/g)].map(([, command]) => command),
  ...[...text.matchAll(/^```text\n(.*?)^```$/gms)].flatMap(
    ([, block]) => block.match(/^amqproxy .*$/gm) ?? [],
  ),
]);

describe('What README and pages tell to type at a proxy', () => {
  it('is found', () => {
    expect(spoken).to.include.members(['amqproxy show clients', 'amqproxy kill c812']);
    expect(spoken.length).to.be.above(20);
  });

  // what an upstream is called is in such letters, too
  for (const command of new Set(spoken.filter(text => !text.startsWith('amqproxy HOST:'))))
    it(`${command} can be understood`, () => {
      const [, ...args] = command
        .replace(/\s+#.*/, '')
        .replaceAll('\\|', '|')
        .split(' ');
      if (!isCommand(args[0])) {
        expect(parseCommandLine(args).asks).not.to.equal(null);
        return;
      }
      const { command: name, words } = readLine(args, {});
      if (name === 'show' && words.length > 0) expect(isView(words[0]), words[0]).to.equal(true);
    });
});

describe('The commands of README and pages for the sources', () => {
  it('are found', () => {
    expect(commands).to.include.members([
      'make bench',
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
