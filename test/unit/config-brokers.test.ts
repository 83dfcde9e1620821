/** Settings about brokers that cannot be right: told with file and line. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigError, load } from '../../src/config/load.ts';
import { tempDir } from '../support/cleanup.ts';

/** What is wrong with these lines, without the file's name. */
function problems(...lines: string[]): string[] {
  const file = join(tempDir('config'), 'amqproxy.ini');
  writeFileSync(file, `${lines.join('\n')}\n`);
  try {
    load({ file });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(line => line.replace(`${file}:`, ''));
  }
}

describe('A broker that is the proxy itself', () => {
  for (const [upstream, listen] of [
    ['localhost:5673', ''],
    ['127.0.0.1:5673', ''],
    ['[::1]:5673', ''],
    ['localhost:7000', 'address = 0.0.0.0\nport = 7000'],
    ['127.0.0.1:7000', 'address = 0.0.0.0\nport = 7000'],
    ['10.1.2.3:7000', 'address = 10.1.2.3\nport = 7000'],
    ['127.0.0.1:5672, amqp://127.0.0.1:5673', ''],
  ])
    it(`is found out: ${upstream} with ${listen.replace('\n', ', ') || 'the defaults'}`, () => {
      const [first, ...more] = problems('[main]', `upstream = amqp://${upstream}`, '[listen]', listen);
      expect(more).to.deep.equal([]);
      expect(first).to.match(
        /^2: upstream = ".+" is the proxy itself, which listens on .+: name the broker$/,
      );
    });

  for (const [upstream, listen] of [
    ['localhost:5672', ''],
    ['10.1.2.3:5673', ''],
    ['broker.example:5673', 'address = 0.0.0.0'],
    ['127.0.0.2:5673', 'address = 127.0.0.1'],
    ['127.0.0.1:5673', 'address = ::1'],
  ])
    it(`is not seen in ${upstream} with ${listen || 'the defaults'}`, () => {
      expect(problems('[main]', `upstream = amqp://${upstream}`, '[listen]', listen)).to.deep.equal([]);
    });
});

describe('A certificate for brokers', () => {
  it('needs its key, and the key its certificate', () => {
    const upstream = 'upstream = amqps://broker.example';
    expect(problems('[main]', upstream, 'tls_cert = /dev/null')).to.include(
      '3: tls_cert = "/dev/null" needs tls_key in [main]',
    );
    expect(problems('[main]', upstream, 'tls_key = /dev/null')).to.include(
      '3: tls_key = "/dev/null" needs tls_cert in [main]',
    );
  });
});
