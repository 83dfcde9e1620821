/** The program as a process: what it prints, how it ends, and with which code. No broker is needed for this. */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { VERSION } from '../../src/version.ts';
import { tempDir } from '../support/cleanup.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { until } from '../support/rabbitmq.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');
const URL = 'amqp://127.0.0.1:1';
const ANYWHERE = ['-l', '127.0.0.1', '-p', '0', '-b', '0'];

interface Run {
  code: number | null;
  out: string;
  err: string;
}

function run(args: string[], env: NodeJS.ProcessEnv = {}): Run {
  const { JOURNAL_STREAM: _, ...rest } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    timeout: 10_000,
    env: { ...rest, ...env },
  });
  return { code: status, out: stdout, err: stderr };
}

describe('The program', () => {
  let dir: string;
  let taken: Server;
  let port: number;
  before(async () => {
    dir = tempDir('main');
    taken = createServer();
    await new Promise<void>(done => taken.listen(0, '127.0.0.1', done));
    port = (taken.address() as AddressInfo).port;
  });
  after(() => {
    taken.close();
    rmSync(dir, { recursive: true });
  });
  const ini = (text: string): string => {
    const file = join(dir, 'amqproxy.ini');
    writeFileSync(file, text);
    return file;
  };

  it('prints help, version and settings, and ends with 0', () => {
    expect(run(['--help'])).to.deep.include({ code: 0, err: '' });
    expect(run(['-h']).out).to.match(/^Usage: amqproxy \[options\] \[AMQP_URL\]\n/);
    expect(run(['-v'])).to.deep.equal({ code: 0, out: `amqproxy ${VERSION}\n`, err: '' });
    const checked = run(['--check-config', '-c', ini('[listen]\nport = 7\n'), URL]);
    expect(checked).to.deep.include({ code: 0, err: '' });
    expect(checked.out).to.match(/^port = 7 +; .*amqproxy\.ini:2$/m);
  });

  it('says with --verbose what it runs on, and which of its parts have to do without', () => {
    const facts = (env: NodeJS.ProcessEnv = {}): Record<string, string> => {
      const { code, out, err } = run(['--version', '--verbose'], env);
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      const [first, ...rest] = out.trimEnd().split('\n');
      expect(first).to.equal(`amqproxy ${VERSION}`);
      return Object.fromEntries(rest.map(line => /^([\w ]+): +(.+)$/.exec(line)!.slice(1)));
    };
    const known = facts();
    expect(Object.keys(known)).to.deep.equal(['runtime', 'TLS', 'clients', 'journal', 'notifications']);
    expect(known.runtime).to.equal(`node ${process.versions.node}, linux ${process.arch}`);
    expect(known.TLS).to.equal(`OpenSSL ${process.versions.openssl}`);
    expect(known.clients).to.equal("the runtime's own handles");
    expect(facts({ AMQPROXY_NET_SOCKETS: '1' }).clients).to.match(
      /^net\.Socket, which costs more: .*AMQPROXY_NET_SOCKETS/,
    );
    expect(known.journal).to.match(/^(journal\.node|lines with a priority on standard output: )/);
    expect(known.notifications).to.match(/^(sd-notify|systemd-notify\(1\): )/);
    expect(run(['--verbose', URL])).to.deep.equal({
      code: 64,
      out: '',
      err: 'amqproxy: --verbose goes with --version: it prints what amqproxy runs on. Try: amqproxy --help\n',
    });
  });

  /** The modules that a command line has the runtime load. */
  const loaded = (...args: string[]): string[] => {
    const hook = `import { registerHooks } from 'node:module';
      registerHooks({ load(url, context, next) { console.error('loads', url); return next(url, context); } });`;
    const { stderr } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, main, ...args],
      { encoding: 'utf8', timeout: 10_000 },
    );
    return [...stderr.matchAll(/^loads (.*)$/gm)].map(([, url]) => url);
  };

  it('loads no proxy to look at another one, nor to say what it is', () => {
    for (const args of [
      ['show', 'clients', '--socket', '/nowhere'],
      ['kill', '--help'],
      ['--help'],
      ['-v'],
    ]) {
      const modules = loaded(...args);
      expect(modules.filter(url => /src\/output\.ts$/.test(url))).to.have.length(1);
      expect(
        modules.filter(url =>
          /src\/(proxy|pool|client|upstream|io|service)\/|node_modules|node:(http|tls)$/.test(url),
        ),
        args.join(' '),
      ).to.deep.equal([]);
    }
    expect(loaded('--check-config').some(url => url.includes('yargs'))).to.equal(true);
  });

  const ENDS: [what: string, code: number, args: () => string[], line: RegExp][] = [
    [
      'an unknown flag',
      64,
      () => ['--prot', '1', URL],
      /unknown flag --prot: did you mean --port\? Try: amqproxy --help$/,
    ],
    [
      'a command that there is not',
      64,
      () => ['shwo', 'clients'],
      /^amqproxy: there is no command shwo: did you mean show\? Try: amqproxy --help$/,
    ],
    [
      'a flag that a command has not',
      64,
      () => ['pause', '--timeot', '3'],
      /unknown flag --timeot of pause: did you mean --timeout\? Try: amqproxy pause --help$/,
    ],
    ['two brokers without comma', 64, () => [URL, URL], /one AMQP_URL is taken, there are 2/],
    ['no broker', 78, () => [], /no broker is named/],
    [
      'a file that is not there',
      78,
      () => ['-c', '/nowhere.ini'],
      /\/nowhere\.ini: cannot be read: there is no such file/,
    ],
    [
      'a mistake in the file',
      78,
      () => ['-c', ini('[main]\nclose = x\n'), URL],
      /amqproxy\.ini:2: close = "x" is not one/,
    ],
    ['a mistake in a flag', 64, () => ['-p', 'abc', URL], /--port = "abc" is not a number/],
    ['a mistake in the argument', 64, () => ['rabbit'], /argument AMQP_URL = "rabbit" is not an AMQP URL/],
    [
      'a mistake with --check-config',
      78,
      () => ['--check-config', '-c', ini('[main]\nclose = x\n'), URL],
      /amqproxy\.ini:2: close = "x" is not one/,
    ],
    ['a file without a broker', 78, () => ['-c', ini('[main]\n')], /no broker is named: write upstream = /],
    [
      'a port in use',
      69,
      () => ['-l', '127.0.0.1', '-p', String(port), '-b', '0', URL],
      /cannot listen on 127\.0\.0\.1:\d+: the port is in use\. Stop what listens there .*choose another with --port/,
    ],
    [
      'an HTTP port in use',
      69,
      () => [
        ...ANYWHERE.slice(0, 4),
        '-c',
        ini('[listen]\nhttp_address = 127.0.0.1'),
        '-b',
        String(port),
        URL,
      ],
      /cannot serve HTTP on 127\.0\.0\.1:\d+: the port is in use/,
    ],
    [
      'an address of another machine',
      78,
      () => ['-l', '192.0.2.1', '-p', '0', '-b', '0', URL],
      /cannot listen on 192\.0\.2\.1.*no such address/,
    ],
  ];
  for (const [what, code, args, line] of ENDS)
    it(`ends with ${code} and one line that says what to do: ${what}`, () => {
      const ended = run(args());
      expect(ended.code, ended.err).to.equal(code);
      expect(ended.err.trimEnd().split('\n'), ended.err).to.have.length(1);
      expect(ended.err).to.match(/^amqproxy: /);
      expect(ended.err.trimEnd()).to.match(line);
      expect(ended.out).not.to.include('listening');
    });

  it('has a priority before that line under systemd', () => {
    expect(run(['--prot'], { JOURNAL_STREAM: '1:2' }).err).to.match(/^<3>amqproxy: unknown flag/);
  });

  it('ends with 74 when its log cannot be written', () => {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `"$0" "$@" >/dev/full`, process.execPath, main, ...ANYWHERE, URL],
      {
        encoding: 'utf8',
        timeout: 10_000,
      },
    );
    expect(status).to.equal(74);
    expect(stderr).to.match(
      /^amqproxy: cannot write the log to standard output \(ENOSPC\)\. Mend StandardOutput=/,
    );
  });

  it('shows no secret, wherever it was put by mistake', () => {
    const secret = 'amqp://user:hunter2@rabbit';
    for (const { out, err } of [
      run(['--check-config', secret]),
      run(['--check-config'], { AMQP_URL: secret }),
      run(['--check-config', '-c', ini(`upstream = ${secret}`)]),
      run(['-c', ini(secret)]),
      run(['--port', secret, URL]),
      run([secret, URL]),
    ]) {
      expect(err).not.to.equal('');
      expect(out + err).not.to.include('hunter2');
    }
  });

  it('reads the file again on SIGHUP, and stops on SIGTERM with 0', async () => {
    const file = ini('[main]\nlog_level = info\n');
    const proxy = AmqProxy.spawn([...ANYWHERE, '-c', file, URL]);
    const saw = (text: string) => until(text, () => proxy.log.includes(text));
    await saw('Proxy listening on');
    ini('[main]\nmax_clients = 5\nlog_format = json\n');
    proxy.signal('SIGHUP');
    await saw('INFO Reloaded: max_clients 0 -> 5\n');
    expect(proxy.log).to.include('WARN Reload: log_format changes at the next restart only (auto -> json)\n');
    proxy.signal('SIGHUP');
    await saw(
      'WARN Reload: log_format changes at the next restart only (auto -> json)\nINFO Reloaded: nothing else has changed\n',
    );
    ini('[main]\nmax_clients = 5\n');
    proxy.signal('SIGHUP');
    await saw('INFO Reloaded: nothing has changed\n');
    ini('[main]\n\nmax_klients = 5\n');
    proxy.signal('SIGHUP');
    await saw(
      `ERROR Reload failed, nothing has changed: ${file}:3: unknown key max_klients in [main]: did you mean max_clients?\n`,
    );
    ini('[main]\nlog_level = error\nmax_clients = 5\n');
    proxy.signal('SIGHUP');
    await new Promise(done => setTimeout(done, 300));
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
    // log_level = error: neither the last reload nor the end is told
    expect(proxy.log).to.match(/did you mean max_clients\?\n$/);
  });

  it('warns once of what it ignores in AMQP_URL, and starts', async () => {
    const proxy = AmqProxy.spawn(ANYWHERE, { AMQP_URL: 'amqp://user:hunter2@127.0.0.1:1/vhost' });
    await until('it listens', () => proxy.log.includes('listening'));
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
    // nobody listens at port 1, which is another matter
    const warnings = proxy.log.match(/^WARN (?!Broker).*$/gm);
    expect(warnings).to.deep.equal([
      'WARN environment AMQP_URL: user, password and vhost are ignored: each client brings its own. Write amqp://127.0.0.1:1',
    ]);
    expect(proxy.log).not.to.include('hunter2');
  });

  it('says what somebody speaks who is at the wrong port', async () => {
    const proxy = AmqProxy.spawn([...ANYWHERE, URL]);
    const port = await until('it listens', () => /listening on 127\.0\.0\.1:(\d+)/.exec(proxy.log)?.[1]);
    for (const [bytes, line] of [
      [
        Buffer.from([22, 3, 1, 2, 0, 1, 0, 1]),
        'it speaks TLS, which this port does not. Have it use amqp:// ',
      ],
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'it speaks HTTP, which http_port is for'],
      [Buffer.from('AMQP\0\x01\0\0', 'latin1'), 'it speaks AMQP 1.0, which cannot be pooled here'],
      [Buffer.from('AMQP\0\0\x0a\0', 'latin1'), 'it speaks another version of AMQP than 0-9-1'],
      [Buffer.from('nonsense'), 'its protocol header is not AMQP 0-9-1'],
    ] as const) {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(bytes));
      socket.on('error', () => {});
      await until(line, () => proxy.log.includes(`Client refused: ${line}`));
      socket.destroy();
    }
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
  });

  it('says where HTTP is when only the address for clients was changed', async () => {
    const start = async (text: string): Promise<string> => {
      const http = await freePort();
      const proxy = AmqProxy.spawn(['-p', '0', '-b', String(http), '-c', ini(text), URL]);
      await until('it listens', () => proxy.log.includes('Proxy listening'));
      proxy.signal('SIGTERM');
      expect(await proxy.exited()).to.equal(0);
      return proxy.log;
    };
    const line =
      /^INFO HTTP is for this machine only, \[listen\] address \(0\.0\.0\.0\) is for clients: set http_address = 0\.0\.0\.0 in \[listen\] to serve both there, as AMQProxy does$/m;
    expect(await start('[listen]\naddress = 0.0.0.0\n')).to.match(line);
    for (const text of [
      '[listen]\naddress = 127.0.0.1\n',
      '[listen]\naddress = 0.0.0.0\nhttp_address = 127.0.0.1\n',
      '[main]\n',
    ])
      expect(await start(text), text).not.to.match(/HTTP is for/);
  });

  it('names the broker and its listeners at the start', async () => {
    const proxy = AmqProxy.spawn([...ANYWHERE, 'amqp://[::1]:1,amqps://rabbit.invalid']);
    await until('it listens', () => proxy.log.includes('listening'));
    proxy.signal('SIGTERM');
    expect(await proxy.exited()).to.equal(0);
    expect(proxy.log.split('\n').slice(0, 3)).to.deep.equal([
      'INFO Proxy upstream: [::1]:1',
      'INFO Proxy upstream: rabbit.invalid:5671 TLS',
      `INFO Proxy listening on ${/listening on (127\.0\.0\.1:\d+)/.exec(proxy.log)?.[1]}`,
    ]);
  });
});
