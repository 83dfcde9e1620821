/** What a client of a fuzz campaign does, step by step, as data (it shrinks and prints); `encode` makes a step's bytes. */
import { Writer } from '../../src/amqp/frame.ts';
import { key, METHODS, type Method } from '../../src/amqp/methods.ts';
import * as f from '../differential/frames.ts';
import type { Loss } from '../support/losses.ts';
import type { Visit } from '../support/visitors.ts';

/** Something that makes a broker close a channel. */
export type Offence = 'exchange' | 'queue' | 'get' | 'tag';

/** Bytes. */
type Sent =
  /** A method with well-formed arguments made from `seed`, all of their bytes or the first `cut`. */
  | { kind: 'method'; channel: number; method: number; seed: number[]; cut: number | null }
  | {
      kind: 'publish';
      channel: number;
      exchange: string;
      routingKey: string;
      flags: number;
      body: number;
      split: number;
      /** Bytes of the method's arguments that are sent; null for all. */
      cut: number | null;
    }
  /** The beginning of a publish: its method, and the header of a body of `size` bytes. */
  | { kind: 'head'; channel: number; routingKey: string; size: number }
  | { kind: 'header'; channel: number; classId: number; size: number; flags: number; properties: Uint8Array }
  | { kind: 'body'; channel: number; size: number }
  | { kind: 'offence'; channel: number; how: Offence }
  | { kind: 'frame'; type: number; channel: number; payload: Uint8Array; end: number; length: number | null }
  | { kind: 'raw'; bytes: Uint8Array }
  | { kind: 'mutated'; step: Sent; at: number; xor: number; cut: boolean };

/** What happens around the client. */
export type Event =
  | ({ kind: 'loss' } & Loss)
  | { kind: 'alarm'; on: boolean }
  | { kind: 'visit'; how: Visit };

/** `answer`: the client answers every channel.close that has come, and opens those channels again. */
export type Step =
  | Sent
  | Event
  | { kind: 'answer' }
  | { kind: 'wait'; ms: number }
  | { kind: 'end'; how: 'close' | 'die' };

/** A client, and what it does once it has logged in and has the channels 1 to 4 open. */
export interface Script {
  tls: boolean;
  /** Whether it understands connection.blocked. */
  told: boolean;
  channelMax: number;
  steps: Step[];
}

export const ALL: Method[] = [...METHODS.values()];
export const QUEUES = ['fuzz-a', 'fuzz-b', 'fuzz-c', ''];
export const WORDS = [
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
/** Channels that every client opens first. */
export const OPEN = [1, 2, 3, 4];
/** Nobody declares it. */
const MISSING = 'fuzz-missing';

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

const cutTo = (length: number | null, bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.subarray(0, length ?? bytes.length));

function offence(channel: number, how: Offence): Buffer {
  switch (how) {
    case 'exchange':
      return f.publish(channel, 'x', 'x', { exchange: MISSING });
    case 'queue':
      return f.declare(channel, MISSING, f.PASSIVE);
    case 'get':
      return f.get(channel, MISSING);
    case 'tag':
      return f.ack(channel, 4242);
  }
}

/** The bytes of a step; none for those that are no bytes. */
export function encode(step: Step): Buffer {
  switch (step.kind) {
    case 'method':
      return methodOf(step.channel, ALL[step.method].key, cutTo(step.cut, args(ALL[step.method], step.seed)));
    case 'publish': {
      const method = new Writer(64)
        .short(0)
        .shortstr(step.exchange)
        .shortstr(step.routingKey)
        .octet(step.flags)
        .take();
      const head = new Writer(16).short(60).short(0).longlong(BigInt(step.body)).short(0).take();
      const frames = [
        methodOf(step.channel, key(60, 40), cutTo(step.cut, method)),
        frameOf(2, step.channel, head),
      ];
      for (let at = 0; at < step.body; at += step.split)
        frames.push(frameOf(3, step.channel, Buffer.alloc(Math.min(step.split, step.body - at), 102)));
      return Buffer.concat(frames);
    }
    case 'head':
      return Buffer.concat([
        f.publishMethod(step.channel, step.routingKey),
        f.header(step.channel, step.size),
      ]);
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
    case 'offence':
      return offence(step.channel, step.how);
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

/** Whether what is sent is a sequence of whole frames: without, a peer may wait for the rest of one for as long as it likes. */
export const framed = (steps: Step[]): boolean =>
  steps.every(
    step =>
      step.kind !== 'raw' &&
      step.kind !== 'mutated' &&
      (step.kind !== 'frame' || (step.end === 0xce && step.length === null)),
  );

/** The channels that a client speaks on. */
export function channelsOf(steps: Step[]): Set<number> {
  const channels = new Set([0, ...OPEN]);
  for (const step of steps) if ('channel' in step) channels.add(step.channel);
  return channels;
}
