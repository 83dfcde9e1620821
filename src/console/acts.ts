/**
 * What an operator can do, as far as each process does it for itself: what came of it in all of them is told in one sentence,
 * when it is done, or why it is not.
 */
import type { Client } from '../client/client.ts';
import { poolName } from '../pool/context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { count } from '../words.ts';
import { evict, hold, release } from './holds.ts';
import { drainBroker, letGo, named, pauseIn, pausePool, resumeIn, resumePool, settled } from './pauses.ts';
import { clientRow, waysOf } from './rows.ts';
import {
  Absent,
  brokerNamed,
  clientsOn,
  matcher,
  Refusal,
  scopeName,
  scopeNamed,
  upstreamsIn,
} from './scope.ts';

export interface Request {
  args: readonly string[];
  options: ReadonlyMap<string, string>;
  /** Whoever asked has gone. */
  signal: AbortSignal;
}

interface Act<T> {
  run(proxy: Proxy, request: Request): T | Promise<T>;
  /** What came of it in all processes. @throws Refusal */
  told(results: readonly T[], request: Request): string;
}

const act = <T>(act: Act<T>): Act<T> => act;

const SWITCH_SECONDS = 10;
/** Characters of a reason: it goes into a short string, with the reply code's name before it. */
const LONGEST_REASON = 160;
/** Named of those who hold on, or were closed. */
const NAMED = 5;
const NAMED_CLOSED = 10;

function secondsOf({ options }: Request, otherwise: number): number {
  const text = options.get('timeout');
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new Refusal(`--timeout ${text} is no number of seconds`);
  return value;
}

const reasonOf = ({ options }: Request): string =>
  `closed by the operator${options.get('reason') ? `: ${options.get('reason')!.slice(0, LONGEST_REASON)}` : ''}`;

/** The route that a switch is about. */
export const routeOf = ({ options }: Pick<Request, 'options'>): string => options.get('route') ?? 'main';

const sum = <T>(results: readonly T[], of: (result: T) => number): number =>
  results.reduce((n, result) => n + of(result), 0);

/** "3 clients hold on: c5 (app@/, consumes), …" */
export function holders(clients: readonly string[]): string {
  const more = clients.length > NAMED ? `, and ${clients.length - NAMED} more` : '';
  const holds = clients.length === 1 ? '1 client holds' : `${clients.length} clients hold`;
  return `${holds} on: ${clients.slice(0, NAMED).join(', ')}${more}`;
}

/** Several ids are several clients; several filters must all hold. */
export const areIds = (words: readonly string[]): boolean =>
  words.length > 0 && words.every(word => /^c\d+$/.test(word));

function meant(proxy: Proxy, filters: readonly string[]): Client[] {
  if (filters.length === 0) throw new Refusal('which clients? By id (c12) or filter (user=app)');
  if (areIds(filters)) {
    const found = proxy.clientList.filter(({ name }) => filters.includes(name));
    const missing = filters.filter(id => !found.some(({ name }) => name === id));
    if (missing.length > 0) throw new Absent(`there is no client ${missing.join(', ')}`);
    return found;
  }
  const matches = matcher(filters);
  const ways = waysOf(proxy);
  const found = proxy.clientList.filter(
    client => client.state !== 'closed' && matches(clientRow(client, ways)),
  );
  if (found.length === 0) throw new Absent('there is no such client');
  return found;
}

const isThere = ({ registry }: Proxy, name: string): boolean =>
  [...registry.pools].some(pool => poolName(pool) === name);

