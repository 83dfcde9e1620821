/** The PROXY header: what its bytes say, in whatever pieces they come. */
import { expect } from 'chai';
import { readIntroduction } from '../../src/io/proxy-header.ts';
import { inet, inet6, v2 } from '../support/proxy-header.ts';

const TLV = Buffer.from('0100026832', 'hex');
const V4 = '192.0.2.7';
const FROM = { address: V4, port: 4711 };

const GOOD: [string, Buffer, object | null][] = [
  ['version 1, IPv4', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 4711 5673\r\n'), FROM],
  [
    'version 1, IPv6',
    Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 4711 5673\r\n'),
    { address: '2001:db8::7', port: 4711 },
  ],
  ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), null],
  [
    'version 1, unknown with something behind it',
    Buffer.from('PROXY UNKNOWN ffff:f ::1 65535 65535\r\n'),
    null,
  ],
  ['version 2, IPv4', v2(1, 0x11, inet(V4, 4711)), FROM],
  ['version 2, IPv4, with TLVs', v2(1, 0x11, Buffer.concat([inet(V4, 4711), TLV, TLV])), FROM],
  [
    'version 2, IPv6',
    v2(1, 0x21, inet6('20010db8000000000000000000000007', 4711)),
    { address: '2001:db8::7', port: 4711 },
  ],
  ['version 2, a Unix socket', v2(1, 0x31, Buffer.alloc(216)), null],
  ['version 2, no family', v2(1, 0x00, TLV), null],
  ['version 2, LOCAL', v2(0, 0x00, Buffer.alloc(0)), null],
  ['version 2, LOCAL with an address, which does not count', v2(0, 0x11, inet(V4, 4711)), null],
];

const V2_SIGNATURE = v2(1, 0x11, Buffer.alloc(0)).subarray(0, 12);
const WRONG: [string, Buffer, RegExp][] = [
  ['an endless line', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`), /longer than 107/],
  ['a line that ends with LF alone', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n'), /CR LF/],
  ['a family that there is not', Buffer.from('PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n'), /neither/],
  ['an address of the other family', Buffer.from('PROXY TCP4 ::1 10.0.0.1 1 2\r\n'), /none/],
  ['a name instead of an address', Buffer.from('PROXY TCP4 localhost 10.0.0.1 1 2\r\n'), /none/],
  ['a port too high', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n'), /none/],
  ['too few words', Buffer.from('PROXY TCP4 192.0.2.7\r\n'), /none/],
  ['too many words', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n'), /none/],
  ['version 3', Buffer.concat([V2_SIGNATURE, Buffer.from('31110000', 'hex')]), /version or command/],
  ['an unknown command', v2(2, 0x11, inet(V4, 1)), /version or command/],
  ['an unknown family', v2(1, 0x41, Buffer.alloc(12)), /family/],
  ['datagrams', v2(1, 0x12, inet(V4, 1)), /datagrams/],
  ['an address cut short', v2(1, 0x11, Buffer.alloc(11)), /too short/],
  ['more than anybody sends', v2(1, 0x11, Buffer.alloc(5000)), /longer than 4096/],
];

describe('A PROXY header', () => {
  for (const [what, bytes, from] of GOOD)
    it(`is read: ${what}; in one piece and cut anywhere, and no byte behind it is taken`, () => {
      const whole = Buffer.concat([bytes, Buffer.from('AMQP')]);
      expect(readIntroduction(whole)).to.deep.equal({ length: bytes.length, from });
      for (let cut = 0; cut < bytes.length; cut++)
        expect(readIntroduction(bytes.subarray(0, cut)), `the first ${cut} octets`).to.equal('more');
    });

  for (const [what, bytes, why] of WRONG)
    it(`is wrong with ${what}`, () => {
      expect(readIntroduction(bytes)).to.have.property('wrong').that.matches(why);
    });

  it('is not what begins in another way', () => {
    for (const text of [
      'AMQP\0\0\x09\x01',
      '\x16\x03\x01',
      'GET / HTTP/1.0',
      'PROXYING',
      '\r\n\r\n\0\r\nQUIX',
    ])
      expect(readIntroduction(Buffer.from(text, 'latin1')), text).to.equal('none');
  });
});
