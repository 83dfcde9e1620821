/** What clients may do, and much that they may not: scripts of valid, mutated and random frames and of events, for fast-check. */
import fc from 'fast-check';
import { ALL, type Event, type Script, type Step, WORDS } from './steps.ts';

/** What a campaign may do without: kinds of events, of clients, and of what they do. */
export const ACTIONS = [
  'losses',
  'alarms',
  'offences',
  'visits',
  'tls',
  'numbers',
  'cuts',
  'guests',
] as const;
export type Action = (typeof ACTIONS)[number];

const EXCHANGES = ['', '', 'amq.direct', 'amq.topic', 'amq.headers', 'fuzz-none', 'fuzz-x'];
const methodNamed = (name: string): number => ALL.findIndex(one => one.name === name);

const low = fc.integer({ min: 1, max: 4 });
const channel = fc.oneof(
  { weight: 12, arbitrary: low },
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
  cut: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat(6)),
});
/** Arguments are whole, as a rule: without, the connection ends there. */
const cut = fc.oneof(
  { weight: 80, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom(0, 0, 1, 3) },
);
const named = (...names: string[]) =>
  fc.record({
    kind: fc.constant('method' as const),
    channel: low,
    method: fc.constantFrom(...names.map(methodNamed)),
    seed,
    cut,
  });
/** What a client usually asks for. */
const WISHES = [
  ...['channel.flow', 'queue.declare', 'queue.declare', 'queue.bind', 'queue.purge', 'queue.delete'],
  ...[
    'exchange.declare',
    'basic.qos',
    'basic.consume',
    'basic.cancel',
    'basic.get',
    'basic.ack',
    'basic.nack',
  ],
  ...['basic.reject', 'basic.recover', 'confirm.select', 'tx.select', 'tx.commit', 'tx.rollback'],
];
const wish = named(...WISHES);
const usual = named(...WISHES, 'channel.open', 'channel.open', 'channel.close', 'channel.close-ok');
const publish = fc.record({
  kind: fc.constant('publish' as const),
  channel,
  exchange: fc.constantFrom(...EXCHANGES),
  routingKey: fc.constantFrom(...WORDS),
  flags: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 255),
  body: fc.oneof(fc.nat(200), fc.nat(5000), fc.constantFrom(131064, 131072, 300_000)),
  split: fc.constantFrom(1000, 131064, 131072),
  cut,
});
const tamePublish = fc
  .tuple(publish, low, fc.constantFrom(0, 0, 0, 1))
  .map(([step, channel, flags]): Step => ({ ...step, channel, flags }));
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
const tame = fc.oneof({ weight: 4, arbitrary: wish }, { weight: 3, arbitrary: tamePublish });
const mutated = fc.record({
  kind: fc.constant('mutated' as const),
  step: proper,
  at: fc.nat(80),
  xor: fc.integer({ min: 1, max: 255 }),
  cut: fc.boolean(),
});
const loss = fc.record({
  kind: fc.constant('loss' as const),
  of: fc.constantFrom(
    'oldest' as const,
    'newest' as const,
    'newest' as const,
    'next' as const,
    'any' as const,
  ),
  from: fc.constantFrom('proxy' as const, 'broker' as const),
  frames: fc.oneof(fc.nat(5), fc.nat(40)),
});
const alarm = fc.record({ kind: fc.constant('alarm' as const), on: fc.boolean() });
const visit = fc.record({
  kind: fc.constant('visit' as const),
  how: fc.constantFrom(
    ...(['client', 'hello', 'half hello', 'nothing', 'fin', 'fin', 'garbage', 'reset'] as const),
  ),
});
const offence = fc.record({
  kind: fc.constant('offence' as const),
  channel: low,
  how: fc.constantFrom('exchange' as const, 'queue' as const, 'get' as const, 'tag' as const),
});

const say = (channel: number, name: string, seed: number[] = [0]): Step => ({
  kind: 'method',
  channel,
  method: methodNamed(name),
  seed,
  cut: null,
});
/** The client consumes: on another channel, for which it needs a private upstream; or within a bound, as shared ones allow. */
const CONSUMES: Step[][] = [
  [say(2, 'queue.declare'), say(2, 'basic.consume', [0, 0, 10])],
  [say(1, 'queue.declare'), say(1, 'basic.qos', [0, 5, 0]), say(1, 'basic.consume', [0, 0, 10])],
];
/** The client closes a channel and opens it again, without waiting for the answer in between. */
const reopened = low.map((channel): Step[] => [
  say(channel, 'channel.close', [0, 200, 0, 0]),
  say(channel, 'channel.open'),
]);

