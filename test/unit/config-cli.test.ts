/** The command line: AMQProxy's, and what is said of mistakes. */
import { expect } from 'chai';
import { parseCommandLine, UsageError } from '../../src/config/cli.ts';
import { helpText, OTHER_FLAGS } from '../../src/config/help.ts';
import { optionNames, optionOf } from '../../src/config/options.ts';

describe('The command line', () => {
  const GOOD: [line: string, flags: object, more?: object][] = [
    ['', {}],
    ['amqp://rabbit', { upstream: 'amqp://rabbit' }],
    [
      '-l 0.0.0.0 -p 5674 amqp://rabbit',
      { listenAddress: '0.0.0.0', listenPort: '5674', upstream: 'amqp://rabbit' },
    ],
    [
      'amqp://rabbit --listen=::1 --port=5674',
      { listenAddress: '::1', listenPort: '5674', upstream: 'amqp://rabbit' },
    ],
    ['-l127.0.0.1 -p5674 -b=0', { listenAddress: '127.0.0.1', listenPort: '5674', httpPort: '0' }],
    ['-t 10', { idleConnectionTimeout: '10' }],
    ['--idle-connection-timeout 10', { idleConnectionTimeout: '10' }],
    ['--max-upstream-channels=100', { maxUpstreamChannels: '100' }],
    ['--term-timeout -1', { termTimeout: '-1' }],
    [
      '--term-timeout=-1 --term-client-close-timeout 0.5',
      { termTimeout: '-1', termClientCloseTimeout: '0.5' },
    ],
    ['-b 8080', { httpPort: '8080' }],
    ['--http-port 8080', { httpPort: '8080' }],
    ['-d', { logLevel: 'debug' }],
    ['--debug --log-level error', { logLevel: 'debug' }],
    ['--log-format json amqp://rabbit', { logFormat: 'json', upstream: 'amqp://rabbit' }],
    ['--port 0x10', { listenPort: '0x10' }],
    ['--port 1 --port 2', { listenPort: '2' }],
    ['-c /etc/x.ini', {}, { file: '/etc/x.ini' }],
    ['-c/etc/x.ini', {}, { file: '/etc/x.ini' }],
    [
      '--config=/etc/x.ini --check-config amqp://b',
      { upstream: 'amqp://b' },
      { file: '/etc/x.ini', asks: 'check-config' },
    ],
    ['-- -p5', { upstream: '-p5' }],
    ['-h', {}, { asks: 'help' }],
    ['--help --port', {}, { asks: 'help' }],
    ['-v', {}, { asks: 'version' }],
    ['-dv', {}, { asks: 'version' }],
  ];
  for (const [line, flags, more] of GOOD)
    it(`takes ${line || 'nothing'}`, () => {
      const args = line === '' ? [] : line.split(' ');
      expect(parseCommandLine(args)).to.deep.equal({ asks: null, file: undefined, flags, ...more });
    });

  const BAD: [line: string, why: RegExp][] = [
    ['--prot 1', /^unknown flag --prot: did you mean --port\? Try: amqproxy --help$/],
    ['--idle-timeout 1', /^unknown flag --idle-timeout\. Try: amqproxy --help$/],
    ['--loglevel debug', /did you mean --log-level\?/],
    ['--check_config', /did you mean --check-config\?/],
    ['-x', /^unknown flag -x\./],
    ['--no-debug', /^unknown flag --no-debug/],
    ['--port.a 1', /^unknown flag --port\.a/],
    ['--constructor 1', /--constructor/],
    ['--__proto__ 1', /--__proto__|unknown|AMQP_URL/],
    ['--port', /^--port needs a value\./],
    ['-p', /^-p needs a value\./],
    ['--port --debug', /^--port needs a value\./],
    [
      'amqp://a amqp://b',
      /^one AMQP_URL is taken, there are 2: amqp:\/\/a amqp:\/\/b \(several brokers: separate them with commas\)/,
    ],
    ['amqp://u:hunter2@a amqp://b', /^(?!.*hunter2)one AMQP_URL is taken/],
  ];
  for (const [line, why] of BAD)
    it(`refuses ${line}`, () => {
      expect(() => parseCommandLine(line.split(' '))).to.throw(UsageError, why);
    });
});

describe('--help', () => {
  const text = helpText(80);

  it('is as wide as the terminal, from 80 to 100 columns', () => {
    for (const width of [80, 93, 100, 500])
      for (const line of helpText(width).split('\n'))
        expect(line.length, line).to.be.at.most(Math.min(width, 100));
  });

  it('names each flag with its letter, value, default and variable', () => {
    for (const { flag, letter, env, type } of optionNames.map(optionOf)) {
      if (flag === undefined) continue;
      expect(text).to.include(`${letter ? `-${letter}, ` : '    '}--${flag} ${type.placeholder}`);
      if (env) expect(text).to.include(`[${env}]`);
    }
    for (const { flag } of OTHER_FLAGS) expect(text).to.include(`--${flag}`);
    expect(text).to.include('(default 5673) [LISTEN_PORT]');
  });
});
