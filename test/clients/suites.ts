/** The suites: where they come from and how they are run. Adding one is adding an entry. All expect a broker on localhost:5672. */
import { join, resolve } from 'node:path';
import type { RabbitMQ } from '../support/rabbitmq.ts';
import type { Test } from './junit.ts';

export type Source = { npm: string } | { debian: string; release: string } | { git: string; tag: string };

export interface Suite {
  name: string;
  /** Tried in this order. */
  sources: Source[];
  /** Where its tests are: what came without them is not taken. */
  tests: string;
  /** npm packages that its tests need. */
  npm?: string[];
  /** Debian packages that run it. */
  debs: string[];
  /** What its tests need at the broker. */
  prepare?(broker: RabbitMQ): Promise<void>;
  /** The runner, writing JUnit's report to a file; some tests only, if given. */
  command(report: string, only?: Test[]): string[];
  env?: Record<string, string>;
}

const here = import.meta.dirname;
export const home = resolve(here, '../../.cache/clients');
export const placeOf = (suite: Suite): string => join(home, suite.name);

const nameOf = (test: Test): string => test.path.at(-1)!;
const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
/** A pattern that these tests match by their own name. */
const anyOf = (tests: Test[]): string => `^(${tests.map(test => escape(nameOf(test))).join('|')})$`;

const debian = (name: string, ...releases: string[]): Source[] =>
  releases.map(release => ({ debian: name, release }));

const PYTEST = ['python3-pytest', 'python3-pytest-timeout'];
const pytest =
  (...args: string[]): Suite['command'] =>
  (report, only) => [
    '/usr/bin/python3',
    '-m',
    'pytest',
    '-p',
    'no:cacheprovider',
    '--timeout=60',
    `--junitxml=${report}`,
    ...args,
    ...(only ? ['-k', only.map(nameOf).join(' or ')] : []),
  ];

const SUITES: Suite[] = [
  {
    name: 'amqplib',
    // the last release whose package carries its tests
    sources: [{ npm: 'amqplib@2.0.1' }, { git: 'https://github.com/amqp-node/amqplib.git', tag: 'v2.0.1' }],
    tests: 'test',
    npm: ['claire@0.4.1'],
    debs: [],
    command: (report, only) => [
      process.execPath,
      '--test',
      '--test-concurrency=1',
      '--test-timeout=10000',
      '--test-reporter=junit',
      `--test-reporter-destination=${report}`,
      ...(only ? [`--test-name-pattern=/${anyOf(only)}/`] : []),
      'test/*.test.js',
    ],
  },
  {
    name: 'php-amqplib',
    sources: [
      ...debian('php-amqplib', 'trixie', 'sid'),
      { git: 'https://github.com/php-amqplib/php-amqplib.git', tag: 'v3.7.3' },
    ],
    tests: 'tests/Functional',
    debs: ['phpunit', 'php-cli', 'php-curl', 'php-mbstring', 'php-phpseclib'],
    command: (report, only) => [
      'phpunit',
      '--no-configuration',
      `--bootstrap=${join(here, 'php-bootstrap.php')}`,
      `--log-junit=${report}`,
      ...(only ? [`--filter=${anyOf(only).replace(/^\^/, '::')}`] : []),
      'tests',
    ],
  },
  {
    name: 'pika',
    sources: [
      ...debian('python-pika', 'trixie', 'sid'),
      { git: 'https://github.com/pika/pika.git', tag: '1.3.2' },
    ],
    tests: 'tests/acceptance',
    debs: [...PYTEST, 'python3-tornado', 'python3-gevent'],
    command: pytest(
      'tests/acceptance',
      '--ignore=tests/acceptance/twisted_adapter_tests.py', // for nose, which is gone
      '-o',
      'python_files=*_test.py *_tests.py',
    ),
  },
  {
    name: 'py-amqp',
    sources: [
      ...debian('python-amqp', 'trixie', 'sid'),
      { git: 'https://github.com/celery/py-amqp.git', tag: 'v5.3.1' },
    ],
    tests: 't/integration',
    debs: [...PYTEST, 'python3-vine'],
    command: pytest('t/integration'),
  },
  {
    name: 'bunny',
    sources: [
      ...debian('ruby-bunny', 'trixie', 'sid'),
      { git: 'https://github.com/ruby-amqp/bunny.git', tag: '2.23.0' },
    ],
    tests: 'spec',
    debs: ['ruby-rspec', 'ruby-rspec-junit-formatter', 'ruby-amq-protocol', 'ruby-sorted-set'],
    prepare: async broker => {
      await broker.ctl('add_vhost', 'bunny_testbed');
      await broker.addUser('bunny_gem', 'bunny_password', 'bunny_testbed');
      await broker.addUser('bunny_reader', 'reader_password');
      await broker.ctl('set_permissions', '-p', 'bunny_testbed', 'bunny_reader', '^---$', '^---$', '.*');
      await broker.ctl('set_permissions', '-p', 'bunny_testbed', 'guest', '.*', '.*', '.*');
    },
    env: { CI: 'true' }, // without it some tests want a broker of their own
    command: (report, only) => [
      'rspec',
      `-I${here}`, // bundler.rb
      '--format=RspecJunitFormatter',
      `--out=${report}`,
      '--require=rspec_junit_formatter',
      // these two want a management plugin and a proxy of their own
      '--exclude-pattern=spec/**/{toxiproxy,connection_recovery}_spec.rb,spec/stress/*',
      ...(only ?? []).flatMap(test => ['--example', nameOf(test)]),
    ],
  },
  {
    name: 'amqp091-go',
    sources: [
      ...debian('golang-github-rabbitmq-amqp091-go', 'bookworm', 'trixie', 'sid'),
      { git: 'https://github.com/rabbitmq/amqp091-go.git', tag: 'v1.5.0' },
    ],
    tests: 'integration_test.go',
    debs: ['golang-go', 'gotestsum', 'golang-uber-goleak-dev', 'golang-github-rabbitmq-amqp091-go-dev'],
    env: {
      GO111MODULE: 'off',
      GOPATH: '/usr/share/gocode',
      GOCACHE: join(home, 'go-cache'),
      AMQP_URL: 'amqp://localhost',
    },
    command: (report, only) => [
      'gotestsum',
      `--junitfile=${report}`,
      '--',
      '-tags=integration',
      '-count=1',
      '-timeout=10m',
      ...(only ? [`-run=${anyOf(only)}`] : []),
      '.',
    ],
  },
];

/** The suites of these names, or all. */
export function chosen(names: string[]): Suite[] {
  const unknown = names.filter(name => !SUITES.some(suite => suite.name === name));
  if (unknown.length > 0)
    throw new Error(
      `no suite ${unknown.join(', ')}; there are ${SUITES.map(suite => suite.name).join(', ')}`,
    );
  return names.length === 0 ? SUITES : SUITES.filter(suite => names.includes(suite.name));
}
