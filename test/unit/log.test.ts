/** Log lines: their form, and that none is lost, forged or waited for too long. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import type { Logger } from 'pino';
import { createLogger, format, type LogRecord, type Style, sentence, styleFor } from '../../src/log.ts';
import { Output } from '../../src/output.ts';
import { tempDir } from '../support/cleanup.ts';

const record = (facts: LogRecord): LogRecord => ({
  level: 'info',
  time: '2026-01-02T03:04:05.678Z',
  ...facts,
});

describe('A log line', () => {
  const SENTENCES: [what: string, facts: LogRecord, line: string][] = [
    ['the message alone', { msg: 'Stopped' }, 'Stopped'],
    ['the facts after the message', { msg: 'a', n: 1, ok: true }, 'a n=1 ok=true'],
    [
      'who first, in a fixed order',
      { x: 1, upstream: 'u:1', client: 'c:1', vhost: '/', user: 'u', msg: 'a' },
      'a user=u vhost=/ client=c:1 upstream=u:1 x=1',
    ],
    ['no facts without value', { msg: 'a', user: undefined, x: null }, 'a x=null'],
    ['values with blanks in quotes', { msg: 'a', user: 'b c' }, 'a user="b c"'],
    ['an empty value in quotes', { msg: 'a', user: '' }, 'a user=""'],
    ['values like facts in quotes', { msg: 'a', user: 'x vhost=/' }, 'a user="x vhost=/"'],
    ['an equals sign in quotes', { msg: 'a', user: 'x=y' }, 'a user="x=y"'],
    ['quotes escaped', { msg: 'a', user: 'x"y' }, 'a user="x\\"y"'],
    ['line feeds of a value escaped', { msg: 'a', user: 'x\nINFO forged' }, 'a user="x\\nINFO forged"'],
    ['line feeds of a message as blanks', { msg: 'a\r\nb' }, 'a  b'],
    ['escape sequences of a value escaped', { msg: 'a', user: '\x1b[2J' }, 'a user="\\u001b[2J"'],
    ['escape sequences of a message without escape', { msg: '\x1b[2Ja\x9bb' }, ' [2Ja b'],
    ['C1 controls escaped', { msg: 'a', user: 'x\x9by' }, 'a user="x\\u009by"'],
    ['line ends of Unicode escaped', { msg: 'a\u2028b', user: 'x\u2029y' }, 'a b user="x\\u2029y"'],
    ['letters of all languages', { msg: 'ä', user: '用户' }, 'ä user=用户'],
    [
      'an error by its message',
      { msg: 'a', err: { type: 'Error', message: 'b c', stack: 'x\ny' } },
      'a err="b c"',
    ],
    ['an object as JSON', { msg: 'a', x: { y: 1 } }, 'a x="{\\"y\\":1}"'],
    ['no names that break the line', { msg: 'a', 'b\nc': 1 }, 'a b c=1'],
    ['nothing of what is for the journal only', { msg: 'a', journal: { clients: 1 } }, 'a'],
    ['text as it is, never as a format', { msg: '%s %n %d' }, '%s %n %d'],
  ];
  for (const [what, facts, line] of SENTENCES)
    it(`has ${what}`, () => {
      expect(sentence(record(facts))).to.equal(line);
    });

  it('has the priority of its level for the journal', () => {
    const priorities = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map(level =>
      format(record({ level, msg: 'a' }), 'journal'),
    );
    expect(priorities).to.deep.equal(['<7>a\n', '<7>a\n', '<6>a\n', '<4>a\n', '<3>a\n', '<2>a\n']);
  });

  it('cannot change its priority in the journal', () => {
    expect(format(record({ msg: 'a\n<0>b', user: '\n<0>c' }), 'journal')).to.equal(
      '<6>a <0>b user="\\n<0>c"\n',
    );
  });

  it('has its level in a pipe, and time and level on a terminal', () => {
    expect(format(record({ msg: 'a', user: 'u' }), 'plain')).to.equal('INFO a user=u\n');
    expect(format(record({ msg: 'a', user: 'u' }), 'pretty')).to.match(/^\d\d:\d\d:\d\d INFO {2}a user=u\n$/);
    expect(format(record({ level: 'error', msg: 'a' }), 'pretty', true).replaceAll('\x1b', '^')).to.match(
      /^\^\[31m.* ERROR a\^\[0m\n$/,
    );
  });

  it('is an object of all facts in JSON', () => {
    const line = format(record({ msg: 'a\nb', user: 'u', journal: { clients: 3 } }), 'json');
    expect(line).to.match(/^[^\n]+\n$/);
    expect(JSON.parse(line)).to.deep.equal(record({ msg: 'a\nb', user: 'u', clients: 3 }));
  });

  const STYLES: [
    format: 'auto' | 'pretty' | 'journal' | 'json',
    terminal: boolean,
    journal: boolean,
    style: Style,
  ][] = [
    ['auto', true, false, 'pretty'],
    ['auto', true, true, 'pretty'],
    ['auto', false, true, 'journal'],
    ['auto', false, false, 'plain'],
    ['journal', true, false, 'journal'],
    ['pretty', false, true, 'pretty'],
    ['json', true, true, 'json'],
  ];
  for (const [wanted, terminal, journal, style] of STYLES)
    it(`is ${style} for log_format ${wanted} ${terminal ? 'on a terminal' : 'elsewhere'}${journal ? ' with JOURNAL_STREAM' : ''}`, () => {
      expect(styleFor(wanted, terminal, journal ? { JOURNAL_STREAM: '8:1' } : {})).to.equal(style);
    });
});

describe('A logger', () => {
  let dir: string;
  let fd: number;
  let file: string;
  beforeEach(() => {
    dir = tempDir('log');
    file = join(dir, 'log');
    fd = openSync(file, 'w');
  });
  afterEach(() => {
    closeSync(fd);
    rmSync(dir, { recursive: true });
  });
  const logger = (level = 'info'): Logger => createLogger(level, 'auto', { output: new Output(fd), env: {} });
  const lines = (): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1);

  it('writes facts and message at once', () => {
    logger().info({ user: 'u', vhost: '/', client: '127.0.0.1:9' }, 'Client closed');
    expect(lines()).to.deep.equal(['INFO Client closed user=u vhost=/ client=127.0.0.1:9']);
  });

  it('gives the facts of a child, and of its child, to each line', () => {
    const child = logger().child({ vhost: '/', x: 1 });
    child.info('a');
    child.child({ user: 'u' }).warn({ client: 'c' }, 'b');
    expect(lines()).to.deep.equal(['INFO a vhost=/ x=1', 'WARN b user=u vhost=/ client=c x=1']);
  });

  it('changes its level, and that of its children, while it runs', () => {
    const log = logger();
    const child = log.child({ x: 1 });
    const grandchild = child.child({ y: 2 });
    const all = (text: string): void => {
      for (const one of [log, child, grandchild]) one.debug(text);
    };
    all('no');
    log.level = 'debug';
    expect(grandchild.level).to.equal('debug');
    all('yes');
    log.level = 'silent';
    all('no');
    grandchild.fatal('no');
    log.level = 'debug';
    child.level = 'error';
    all('again');
    expect(lines()).to.deep.equal(['DEBUG yes', 'DEBUG yes x=1', 'DEBUG yes x=1 y=2', 'DEBUG again']);
  });

  it('takes an Error as err or error', () => {
    logger().error({ err: new Error('one two'), error: new TypeError('three') }, 'Failed');
    expect(lines()).to.deep.equal(['ERROR Failed err="one two" error=three']);
  });

  it('says when not even its first line can be written', () => {
    const full = openSync('/dev/full', 'w');
    const codes: string[] = [];
    const log = createLogger('info', 'auto', {
      output: new Output(full),
      env: {},
      onUnwritable: code => codes.push(code),
    });
    log.info('a');
    closeSync(full);
    expect(codes).to.deep.equal(['ENOSPC']);
  });
});

describe('Standard output', () => {
  const source = (code: string): string => `
    import { createLogger } from '${resolve(import.meta.dirname, '../../src/log.ts')}';
    import { stdout } from '${resolve(import.meta.dirname, '../../src/output.ts')}';
    // at debug, lines that repeat are not counted but written
    const log = createLogger('debug', 'auto', { env: {} });
    ${code}`;
  const run = (code: string): ChildProcess =>
    spawn(process.execPath, ['--input-type=module-typescript', '-e', source(code)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const exit = (child: ChildProcess): Promise<number | null> =>
    new Promise(done => child.on('exit', code => done(code)));
  const read = async (child: ChildProcess): Promise<string> => {
    let text = '';
    for await (const chunk of child.stdout!) text += chunk;
    return text;
  };

  it('has every line when the process ends right after', async () => {
    const child = run(
      "for (let i = 0; i < 20000; i++) log.info({ i }, 'x'); log.info('last'); stdout.flush(); process.exit(3);",
    );
    const [text, code] = await Promise.all([read(child), exit(child)]);
    expect(code).to.equal(3);
    const lines = text.trim().split('\n');
    expect(lines.at(-1)).to.equal('INFO last');
    expect(lines.length + lost(lines)).to.equal(
      20001 + lines.filter(line => line.includes('were lost')).length,
    );
  });

  it('does not wait for a reader that hangs, and says afterwards how much it has missed', async () => {
    const child = run(`
      for (let i = 0; i < 20000; i++) log.info({ i }, 'x');
      process.stderr.write('all are logged');
      setTimeout(() => { log.info('later'); stdout.flush(); }, 1500);`);
    // nobody reads before that
    await new Promise<void>(done => child.stderr!.once('data', () => done()));
    const text = await read(child);
    const lines = text.trim().split('\n');
    expect(lines.at(-1)).to.equal('INFO later');
    expect(lines.at(-2)).to.match(/^WARN \d+ log lines were lost: nobody read them$/);
    for (const line of lines.slice(0, -2)) expect(line).to.match(/^INFO x i=\d+$/);
    expect(lines.length - 2 + lost(lines)).to.equal(20000);
  });

  it('that has gone does not end the process', async () => {
    const child = run("log.info('a'); setTimeout(() => { log.info('b'); process.exit(5); }, 300);");
    child.stdout!.once('data', () => child.stdout!.destroy());
    expect(await exit(child)).to.equal(5);
  });

  const lost = (lines: string[]): number =>
    lines.reduce((sum, line) => sum + Number(/^WARN (\d+) log lines were lost/.exec(line)?.[1] ?? 0), 0);
});
