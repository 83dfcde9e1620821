/** Settings from flags, environment and file: which wins, and what is said of mistakes. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse as parseIni } from 'ini';
import { describe as describeSettings, load } from '../../src/config/load.ts';
import { defaults, OPTIONS, optionNames, optionOf, show } from '../../src/config/options.ts';
import { settingsOf, URL } from '../support/settings.ts';

const { file, load: loadText, problems, problemsIn: problemsOf } = settingsOf();

describe('The option table', () => {
  it('has each default within its own range', () => {
    for (const name of optionNames) {
      const { type, default: value } = optionOf(name);
      if (name !== 'upstream') expect(type.parse(type.show(value)), name).to.deep.equal(value);
    }
  });

  it('names each key, flag, letter and variable once', () => {
    const options = optionNames.map(optionOf);
    for (const names of [
      options.flatMap(o => [
        `${o.section}.${o.key}`,
        ...(o.aliases ?? []).map(alias => (alias.includes('.') ? alias : `${o.section}.${alias}`)),
      ]),
      options.flatMap(o => o.flag ?? []).concat('config', 'check-config', 'debug', 'help', 'version'),
      options.flatMap(o => o.letter ?? []).concat('c', 'd', 'h', 'v'),
      options.flatMap(o => o.env ?? []),
    ])
      expect(new Set(names).size, names.join(' ')).to.equal(names.length);
  });

  it('has a sentence of help for each, that ends', () => {
    for (const name of optionNames) {
      const { help, more } = optionOf(name);
      for (const text of more === undefined ? [help] : [help, more]) expect(text, name).to.match(/^\S.*\.$/);
    }
  });
});

describe('Precedence', () => {
  const env = { AMQP_URL: 'amqp://env', LISTEN_PORT: '2', LOG_LEVEL: 'warn' };
  const text = '[main]\nupstream = amqp://file\nlog_level = error\nterm_timeout = 4\n[listen]\nport = 3\n';

  it('is flag, environment, file, default', () => {
    const { config, sources } = loadText(text, { flags: { listenPort: '1' }, env });
    expect(config.listenPort).to.equal(1);
    expect(config.upstream[0].host).to.equal('env');
    expect(config.logLevel).to.equal('warn');
    expect(config.termTimeout).to.equal(4);
    expect(config.leaseTimeout).to.equal(OPTIONS.leaseTimeout.default);
    expect(sources).to.include({
      listenPort: 'flag --port',
      upstream: 'environment AMQP_URL',
      logLevel: 'environment LOG_LEVEL',
      termTimeout: `${file}:4`,
      leaseTimeout: 'default',
    });
  });

  it('takes empty variables for unset', () => {
    expect(load({ flags: { upstream: URL }, env: { LISTEN_PORT: '', LOG_LEVEL: '' } }).config).to.deep.equal({
      ...defaults(),
      upstream: [{ host: 'rabbit', port: 5672, tls: false }],
    });
  });

  it('tells of a mistake in a value that is overruled', () => {
    expect(
      problems(() => loadText('[listen]\nport = x\n', { flags: { listenPort: '1', upstream: URL } })),
    ).to.have.length(1);
  });

  for (const name of optionNames) {
    const { env: variable } = optionOf(name);
    const value = { upstream: 'amqps://b', logLevel: 'debug', listenAddress: '::1' }[name as string] ?? '7';
    if (variable)
      it(`${variable} sets ${name}`, () => {
        const { config } = load({ env: { AMQP_URL: URL, [variable]: value } });
        expect(config[name]).to.deep.equal(optionOf(name).type.parse(value));
      });
  }
});

describe('The file', () => {
  it("takes AMQProxy's example", () => {
    const { config } = load({ file: writeExample() });
    expect(config).to.include({
      logLevel: 'info',
      idleConnectionTimeout: 5,
      maxUpstreamChannels: 65535,
      listenAddress: '127.0.0.1',
      listenPort: 5673,
    });
    expect(config.upstream).to.deep.equal([{ host: 'localhost', port: 5672, tls: false }]);
  });

  function writeExample(): string {
    writeFileSync(
      file,
      '[main]\nlog_level = info\nidle_connection_timeout = 5\nmax_upstream_channels = 65535\nupstream = amqp://localhost:5672\n\n[listen]\naddress = 127.0.0.1\nport = 5673\n',
    );
    return file;
  }

  const SAME: [what: string, text: string, name: (typeof optionNames)[number], value: unknown][] = [
    ['[listen] bind for address', '[listen]\nbind = ::1', 'listenAddress', '::1'],
    ['[listen] log_level', '[listen]\nlog_level = DEBUG', 'logLevel', 'debug'],
    ['keys above all sections for [main]', 'log_level = debug', 'logLevel', 'debug'],
    ['[main] http_port', '[main]\nhttp_port = 1', 'httpPort', 1],
    ['level notice', '[main]\nlog_level = Notice', 'logLevel', 'warn'],
    ['level none', '[main]\nlog_level = None', 'logLevel', 'silent'],
    ['no blanks', '[main]\nclose=instant', 'close', 'instant'],
    ['quotes', '[main]\nclose = "instant"', 'close', 'instant'],
    ['a comment behind a value', '[main]\nclose = instant ; at once', 'close', 'instant'],
    ['a comment behind a section', '[main] ; here\nclose = instant', 'close', 'instant'],
    ['comments with #', '# [listen]\n[main]\n# close = x\nclose = instant # at once', 'close', 'instant'],
    ['an indented line', '  [main]\n\tclose = instant', 'close', 'instant'],
    ['the line ends of Windows', '[main]\r\nclose = instant\r\n', 'close', 'instant'],
    ['a byte order mark', '\uFEFF[main]\nclose = instant', 'close', 'instant'],
    ['no line end at the end', '[main]\nclose = instant', 'close', 'instant'],
    [
      'the last one of a key that comes twice',
      '[main]\nclose = barrier\nclose = instant',
      'close',
      'instant',
    ],
    ['a section that comes twice', '[main]\n[listen]\n[main]\nclose = instant', 'close', 'instant'],
    ['sizes with units', '[main]\nclient_buffer = 64k', 'clientBuffer', 65536],
    ['switches', '[main]\ntls_verify = off', 'tlsVerify', false],
    [
      'true, which the INI package reads by itself',
      '[main]\nallow_remote_guest = true',
      'allowRemoteGuest',
      true,
    ],
    ['an empty value', '[main]\ntls_ca =', 'tlsCa', ''],
  ];
  for (const [what, text, name, value] of SAME)
    it(`takes ${what}`, () => {
      expect(loadText(text).config[name]).to.deep.equal(value);
    });

  const MISTAKES: [what: string, text: string, problems: RegExp[]][] = [
    [
      'an unknown key',
      '[main]\n\nmax_klients = 5',
      [/^3: unknown key max_klients in \[main\]: did you mean max_clients\?$/],
    ],
    [
      'a key of the other section',
      '[main]\nport = 5',
      [/^2: unknown key port in \[main\]: it belongs in \[listen\]$/],
    ],
    ['a key almost of the other section', '[main]\ntls_prot = 5', [/did you mean tls_port in \[listen\]\?$/]],
    ['a key written with dashes', '[main]\nlog-level = info', [/did you mean log_level\?$/]],
    [
      'a key like none',
      '[listen]\nfrobnicate = 5',
      [/unknown key frobnicate in \[listen\]: allowed are address, port, /],
    ],
    [
      'an unknown section',
      '[man]\nport = 5',
      [
        /^2: unknown section \[man\]: did you mean \[main\]\? there are \[main\], \[listen\], \[admin\], \[route NAME\] and \[listen NAME\]$/,
      ],
    ],
    [
      'an unknown kind of section',
      '[lisen app]\nport = 1',
      [/^2: unknown section \[lisen app\]: did you mean \[listen app\]\? there are/],
    ],
    ['a section like none', '[server]\nx = 5', [/^2: unknown section \[server\]: there are \[main\], /]],
    [
      'a wrong type',
      '[listen]\nport = abc',
      [/^2: port = "abc" is not a number: allowed is a port, 0 to 65535; empty for none$/],
    ],
    [
      'a value out of range',
      '[main]\nheartbeat = 70000',
      [/^2: heartbeat = "70000" is out of range: allowed is a whole number, 0 to 65535$/],
    ],
    [
      'a word that is none of the choices',
      '[main]\nclose = barier',
      [
        /^2: close = "barier" is not one of the choices: did you mean barrier\? Allowed is barrier or instant$/,
      ],
    ],
    ['a line that is nothing', '[main]\nclose', [/^2: "close" is neither \[section\] nor key = value$/]],
    ['a section without its end', '[main\nclose = instant', [/^1: "\[main" is neither/]],
    ['a line without key', '[main]\n= 5', [/^2: "= 5" is neither/]],
    [
      'names that objects have',
      '[main]\n__proto__ = 1\nconstructor = 2\n[__proto__]\nx = 1',
      [/^2: /, /^3: unknown key constructor/, /^5: unknown section \[__proto__\]/],
    ],
    [
      'an array',
      '[main]\nclose[] = instant',
      [/^2: unknown key close\[\] in \[main\]: did you mean close\?$/],
    ],
    [
      'a secret, without showing it',
      '[main]\nupstream = amqp://user:hunter2@rab bit',
      [/^2: upstream = "amqp:\/\/\*\*\*@rab bit" has no valid host name/],
    ],
    [
      'control characters, without passing them on',
      '[main]\nclose = \x1b[31m\x07x',
      [/^2: close = " \[31m x" is/],
    ],
    [
      'tls_port without certificate',
      '[listen]\ntls_port = 5671',
      [/^2: tls_port = "5671" needs tls_cert/, /^2: tls_port = "5671" needs tls_key/],
    ],
    [
      'a certificate without key',
      '[listen]\ntls_cert = /nowhere',
      [
        /^2: tls_cert = .* needs tls_key/,
        /^2: tls_cert = "\/nowhere" cannot be read: there is no such file$/,
      ],
    ],
    [
      'the same port twice',
      '[listen]\nport = 5\nhttp_port = 5',
      [/^3: http_port = "5" is the same as port$/],
    ],
    [
      'the same port for both protocols',
      '[listen]\ntls_port = 5673\ntls_cert = /dev/null\ntls_key = /dev/null',
      [
        /^2: tls_port = "5673" is the same as port$/,
        /^3: tls_cert.*no certificate/,
        /^4: tls_key.*no private key/,
      ],
    ],
    [
      'min_upstreams over max_upstreams',
      '[main]\nmin_upstreams = 5\nmax_upstreams = 3',
      [/^2: min_upstreams = "5" is more than max_upstreams \(3\)$/],
    ],
  ];
  for (const [what, text, expected] of MISTAKES)
    it(`tells of ${what}`, () => {
      const found = problemsOf(text);
      expect(found, found.join('\n')).to.have.length(expected.length);
      for (const [i, problem] of expected.entries()) expect(found[i]).to.match(problem);
    });

  it('tells of all mistakes at once, in the order of the lines, then of environment and flags', () => {
    writeFileSync(file, '[main]\nclose = x\nnonsense\nclos = x\n[listen]\nport = -1\n');
    const found = problems(() => load({ file, env: { HTTP_PORT: 'y' }, flags: { termTimeout: '-7' } }));
    expect(found.map(problem => problem.split(/[ =]/)[0])).to.deep.equal([
      '2:',
      '3:',
      '4:',
      '6:',
      'environment:',
      '--term-timeout',
      'no',
    ]);
    expect(found[4]).to.match(/^environment: HTTP_PORT = "y" is not a number/);
    expect(found[5]).to.match(
      /^--term-timeout = "-7" is out of range: allowed is seconds, 0 to 86400, or -1$/,
    );
    expect(found[6]).to.match(/^no broker is named/);
  });

  it('tells of the first twenty mistakes in a file that is none', () => {
    writeFileSync(file, 'x\n'.repeat(1000));
    try {
      load({ file, flags: { upstream: URL } });
      expect.fail('was taken');
    } catch (error) {
      const lines = (error as Error).message.split('\n');
      expect(lines).to.have.length(21);
      expect(lines[20]).to.equal('… and 980 more mistakes');
    }
  });

  for (const [what, path, why] of [
    ['is not there', '/nowhere/x.ini', /^\/nowhere\/x\.ini: cannot be read: there is no such file\. /],
    ['is a directory', '/', /^\/: cannot be read: it is a directory/],
    ['has no end', '/dev/zero', /^\/dev\/zero: cannot be read: it is larger than 1 MiB/],
  ] as const)
    it(`is refused when it ${what}`, () => {
      const found = problems(() => load({ file: path, env: {} }));
      expect(found).to.have.length(1);
      expect(found[0]).to.match(why);
    });

  it('is told to name a broker, where there is a file', () => {
    const found = problems(() => loadText('[main]\n', {}));
    expect(found).to.deep.equal([
      `no broker is named: write upstream = amqp://HOST:5672 in [main] of ${file}, or set AMQP_URL`,
    ]);
  });

  it('is not needed, but a broker is', () => {
    const found = problems(() => load({}));
    expect(found).to.have.length(1);
    expect(found[0]).to.match(
      /^no broker is named: give its URL as an argument .*AMQP_URL.*upstream in \[main\]/,
    );
  });
});

describe('--check-config', () => {
  it('prints a file of all settings, which says where each comes from and reads as the same', () => {
    const before = loadText('[main]\nclient_buffer = 128k\nclose = instant\n', {
      flags: { upstream: 'amqps://a,amqp://[::1]:1' },
      env: { HTTP_PORT: '0' },
    });
    const text = describeSettings(before);
    expect(text).to.match(/^client_buffer = 128KiB +; .*amqproxy\.ini:2$/m);
    expect(text).to.match(/^http_port = 0 +; environment HTTP_PORT$/m);
    expect(text).to.match(/^upstream = amqps:\/\/a:5671,amqp:\/\/\[::1\]:1 +; argument AMQP_URL$/m);
    expect(text).to.match(/^lease_timeout = 10 +; default$/m);
    const ini = parseIni(text) as Record<string, Record<string, unknown>>;
    for (const name of optionNames) {
      const { section, key } = optionOf(name);
      expect(String(ini[section][key]), key).to.equal(show(name, before.config[name]));
    }
    expect(loadText(text, {}).config).to.deep.equal(before.config);
  });
});
