/**
 * What a client may send, and much that it may not: sequences of valid, mutated and random frames for fast-check.
 * A step is data (it shrinks and prints); `encode` makes its bytes.
 */
import fc from 'fast-check';
import { Writer } from '../../src/amqp/frame.ts';
import { METHODS, type Method } from '../../src/amqp/methods.ts';

/** One step of a client. */
export type Step =
  | { kind: 'method'; channel: number; method: number; seed: number[] }
  | {
      kind: 'publish';
      channel: number;
      exchange: string;
      routingKey: string;
      flags: number;
      body: number;
      split: number;
    }
  | { kind: 'header'; channel: number; classId: number; size: number; flags: number; properties: Uint8Array }
  | { kind: 'body'; channel: number; size: number }
  | { kind: 'frame'; type: number; channel: number; payload: Uint8Array; end: number; length: number | null }
  | { kind: 'raw'; bytes: Uint8Array }
  | { kind: 'mutated'; step: Step; at: number; xor: number; cut: boolean }
  | { kind: 'wait'; ms: number }
  | { kind: 'end'; how: 'close' | 'die' };

const ALL: Method[] = [...METHODS.values()];
export const QUEUES = ['fuzz-a', 'fuzz-b', 'fuzz-c', ''];
const EXCHANGES = ['', '', 'amq.direct', 'amq.topic', 'amq.headers', 'fuzz-none', 'fuzz-x'];
const WORDS = [
  ...QUEUES,
  'amq.direct',
  'fuzz-x',
  'fuzz-none',
  'direct',
  'fanout',
  'x-nonsense',
  'tag',
  'amq.rabbitmq.reply-to',
  '\u00fc',
];

const channel = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(5, 2047, 2048, 65535) },
);
/** What method arguments are made from: small numbers mostly, so that bits, tags and words are likely to mean something. */
const seed = fc.array(
  fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 0, max: 15 }) }, fc.integer({ min: 0, max: 255 })),
  {
    maxLength: 12,
  },
);
const method = fc.record({
  kind: fc.constant('method' as const),
  channel,
  method: fc.nat(ALL.length - 1),
  seed,
});
/** The methods a client usually sends. */
const usual = fc.record({
  kind: fc.constant('method' as const),
  channel: fc.integer({ min: 1, max: 4 }),
  method: fc.constantFrom(
    ...[
      'channel.open',
      'channel.open',
      'channel.close',
      'channel.close-ok',
      'channel.flow',
      'queue.declare',
      'queue.declare',
      'queue.bind',
      'queue.purge',
      'queue.delete',
      'exchange.declare',
      'basic.qos',
      'basic.consume',
      'basic.cancel',
      'basic.get',
      'basic.ack',
      'basic.nack',
      'basic.reject',
      'basic.recover',
      'confirm.select',
      'tx.select',
      'tx.commit',
      'tx.rollback',
    ].map(name => ALL.findIndex(one => one.name === name)),
  ),
  seed,
});
const publish = fc.record({
  kind: fc.constant('publish' as const),
  channel,
  exchange: fc.constantFrom(...EXCHANGES),
  routingKey: fc.constantFrom(...WORDS),
  flags: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 255),
  body: fc.oneof(fc.nat(200), fc.nat(5000), fc.constantFrom(131064, 131072, 300_000)),
  split: fc.constantFrom(1000, 131064, 131072),
});
const header = fc.record({
  kind: fc.constant('header' as const),
  channel,
  classId: fc.constantFrom(60, 60, 60, 50, 0),
  size: fc.nat(300),
  flags: fc.oneof(fc.constantFrom(0, 0x8000, 0x2000, 0xfff8), fc.nat(65535)),
  properties: fc.uint8Array({ maxLength: 30 }),
});
const body = fc.record({ kind: fc.constant('body' as const), channel, size: fc.nat(300) });
const frame = fc.record({
  kind: fc.constant('frame' as const),
  type: fc.oneof(fc.constantFrom(1, 1, 2, 3, 8), fc.nat(255)),
  channel,
  payload: fc.uint8Array({ maxLength: 40 }),
  end: fc.oneof({ weight: 8, arbitrary: fc.constant(0xce) }, fc.nat(255)),
  length: fc.oneof(
    { weight: 8, arbitrary: fc.constant(null) },
    fc.constantFrom(0, 131072, 131073, 0xffffffff),
  ),
});
const raw = fc.record({ kind: fc.constant('raw' as const), bytes: fc.uint8Array({ maxLength: 60 }) });
const wait = fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(8) });
const end = fc.record({
  kind: fc.constant('end' as const),
  how: fc.constantFrom('close' as const, 'die' as const),
});
const proper = fc.oneof({ weight: 6, arbitrary: usual }, { weight: 3, arbitrary: publish });
const mutated = fc.record({
  kind: fc.constant('mutated' as const),
  step: proper,
  at: fc.nat(80),
  xor: fc.integer({ min: 1, max: 255 }),
  cut: fc.boolean(),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 24, arbitrary: proper },
  { weight: 5, arbitrary: wait },
  { weight: 2, arbitrary: method },
  { weight: 2, arbitrary: header },
  { weight: 2, arbitrary: body },
  { weight: 2, arbitrary: mutated },
  { weight: 1, arbitrary: frame },
  { weight: 1, arbitrary: raw },
  { weight: 1, arbitrary: end },
);