/** A message in pieces, with something happening between them: the broker may have closed the channel by then. */
const pieces = (between: fc.Arbitrary<Event | { kind: 'wait'; ms: number }>, before: fc.Arbitrary<Step[]>) =>
  fc
    .record({
      before,
      consumes: fc.constantFrom([], ...CONSUMES),
      size: fc.oneof(fc.nat(300), fc.constantFrom(5000, 100_000, 260_000)),
      between: fc.array(fc.oneof(between, wait), { minLength: 1, maxLength: 3 }),
      whole: fc.boolean(),
    })
    .map(({ before, consumes, size, between, whole }): Step[] => {
      const first = Math.floor(size / 2);
      return [
        ...consumes,
        ...before,
        { kind: 'head', channel: 1, routingKey: 'fuzz-a', size },
        ...between,
        { kind: 'body', channel: 1, size: Math.min(first, 131_064) },
        ...between,
        ...(whole && first <= 131_064 ? [{ kind: 'body' as const, channel: 1, size: size - first }] : []),
      ];
    });

/** A channel with a high number: the highest, the one before, one far from all others. */
const number = fc
  .record({
    channel: fc.oneof(
      fc.constantFrom(65535, 65534, 2047, 2046, 2048, 8, 7),
      fc.integer({ min: 3, max: 65535 }),
    ),
    does: fc.array(
      fc.constantFrom(
        'queue.declare',
        'basic.qos',
        'basic.get',
        'confirm.select',
        'basic.consume',
        'tx.select',
      ),
      {
        maxLength: 3,
      },
    ),
    seed,
    closes: fc.boolean(),
  })
  .map(({ channel, does, seed, closes }): Step[] => [
    say(channel, 'channel.open'),
    ...does.map(name => say(channel, name, seed)),
    ...(closes ? [say(channel, 'channel.close')] : []),
  ]);

/** An alarm while the client publishes, and what it does meanwhile. */
const alarmed = fc
  .record({
    before: fc.array(publish, { maxLength: 2 }),
    during: fc.array(fc.oneof(proper, wait), { maxLength: 6 }),
  })
  .map(({ before, during }): Step[] => [
    ...before,
    { kind: 'alarm', on: true },
    ...during,
    { kind: 'alarm', on: false },
  ]);

const one = (step: fc.Arbitrary<Step>): fc.Arbitrary<Step[]> => step.map(step => [step]);

const whole = (step: Step): Step =>
  'cut' in step && step.kind !== 'mutated' ? { ...step, cut: null } : step;

/** Scripts with all of the actions but these. */
export function scripts(without: Action[] = []): fc.Arbitrary<Script> {
  const only = (action: Action, weight: number): number => (without.includes(action) ? 0 : weight);
  const events = [
    { weight: only('losses', 1), arbitrary: one(loss) },
    { weight: only('losses', 1), arbitrary: pieces(loss, fc.constant([])) },
    { weight: only('alarms', 1), arbitrary: one(alarm) },
    { weight: only('alarms', 1), arbitrary: alarmed },
    { weight: only('offences', 3), arbitrary: one(offence) },
    { weight: only('offences', 1), arbitrary: pieces(wait, one(offence)) },
    { weight: only('visits', 1), arbitrary: one(visit) },
    { weight: only('numbers', 1), arbitrary: number },
  ];
  // whoever sends this will be heard out for a few frames only
  const wild = fc.oneof(
    { weight: 48, arbitrary: one(proper) },
    { weight: 10, arbitrary: one(wait) },
    { weight: 4, arbitrary: one(method) },
    { weight: 4, arbitrary: one(header) },
    { weight: 4, arbitrary: one(body) },
    { weight: 3, arbitrary: one(mutated) },
    { weight: 1, arbitrary: one(frame) },
    { weight: 1, arbitrary: one(raw) },
    { weight: 2, arbitrary: one(end) },
    ...events,
  );
  // and this goes on: what is wrong here closes a channel, as a rule, and the client opens it again
  const civil = fc
    .oneof(
      { weight: 48, arbitrary: one(tame) },
      { weight: 10, arbitrary: one(wait) },
      { weight: 4, arbitrary: reopened },
      { weight: 1, arbitrary: one(end) },
      ...events,
    )
    .map((steps): Step[] => [...steps, { kind: 'answer' }]);
  const some = (phrase: fc.Arbitrary<Step[]>): fc.Arbitrary<Step[][]> =>
    fc.array(phrase, { minLength: 1, maxLength: 40, size: 'max' });
  return fc.record({
    tls: fc.constantFrom(...Array(7).fill(false), !without.includes('tls')),
    told: fc.boolean(),
    channelMax: without.includes('numbers')
      ? fc.constant(2047)
      : fc.constantFrom(2047, 2047, 2047, 0, 65535, 8),
    steps: fc
      .oneof(some(wild), some(civil))
      .map(phrases => (without.includes('cuts') ? phrases.flat().map(whole) : phrases.flat())),
  });
}
