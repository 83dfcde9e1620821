/** The protocol: bytes in, bytes out. */
import { expect } from 'chai';
import fc from 'fast-check';
import { argumentFault, isProperties, isUtf8 } from '../../src/amqp/check.ts';
import { Confirms } from '../../src/amqp/confirms.ts';
import { channelClose, methodFrame, readClose, Writer } from '../../src/amqp/frame.ts';
import { key, M, METHODS } from '../../src/amqp/methods.ts';
import { loginResponse, readResponse } from '../../src/amqp/sasl.ts';
import {
  AGAIN,
  type BadFrame,
  FrameScanner,
  type FrameSink,
  NEXT,
  STOP,
  type Verdict,
} from '../../src/amqp/scanner.ts';
import { FrameSplitter, splitBody } from '../../src/amqp/split.ts';
import { decodeTable, encodeTable } from '../../src/amqp/table.ts';
import { readTag, writeTag } from '../../src/amqp/tag.ts';

/** Collects what a scanner hands over, as bytes. */
class Collector implements FrameSink {
  frames: string[] = [];
  bad: BadFrame[] = [];
  stopAt = -1;
  readonly scanner = new FrameScanner(this, 131072);
  private open: Buffer[] = [];

  feed(bytes: Buffer): void {
    this.scanner.feed(bytes);
  }

  frame(_type: number, _channel: number, buf: Buffer, at: number, size: number): Verdict {
    this.frames.push(buf.toString('hex', at, at + size + 8));
    return this.frames.length === this.stopAt ? STOP : NEXT;
  }

  bodyBegins(_channel: number, buf: Buffer, at: number, end: number): Verdict {
    this.open = [buf.subarray(at, end)];
    return NEXT;
  }

  bodyPart(buf: Buffer, at: number, end: number, last: boolean): void {
    this.open.push(buf.subarray(at, end));
    if (last) this.frames.push(Buffer.concat(this.open).toString('hex'));
  }

  chunkEnds(): void {}

  badFrame(bad: BadFrame): void {
    this.bad.push(bad);
  }
}

const anyFrame = fc
  .tuple(fc.constantFrom(1, 2, 3, 8), fc.nat(65535), fc.uint8Array({ maxLength: 300 }))
  .map(([type, channel, payload]) =>
    new Writer().octet(type).short(channel).longstr(payload).octet(0xce).take(),
  );

describe('The frame scanner', () => {
  it('hands over the same frames however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.array(fc.nat(200)), (frames, cuts) => {
        const bytes = Buffer.concat(frames);
        const scanner = new Collector();
        let at = 0;
        for (const cut of cuts) {
          scanner.feed(bytes.subarray(at, at + cut));
          at = Math.min(bytes.length, at + cut);
        }
        scanner.feed(bytes.subarray(at));
        expect(scanner.frames).to.deep.equal(frames.map(frame => frame.toString('hex')));
      }),
    );
  });

  it('goes on where it stopped, with nothing lost or repeated', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { minLength: 2, maxLength: 8 }),
        fc.nat(7),
        fc.nat(40),
        (frames, stop, cut) => {
          const scanner = new Collector();
          scanner.stopAt = Math.min(stop + 1, frames.length);
          const bytes = Buffer.concat(frames);
          scanner.feed(Buffer.from(bytes.subarray(0, cut)));
          scanner.feed(Buffer.from(bytes.subarray(cut)));
          scanner.scanner.resume();
          expect(scanner.frames).to.deep.equal(frames.map(frame => frame.toString('hex')));
        },
      ),
    );
  });

  it('offers a frame again that had to wait, at once when its wait ends while it is being handled', () => {
    for (const endsAt of ['once', 'later']) {
      const offered: number[] = [];
      const sink = new Collector();
      sink.frame = (_type, channel) => {
        offered.push(channel);
        if (channel !== 2 || offered.filter(one => one === 2).length > 1) return NEXT;
        if (endsAt === 'once') sink.scanner.resume();
        return AGAIN;
      };
      const frame = (channel: number): Buffer =>
        new Writer().octet(1).short(channel).longstr('four').octet(0xce).take();
      sink.feed(Buffer.concat([frame(1), frame(2), frame(3)]));
      if (endsAt === 'later') {
        expect(offered).to.deep.equal([1, 2]);
        sink.feed(frame(4));
        sink.scanner.resume();
      } else sink.feed(frame(4));
      expect(offered).to.deep.equal([1, 2, 2, 3, 4]);
      expect(sink.scanner.stashed).to.equal(0);
    }
  });

  it('names what is wrong with a frame', () => {
    for (const [bytes, kind] of [
      [Buffer.from([1, 0, 1, 0xff, 0xff, 0xff, 0xff]), 'size'],
      [Buffer.from([1, 0, 1, 0, 0, 0, 1, 7, 0xcd]), 'end'],
      [Buffer.from([7, 0, 1, 0, 0, 0, 1, 7, 0xce]), 'type'],
    ] as const)
      for (let cut = 0; cut <= bytes.length; cut++) {
        const scanner = new Collector();
        scanner.feed(bytes.subarray(0, cut));
        scanner.feed(bytes.subarray(cut));
        expect(scanner.bad.map(bad => bad.kind)).to.deep.equal([kind]);
      }
  });
});