/** What one client does once it has logged in. */
export const script: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' });

/** Well-formed arguments for a method, from a list of numbers. */
function args(spec: Method, numbers: number[]): Buffer {
  const out = new Writer(64);
  let at = 0;
  const next = (): number => (numbers.length === 0 ? 0 : numbers[at++ % numbers.length]);
  for (const letter of spec.args)
    switch (letter) {
      case 'o':
      case 'b':
        out.octet(next());
        break;
      case 's':
        out.short(next());
        break;
      case 'l':
        out.long(next() < 14 ? 0 : next());
        break;
      case 'L':
        out.longlong(BigInt(next()));
        break;
      case 'S':
        out.shortstr(WORDS[next() % WORDS.length]);
        break;
      case 'T':
        if (next() < 12) out.long(0);
        else out.longstr(Buffer.concat([Buffer.from('\x01kI'), Buffer.alloc(4, next())]));
        break;
      default:
        out.longstr(WORDS[next() % WORDS.length]);
    }
  return Buffer.from(out.take());
}

function frameOf(
  type: number,
  channel: number,
  payload: Uint8Array,
  endByte = 0xce,
  length = payload.length,
): Buffer {
  return Buffer.from(
    new Writer(payload.length + 8)
      .octet(type)
      .short(channel)
      .long(length)
      .bytes(Buffer.from(payload))
      .octet(endByte)
      .take(),
  );
}

const methodOf = (channel: number, key: number, bytes: Buffer): Buffer =>
  frameOf(1, channel, new Writer(bytes.length + 4).long(key).bytes(bytes).take());

/** The bytes of a step; none for those that are no bytes. */
export function encode(step: Step): Buffer {
  switch (step.kind) {
    case 'method':
      return methodOf(step.channel, ALL[step.method].key, args(ALL[step.method], step.seed));
    case 'publish': {
      const method = new Writer(64)
        .short(0)
        .shortstr(step.exchange)
        .shortstr(step.routingKey)
        .octet(step.flags)
        .take();
      const head = new Writer(16).short(60).short(0).longlong(BigInt(step.body)).short(0).take();
      const frames = [methodOf(step.channel, 0x3c0028, Buffer.from(method)), frameOf(2, step.channel, head)];
      for (let at = 0; at < step.body; at += step.split)
        frames.push(frameOf(3, step.channel, Buffer.alloc(Math.min(step.split, step.body - at), 102)));
      return Buffer.concat(frames);
    }
    case 'header':
      return frameOf(
        2,
        step.channel,
        new Writer(64)
          .short(step.classId)
          .short(0)
          .longlong(BigInt(step.size))
          .short(step.flags)
          .bytes(Buffer.from(step.properties))
          .take(),
      );
    case 'body':
      return frameOf(3, step.channel, Buffer.alloc(step.size, 102));
    case 'frame':
      return frameOf(step.type, step.channel, step.payload, step.end, step.length ?? step.payload.length);
    case 'raw':
      return Buffer.from(step.bytes);
    case 'mutated': {
      const bytes = encode(step.step);
      const at = step.at % bytes.length;
      if (step.cut) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
      bytes[at] ^= step.xor;
      return bytes;
    }
    default:
      return Buffer.alloc(0);
  }
}
