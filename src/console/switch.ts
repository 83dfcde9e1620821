/** `switch`: goes to other brokers while nothing is under way anywhere. */
import { isDeepStrictEqual } from 'node:util';
import { checkTogether } from '../config/check.ts';
import { type Config, optionOf } from '../config/options.ts';
import { sectionsOf, settingsIn } from '../config/sections.ts';
import { type BrokerAddress, brokers } from '../config/types.ts';
import { connectBrokers } from '../connect-check.ts';
import { ACTS, type Request, routeOf } from './acts.ts';
import { Refusal } from './scope.ts';
import { BY_CONSOLE, type Settings } from './settings.ts';
import type { Subject } from './subject.ts';

function brokersIn(url: string): BrokerAddress[] {
  try {
    return brokers.parse(url);
  } catch (error) {
    throw new Refusal(
      `${url.includes('@') ? 'the URL' : url} ${(error as Error).message}: allowed is ${brokers.allowed}`,
    );
  }
}

/** The settings of a route. */
function settingsOf(config: Config, name: string): Config {
  if (name === 'main') return config;
  const routes = sectionsOf(config, 'route');
  const section = routes.find(one => one.name === name);
  if (section !== undefined) return settingsIn(config, section);
  const known = ['main', ...routes.map(one => one.name)];
  throw new Refusal(`there is no route ${name}: there are ${known.join(', ')}`);
}

/** The settings in effect, with other brokers for a route. */
function withBrokers(config: Config, name: string, upstream: Config['upstream']): Config {
  if (name === 'main') return { ...config, upstream };
  const sections = config.sections.map(section => {
    if (section.kind !== 'route' || section.name !== name) return section;
    const sources = { ...section.sources, upstream: BY_CONSOLE };
    return { ...section, own: { ...section.own, upstream }, sources };
  });
  return { ...config, sections };
}

async function checked(subject: Subject, request: Request): Promise<Config['upstream']> {
  const [url] = request.args;
  if (url === undefined) throw new Refusal('to which broker? AMQP_URL');
  const route = routeOf(request);
  const settings = settingsOf(subject.config, route);
  const upstream = brokersIn(url);
  if (isDeepStrictEqual(upstream, settings.upstream)) throw new Refusal('that is where it is connected to');
  const problems: string[] = [];
  checkTogether(withBrokers(subject.config, route, upstream), (name, what) =>
    problems.push(`${optionOf(name).key} ${what}`),
  );
  if (problems.length > 0) throw new Refusal(problems.join('\n'));
  const found = await connectBrokers({ ...settings, upstream });
  if (!found.ok)
    throw new Refusal(`no broker can be reached: ${found.lines.join('; ')}; nothing has changed`);
  return upstream;
}

/** @throws Refusal */
export async function switchTo(subject: Subject, settings: Settings, request: Request): Promise<string> {
  const upstream = await checked(subject, request);
  const route = routeOf(request);
  const { signal, options } = request;
  const began = performance.now();
  let closed = 0;
  let scope = '';
  let released = false;
  const release = async (): Promise<number> => {
    released = true;
    return (await subject.each('release', request)).reduce((a, b) => a + b, 0);
  };
  try {
    const held = await subject.each('hold', request);
    if (held.includes(null)) throw new Refusal('it is paused already: amqproxy resume, then switch');
    const there = held.flatMap(one => one ?? []);
    scope = there[0].scope;
    const holdOn = there.some(({ quiet, left }) => !quiet || left.length > 0);
    if (signal.aborted) throw new Refusal('nobody waits for the answer any more; nothing has changed');
    if (there.some(({ gone }) => gone))
      throw new Refusal(`[route ${route}] has gone meanwhile; nothing has changed`);
    if (holdOn && !options.has('force'))
      throw new Refusal(`${ACTS.hold.told(held, request)}; nothing has changed (--force closes them)`);
    if (holdOn) closed = (await subject.each('evict', request)).reduce((a, b) => a + b, 0);
    // what is in effect now: a reload may have come meanwhile
    await settings.put(withBrokers(subject.config, route, upstream), route === 'main' ? 'upstream' : null);
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    const waited = await release();
    return `${brokers.show(upstream)} is in use: ${scope} was paused for ${seconds} s, ${waited} waited${closed > 0 ? `, ${closed} closed` : ''}. Write it into the settings: the next reload goes by them`;
  } finally {
    if (!released) await release();
  }
}