describe('The checks', () => {
  it('take what Node takes for UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text =>
        isUtf8(Buffer.from(text), 0, Buffer.from(text).length),
      ),
    );
  });

  for (const bytes of ['80', 'c080', 'c328', 'e28281'.slice(0, 4), 'e08080', 'f0808080', 'f5808080', 'ff'])
    it(`refuse ${bytes} as UTF-8`, () => {
      expect(isUtf8(Buffer.from(bytes, 'hex'), 0, bytes.length / 2)).to.equal(false);
    });

  it('find arguments that are cut off at any byte, or too long', () => {
    const args = new Writer()
      .short(0)
      .shortstr('queue')
      .octet(0)
      .bytes(encodeTable({ a: 'b', c: { d: true } }))
      .take();
    expect(argumentFault('sSbT', args, 0, args.length)).to.equal(null);
    for (let end = 0; end < args.length; end++)
      expect(argumentFault('sSbT', args, 0, end), `${end}`).to.equal('length');
    const longer = Buffer.concat([args, Buffer.from([0])]);
    expect(argumentFault('sSbT', longer, 0, longer.length)).to.equal('length');
  });

  it('find a malformed table, and invalid UTF-8', () => {
    const table = encodeTable({ a: 'b' });
    table[6] = 0x7a;
    expect(argumentFault('T', table, 0, table.length)).to.equal('table');
    expect(argumentFault('S', Buffer.from([2, 0xc3, 0x28]), 0, 3)).to.equal('utf8');
  });

  it('never throw, and never look past the end', () => {
    const specs = [...METHODS.values()].map(method => method.args);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(...specs), (bytes, spec) => {
        const alone = Buffer.from(bytes);
        const withMore = Buffer.concat([alone, Buffer.alloc(50, 1)]);
        expect(argumentFault(spec, withMore, 0, alone.length)).to.equal(
          argumentFault(spec, alone, 0, alone.length),
        );
        expect(isProperties(withMore, 0, alone.length)).to.equal(isProperties(alone, 0, alone.length));
      }),
      { numRuns: 2000 },
    );
  });

  it('take a table nested a thousand deep, and one with every type; refuse NaN', () => {
    let table = Buffer.alloc(4);
    for (let i = 0; i < 1000; i++) {
      const inner = Buffer.concat([Buffer.from([1, 0x61, 0x46]), table]);
      table = Buffer.concat([new Writer().long(inner.length).take(), inner]);
    }
    expect(argumentFault('T', table, 0, table.length)).to.equal(null);
    for (const [value, fault] of [
      [1.5, null],
      [Number.NaN, 'table'],
      [Number.POSITIVE_INFINITY, 'table'],
    ] as const) {
      const double = new Writer().long(11).octet(1).octet(0x61).octet(0x64).bytes(Buffer.alloc(8)).take();
      double.writeDoubleBE(value, 7);
      expect(argumentFault('T', double, 0, double.length)).to.equal(fault);
    }
  });
});