export const ACTS = {
  debug: act({
    run(proxy, { args: [id, word = 'on'] }) {
      if (id === undefined) throw new Refusal('which client? By id (c12)');
      if (word !== 'on' && word !== 'off') throw new Refusal(`${word} is neither on nor off`);
      const [client] = meant(proxy, [id]);
      client.trail.watched = word === 'on';
      return client.name;
    },
    told: ([name], { args: [, word = 'on'] }) =>
      word === 'on'
        ? `${name} is followed: amqproxy show events id=${name} --watch`
        : `${name} is followed no more`,
  }),

  kill: act({
    run(proxy, request) {
      const clients = meant(proxy, request.args);
      const text = reasonOf(request);
      for (const client of clients) client.ending.kill(text);
      return clients.map(({ name }) => name);
    },
    told(results) {
      const names = results.flat();
      const more = names.length > NAMED_CLOSED ? ' …' : '';
      return `${count(names.length, 'client')} closed: ${names.slice(0, NAMED_CLOSED).join(', ')}${more}`;
    },
  }),

  pause: act({
    async run(proxy, request) {
      const scope = scopeNamed(proxy, request.args[0]);
      const seconds = secondsOf(request, Number.POSITIVE_INFINITY);
      pauseIn(proxy, scope);
      const began = performance.now();
      const quiet = await settled(proxy, scope, seconds, request.signal);
      return {
        scope: scopeName(scope),
        seconds: (performance.now() - began) / 1000,
        quiet,
        left: quiet ? [] : clientsOn(proxy, scope).map(named),
      };
    },
    told(results) {
      const seconds = Math.max(...results.map(({ seconds }) => seconds)).toFixed(1);
      const [{ scope }] = results;
      if (results.every(({ quiet }) => quiet))
        return `${scope} is paused: after ${seconds} s nothing is under way`;
      const left = results.flatMap(({ left }) => left);
      throw new Refusal(`${scope} is paused, but after ${seconds} s ${holders(left)}`);
    },
  }),

  resume: act({
    run(proxy, { args: [name] }) {
      // the pool may have gone meanwhile, or not have come here yet
      if (name?.includes('@') && !isThere(proxy, name) && resumePool(proxy, name))
        return { scope: `pool ${name}`, waited: 0 };
      const scope = scopeNamed(proxy, name);
      const waited = sum([...proxy.registry.pools], ({ waiters }) => waiters.length);
      resumeIn(proxy, scope);
      return { scope: scopeName(scope), waited };
    },
    told: results => `${results[0].scope} goes on: ${sum(results, ({ waited }) => waited)} waited`,
  }),

  reconnect: act({
    run(proxy, { args }) {
      const scope = scopeNamed(proxy, args[0]);
      const n = [...upstreamsIn(proxy, scope)].length;
      if (scope === null) proxy.reconnect();
      else if ('pool' in scope) scope.pool.leaveBrokers();
      else proxy.reconnect(scope.broker.name);
      letGo(proxy, scope);
      return { scope: scopeName(scope), n };
    },
    told: results =>
      `${count(
        sum(results, ({ n }) => n),
        'upstream',
      )} of ${results[0].scope} will be made anew`,
  }),

  drain: act({
    run(proxy, { args: [name] }) {
      if (name === undefined) throw new Refusal('which broker? See amqproxy show brokers');
      const broker = brokerNamed(proxy, name);
      const n = [...upstreamsIn(proxy, { broker })].length;
      drainBroker(proxy, broker);
      letGo(proxy, { broker });
      return { scope: scopeName({ broker }), broker: broker.name, n };
    },
    told: results =>
      `${results[0].broker} gets no new upstreams; ${count(
        sum(results, ({ n }) => n),
        'upstream',
      )} there end with the last lease`,
  }),

  undrain: act({
    run(proxy, { args: [name] }) {
      if (name === undefined) throw new Refusal('which broker? See amqproxy show brokers');
      const broker = brokerNamed(proxy, name);
      if (!broker.drained) throw new Refusal(`${broker.name} is not drained`);
      resumeIn(proxy, { broker });
      return { scope: scopeName({ broker }), broker: broker.name };
    },
    told: ([{ broker }]) => `${broker} is used again`,
  }),

  /** A pool is paused in another process: it is to be here, too, when it comes. */
  expect: act({
    run(proxy, { args: [name] }) {
      pausePool(proxy, name);
      return { scope: `pool ${name}` };
    },
    told: ([{ scope }]) => `${scope} will be paused`,
  }),

  // ---- what a switch is made of: see switch.ts and holds.ts

  hold: act({
    run: (proxy, request) =>
      hold(proxy, routeOf(request), secondsOf(request, SWITCH_SECONDS), request.signal),
    told: results => holders(results.flatMap(held => held?.left ?? [])),
  }),

  evict: act({
    run: (proxy, request) => evict(proxy, routeOf(request), reasonOf(request)),
    told: results => `${sum(results, n => n)} closed`,
  }),

  release: act({
    run: (proxy, request) => release(proxy, routeOf(request)),
    told: results => `${sum(results, n => n)} waited`,
  }),
};

/** What each process does for itself. */
export type StepName = keyof typeof ACTS;
export type Result<K extends StepName> = Awaited<ReturnType<(typeof ACTS)[K]['run']>>;
/** One of them as one type, for code that treats all alike. */
export const stepOf = (name: StepName): Act<unknown> => ACTS[name] as Act<unknown>;
