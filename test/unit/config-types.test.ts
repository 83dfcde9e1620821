/** The types of options: what text they take, and what they say of the others. */
import { expect } from 'chai';
import * as types from '../../src/config/types.ts';

interface Case {
  type: types.Type<unknown>;
  good: [text: string, value: unknown][];
  bad: [text: string, why: RegExp][];
}

const broker = (host: string, port: number, tls = false): types.BrokerAddress => ({ host, port, tls });

const CASES: Record<string, Case> = {
  seconds: {
    type: types.seconds(0, 60),
    good: [
      ['0', 0],
      ['60', 60],
      ['1.5', 1.5],
      ['.5', 0.5],
      [' 7 ', 7],
      ['+3', 3],
    ],
    bad: [
      ['', /not a number/],
      ['five', /not a number/],
      ['5s', /not a number/],
      ['0x10', /not a number/],
      ['1e1', /not a number/],
      ['1,5', /not a number/],
      ['NaN', /not a number/],
      ['Infinity', /not a number/],
      ['-1', /out of range/],
      ['60.1', /out of range/],
    ],
  },
  'seconds with a special value': {
    type: types.seconds(0, 60, -1),
    good: [
      ['-1', -1],
      ['0', 0],
    ],
    bad: [
      ['-0.5', /out of range/],
      ['-2', /out of range/],
    ],
  },
  integer: {
    type: types.integer(1, 65535),
    good: [
      ['1', 1],
      ['65535', 65535],
    ],
    bad: [
      ['0', /out of range/],
      ['65536', /out of range/],
      ['1.5', /not a whole number/],
      ['99999999999999999999', /out of range/],
    ],
  },
  size: {
    type: types.size(0, 1024 ** 3),
    good: [
      ['0', 0],
      ['65536', 65536],
      ['64k', 65536],
      ['64K', 65536],
      ['64KiB', 65536],
      ['64 kb', 65536],
      ['1MiB', 1048576],
      ['1m', 1048576],
      ['1.5M', 1572864],
      ['1g', 1073741824],
    ],
    bad: [
      ['', /not a size/],
      ['k', /not a size/],
      ['-1', /not a size/],
      ['1t', /not a size/],
      ['1 2k', /not a size/],
      ['2g', /out of range/],
    ],
  },
  choice: {
    type: types.choice(['info', 'warn'], { warning: 'warn' }),
    good: [
      ['info', 'info'],
      ['INFO', 'info'],
      [' Warn', 'warn'],
      ['warning', 'warn'],
    ],
    bad: [
      ['', /choices/],
      ['inf', /choices/],
      ['constructor', /choices/],
      ['__proto__', /choices/],
    ],
  },
  boolean: {
    type: types.boolean,
    good: ['yes', 'true', 'on', '1', 'Yes', 'TRUE', ' on ']
      .map((text): [string, unknown] => [text, true])
      .concat(['no', 'false', 'off', '0', 'No', 'FALSE'].map(text => [text, false])),
    bad: [
      ['', /neither/],
      ['y', /neither/],
      ['2', /neither/],
    ],
  },
  address: {
    type: types.address,
    good: [
      ['localhost', 'localhost'],
      ['127.0.0.1', '127.0.0.1'],
      ['0.0.0.0', '0.0.0.0'],
      ['::', '::'],
      ['[::1]', '::1'],
      ['my-host.example.', 'my-host.example.'],
    ],
    bad: [
      ['', /is empty/],
      ['127.0.0.1:5673', /has a port in it/],
      ['localhost:5673', /has a port in it/],
      ['1.2.3', /no IPv4 address/],
      ['1.2.3.256', /no IPv4 address/],
      ['amqp://localhost', /no valid host name/],
      ['a b', /no valid host name/],
      ['a\nb', /no valid host name/],
    ],
  },
  brokers: {
    type: types.brokers,
    good: [
      ['amqp://rabbit', [broker('rabbit', 5672)]],
      ['amqp://rabbit/', [broker('rabbit', 5672)]],
      ['amqps://rabbit', [broker('rabbit', 5671, true)]],
      ['AMQPS://Rabbit:1', [broker('Rabbit', 1, true)]],
      ['amqp://10.0.0.1:65535', [broker('10.0.0.1', 65535)]],
      ['amqp://[::1]', [broker('::1', 5672)]],
      ['amqps://[2001:db8::1]:5673', [broker('2001:db8::1', 5673, true)]],
      ['amqp://a, amqps://b:2 ,amqp://c,', [broker('a', 5672), broker('b', 2, true), broker('c', 5672)]],
      // what each client brings is passed over here, as AMQProxy does
      ['amqp://rabbit/vhost', [broker('rabbit', 5672)]],
      ['amqp://rabbit?heartbeat=5', [broker('rabbit', 5672)]],
      ['amqp://u:p@rabbit', [broker('rabbit', 5672)]],
      ['amqps://u@rabbit:1/vhost?heartbeat=5', [broker('rabbit', 1, true)]],
      ['amqp://u:p@w@[::1]', [broker('::1', 5672)]],
      [
        'amqp://ok,amqp://u:p,q@rabbit, amqp://c',
        [broker('ok', 5672), broker('rabbit', 5672), broker('c', 5672)],
      ],
    ],
    bad: [
      ['', /names no broker/],
      [' , ', /names no broker/],
      ['rabbit', /not an AMQP URL/],
      ['rabbit:5672', /not an AMQP URL/],
      ['http://rabbit', /not an AMQP URL/],
      ['amqp:rabbit', /not an AMQP URL/],
      ['amqp://', /no valid host/],
      ['amqp://:5672', /no valid host/],
      ['amqp://rabbit:', /no valid host/],
      ['amqp://rabbit:port', /no valid host/],
      ['amqp://a b', /no valid host name/],
      ['amqp://1.2.3.256', /no IPv4 address/],
      ['amqp://rabbit:0', /out of range/],
      ['amqp://rabbit:65536', /out of range/],
      // which of both is the host cannot be told
      ['amqp://u:p/w@rabbit', /an @ behind a \/, \? or #.*leave user, password and vhost out/],
      ['amqp://rabbit/v@host', /an @ behind/],
      ['u:p@rabbit', /not an AMQP URL/],
      ['amqp://::1', /IPv6 address without brackets/],
      ['amqp://[rabbit]', /no IPv6 address in its brackets/],
      ['amqp://ok,nonsense', /not an AMQP URL/],
    ],
  },
};

for (const [name, { type, good, bad }] of Object.entries(CASES))
  describe(`Option type ${name}`, () => {
    for (const [text, value] of good)
      it(`takes ${JSON.stringify(text)}`, () => {
        expect(type.parse(text)).to.deep.equal(value);
      });
    for (const [text, why] of bad)
      it(`refuses ${JSON.stringify(text)}: ${why.source}`, () => {
        expect(() => type.parse(text)).to.throw(why);
      });
    it('reads what it writes', () => {
      for (const [, value] of good) expect(type.parse(type.show(value))).to.deep.equal(value);
    });
  });

describe('What a broker URL has beside the broker', () => {
  for (const [url, ignored] of [
    ['amqp://rabbit', undefined],
    ['amqp://rabbit/', undefined],
    ['amqp://u:hunter2@rabbit', /^user and password are ignored: each client brings its own/],
    ['amqp://u@rabbit', /^user is ignored: each client brings its own/],
    ['amqp://rabbit/vhost', /^vhost is ignored/],
    ['amqp://u:p@a/v?heartbeat=5,amqp://b', /^user, password, vhost and parameters are ignored/],
  ] as const)
    it(`${url}: ${ignored ? 'is named' : 'is nothing'}, without showing it`, () => {
      const said = types.brokers.ignored?.(url);
      if (ignored === undefined) expect(said).to.equal(undefined);
      else expect(said).to.match(ignored).and.not.include('hunter2');
    });
});

describe('A text in an error message', () => {
  for (const [text, shown] of [
    ['amqp://rabbit', 'amqp://rabbit'],
    ['amqp://user:secret@rabbit', 'amqp://***@rabbit'],
    ['amqp://user:sec@ret@rabbit/x', 'amqp://***@rabbit/x'],
    ['amqp://user:sec/ret@rabbit', 'amqp://***@rabbit'],
    ['amqp://a:x,y@one,amqp://b:z@two', 'amqp://***@two'],
    ['user:secret@rabbit', '***@rabbit'],
    // the rest of it was taken for a comment: user:sec#ret@rabbit
    ['amqp://user:sec', 'amqp://user:***'],
    ['amqp://rabbit:5672', 'amqp://rabbit:5672'],
    ['amqp://rabbit:5672,amqp://b:1/', 'amqp://rabbit:5672,amqp://b:1/'],
    ['amqp://2001:db8::1', 'amqp://2001:db8::1'],
    ['a\r\nb\x1b[31m\u2028c', 'a  b [31m c'],
    ['x'.repeat(300), `${'x'.repeat(200)}…`],
  ])
    it(`${JSON.stringify(text.slice(0, 40))} has no secret and is one line`, () => {
      expect(types.printable(text)).to.equal(shown);
    });
});
