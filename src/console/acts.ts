/** What an operator can do: each act answers when it is done, in one sentence, or says why it is not. */
import type { Client } from '../client/client.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { count } from '../words.ts';
import { cutOver, drainBroker, holders, letGo, pauseIn, resumeIn, settled } from './cutover.ts';
import { clientRow, waysOf } from './rows.ts';
import {
  brokerNamed,
  clientsOn,
  matcher,
  Refusal,
  routeNamed,
  scopeName,
  scopeNamed,
  upstreamsIn,
} from './scope.ts';
import type { Outcome, Settings } from './settings.ts';
import type { COMMANDS, CommandName } from './table.ts';

export type ActName = {
  [K in CommandName]: (typeof COMMANDS)[K]['kind'] extends 'act' ? K : never;
}[CommandName];

/** What the acts act on. */
export interface Subject {
  readonly proxy: Proxy;
  readonly settings: Settings;
}

export interface Request {
  args: readonly string[];
  options: ReadonlyMap<string, string>;
  /** Whoever asked has gone. */
  signal: AbortSignal;
}

const SWITCH_SECONDS = 10;
/** Characters of a reason: it goes into a short string, with the reply code's name before it. */
const LONGEST_REASON = 160;

function secondsOf({ options }: Request, otherwise: number): number {
  const text = options.get('timeout');
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new Refusal(`--timeout ${text} is no number of seconds`);
  return value;
}

const reasonOf = ({ options }: Request): string =>
  `closed by the operator${options.get('reason') ? `: ${options.get('reason')!.slice(0, LONGEST_REASON)}` : ''}`;

function meant(proxy: Proxy, filters: readonly string[]): Client[] {
  if (filters.length === 0) throw new Refusal('which clients? By id (c12) or filter (user=app)');
  // several ids are several clients; several filters must all hold
  const ids = filters.filter(filter => /^c\d+$/.test(filter));
  if (ids.length === filters.length) {
    const found = proxy.clientList.filter(({ name }) => ids.includes(name));
    const missing = ids.filter(id => !found.some(({ name }) => name === id));
    if (missing.length > 0) throw new Refusal(`there is no client ${missing.join(', ')}`);
    return found;
  }
  const matches = matcher(filters);
  const ways = waysOf(proxy);
  const found = proxy.clientList.filter(
    client => client.state !== 'closed' && matches(clientRow(client, ways)),
  );
  if (found.length === 0) throw new Refusal('there is no such client');
  return found;
}

function outcome({ done, lines }: Outcome): string {
  if (!done) throw new Refusal(lines.join('\n'));
  return lines.join('\n');
}

export const ACTS: Record<ActName, (subject: Subject, request: Request) => string | Promise<string>> = {
  debug({ proxy }, { args: [id, word = 'on'] }) {
    if (id === undefined) throw new Refusal('which client? By id (c12)');
    if (word !== 'on' && word !== 'off') throw new Refusal(`${word} is neither on nor off`);
    const [client] = meant(proxy, [id]);
    client.trail.watched = word === 'on';
    return word === 'on'
      ? `${client.name} is followed: amqproxy show events id=${client.name} --watch`
      : `${client.name} is followed no more`;
  },

  kill({ proxy }, request) {
    const clients = meant(proxy, request.args);
    const text = reasonOf(request);
    for (const client of clients) client.ending.kill(text);
    const names = clients.slice(0, 10).map(({ name }) => name);
    return `${count(clients.length, 'client')} closed: ${names.join(', ')}${clients.length > 10 ? ' …' : ''}`;
  },

  async pause({ proxy }, request) {
    const scope = scopeNamed(proxy, request.args[0]);
    pauseIn(proxy, scope);
    const began = performance.now();
    const quiet = await settled(proxy, scope, secondsOf(request, Number.POSITIVE_INFINITY), request.signal);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (quiet) return `${scopeName(scope)} is paused: after ${seconds} s nothing is under way`;
    throw new Refusal(
      `${scopeName(scope)} is paused, but after ${seconds} s ${holders(clientsOn(proxy, scope))}`,
    );
  },

  resume({ proxy }, { args }) {
    const scope = scopeNamed(proxy, args[0]);
    const waiting = [...proxy.registry.pools].reduce((n, pool) => n + pool.waiters.length, 0);
    resumeIn(proxy, scope);
    return `${scopeName(scope)} goes on: ${waiting} waited`;
  },

  reconnect({ proxy }, { args }) {
    const scope = scopeNamed(proxy, args[0]);
    const n = [...upstreamsIn(proxy, scope)].length;
    if (scope === null) proxy.reconnect();
    else if ('pool' in scope) scope.pool.leaveBrokers();
    else proxy.reconnect(scope.broker.name);
    letGo(proxy, scope);
    return `${count(n, 'upstream')} of ${scopeName(scope)} will be made anew`;
  },

  drain({ proxy }, { args: [name] }) {
    if (name === undefined) throw new Refusal('which broker? See amqproxy show brokers');
    const broker = brokerNamed(proxy, name);
    const n = [...upstreamsIn(proxy, { broker })].length;
    drainBroker(proxy, broker);
    letGo(proxy, { broker });
    return `${broker.name} gets no new upstreams; ${count(n, 'upstream')} there end with the last lease`;
  },

  undrain({ proxy }, { args: [name] }) {
    if (name === undefined) throw new Refusal('which broker? See amqproxy show brokers');
    const broker = brokerNamed(proxy, name);
    if (!broker.drained) throw new Refusal(`${broker.name} is not drained`);
    resumeIn(proxy, { broker });
    return `${broker.name} is used again`;
  },

  switch({ proxy, settings }, request) {
    const [url] = request.args;
    if (url === undefined) throw new Refusal('to which broker? AMQP_URL');
    const route = routeNamed(proxy, request.options.get('route') ?? 'main');
    return cutOver(proxy, config => settings.put(config, route.name === 'main' ? 'upstream' : null), {
      url,
      route,
      timeout: secondsOf(request, SWITCH_SECONDS),
      force: request.options.has('force') ? reasonOf(request) : null,
      signal: request.signal,
    });
  },

  set({ settings }, { args: [key, value] }) {
    if (key === undefined || value === undefined) throw new Refusal('set KEY VALUE');
    return outcome(settings.set(key, value));
  },

  reload: ({ settings }) => outcome(settings.reload()),

  check: ({ settings }) => outcome(settings.check()),
};