describe('Tables, tags, closes and logins', () => {
  it('tables come back as they went', () => {
    const table = { a: 'text', b: true, c: 7, d: { e: 'nested', f: false } };
    expect(decodeTable(encodeTable(table), 0, encodeTable(table).length)).to.deep.equal(table);
  });

  it('delivery tags come back as they went, up to 2^53', () => {
    for (const tag of [0, 1, 255, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      const bytes = Buffer.alloc(8);
      writeTag(bytes, 0, tag);
      expect(bytes.readBigUInt64BE(0)).to.equal(BigInt(tag));
      expect(readTag(bytes, 0)).to.equal(tag);
    }
  });

  it('a close keeps its code, text, class and method; a long text is cut between characters', () => {
    const why = { code: 404, text: 'NOT_FOUND - ü', classId: 50, methodId: 10 };
    expect(readClose(channelClose(3, why), 11)).to.deep.equal(why);
    const long = readClose(channelClose(3, { ...why, text: 'é'.repeat(200) }), 11);
    expect(long.text).to.equal('é'.repeat(127));
  });

  it('a PLAIN response is read as it is written', () => {
    const credentials = { user: 'us er', secret: Buffer.from('pä:ss') };
    expect(readResponse(...loginResponse(credentials))).to.deep.equal(credentials);
    for (const bad of ['', 'x', '\0user', '\0user\0pass\0more'])
      expect(readResponse('PLAIN', Buffer.from(bad))).to.equal(null);
  });

  it('an ANONYMOUS login stays one, whatever its response says', () => {
    const anonymous = readResponse('ANONYMOUS', Buffer.from('whoever'))!;
    expect(anonymous.secret).to.equal(null);
    expect(loginResponse(anonymous)[0]).to.equal('ANONYMOUS');
  });

  it('an AMQPLAIN response is a table without its length', () => {
    const response = encodeTable({ LOGIN: 'me', PASSWORD: 'secret' }).subarray(4);
    expect(readResponse('AMQPLAIN', response)).to.deep.equal({ user: 'me', secret: Buffer.from('secret') });
    expect(readResponse('AMQPLAIN', response.subarray(0, 9))).to.equal(null);
  });

  it('a body is split into frames of at most the size asked for', () => {
    const body = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
    const pieces = splitBody(5, body, 300);
    expect(pieces.map(piece => piece.length - 8)).to.deep.equal([300, 300, 300, 100]);
    expect(Buffer.concat(pieces.map(piece => piece.subarray(7, -1))).equals(body)).to.equal(true);
  });

  it('a stream of frames is split the same however it is cut', () => {
    const body = splitBody(5, Buffer.alloc(1000, 7), 1000)[0];
    const method = methodFrame(5, M.BASIC_ACK, new Writer().longlong(1n).octet(0).take());
    const stream = Buffer.concat([method, body, method, body, body, method]);
    const split = Buffer.concat(splitBody(5, Buffer.alloc(1000, 7), 300));
    const wanted = Buffer.concat([method, split, method, split, split, method]);
    for (const size of [1, 7, 8, 500, 1007, 1008, 1009, stream.length]) {
      const splitter = new FrameSplitter(308);
      const seen: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size)
        seen.push(...splitter.split(stream.subarray(at, at + size)));
      expect(Buffer.concat(seen).equals(wanted), `cut every ${size} bytes`).to.equal(true);
    }
  });

  it('the method table has every method once, with the arguments the frames are built with', () => {
    expect(new Set(METHODS.keys()).size).to.equal(METHODS.size);
    const frame = methodFrame(1, M.BASIC_ACK, new Writer().longlong(1n).octet(0).take());
    expect(argumentFault(METHODS.get(key(60, 80))!.args, frame, 11, frame.length - 1)).to.equal(null);
  });
});

describe('Confirms', () => {
  it('count what is outstanding like a plain set does, in any order and with "multiple"', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.boolean()), { maxLength: 60 }),
        steps => {
          const confirms = new Confirms();
          confirms.published = 40;
          const open = new Set(Array.from({ length: 40 }, (_, i) => i + 1));
          for (const [tag, multiple] of steps) {
            confirms.confirm(tag, multiple);
            for (const one of [...open]) if (one === tag || (multiple && one <= tag)) open.delete(one);
            expect(confirms.outstanding).to.equal(open.size);
          }
        },
      ),
    );
  });

  it('take no memory for those that come after one that is missing, however many', function () {
    this.timeout(60_000);
    const confirms = new Confirms();
    const before = process.memoryUsage().heapUsed;
    confirms.published = 17_000_000; // more than a Set holds
    for (let tag = 2; tag <= confirms.published; tag++) confirms.confirm(tag, false);
    const grown = process.memoryUsage().heapUsed - before;
    expect(confirms.outstanding).to.equal(1);
    expect(grown / 1024 / 1024, 'MiB').to.be.below(64);
    confirms.confirm(1, false);
    expect(confirms.outstanding).to.equal(0);
  });

  it('take no memory for those that are confirmed from the last to the first', function () {
    this.timeout(60_000);
    const confirms = new Confirms();
    const before = process.memoryUsage().heapUsed;
    confirms.published = 3_000_000;
    for (let tag = confirms.published; tag > 1; tag--) confirms.confirm(tag, false);
    const grown = process.memoryUsage().heapUsed - before;
    expect(confirms.outstanding).to.equal(1);
    expect(grown / 1024 / 1024, 'MiB').to.be.below(64);
    confirms.confirm(confirms.published, true);
    expect(confirms.outstanding).to.equal(0);
  });
});
