/** What can only be checked when all settings are known: those that need one another, and the files they name. */
import { isIP } from 'node:net';
import { checkListeners } from './check-listeners.ts';
import { listenersOf } from './listeners.ts';
import type { Config, OptionName } from './options.ts';
import { checkAuthorities, checkKey } from './pem.ts';
import type { Report } from './report.ts';
import { taken, unreachable } from './routes.ts';
import { heading, sectionsOf, settingsIn } from './sections.ts';

interface TcpPlace {
  readonly host: string;
  readonly port: number;
}

/** What holds for the brokers of [main], and for those of each route. */
function checkBrokers(config: Config, section: string, places: TcpPlace[], report: Report): void {
  if (config.maxUpstreams > 0 && config.minUpstreams > config.maxUpstreams)
    report('minUpstreams', `is more than max_upstreams (${config.maxUpstreams})`);
  if ((config.upstreamTlsCert === '') !== (config.upstreamTlsKey === ''))
    report(
      config.upstreamTlsCert === '' ? 'upstreamTlsKey' : 'upstreamTlsCert',
      `needs ${config.upstreamTlsCert === '' ? 'tls_cert' : 'tls_key'} in [${section}]`,
    );
  checkLoop(config, places, report);
  checkAuthorities(config, 'tlsCa', report);
  checkKey(config, 'upstreamTlsCert', 'upstreamTlsKey', report);
}

/** A route is told of what it sets itself; what comes from [main] is told there. */
function checkRoutes(config: Config, places: TcpPlace[], report: Report): void {
  for (const section of sectionsOf(config, 'route')) {
    const own = Object.keys(section.own) as OptionName[];
    const here = settingsIn(config, section);
    checkBrokers(here, heading(section), places, (name, what) => {
      const pair = PAIRS[name];
      if (own.includes(name)) report(name, what, section);
      else if (name === 'minUpstreams' && own.includes('maxUpstreams'))
        report('maxUpstreams', `is less than min_upstreams (${here.minUpstreams})`, section);
      else if (pair !== undefined && own.includes(pair)) report(pair, what, section);
    });
  }
  for (const { section, by } of unreachable(config)) {
    const takers = by.map(other => `[${heading(other)}] (${other.place})`).join(' and ');
    const name = section.own.routeVhosts?.length || !section.own.routeUsers ? 'routeVhosts' : 'routeUsers';
    report(name, `can never be reached: ${takers} before it takes all that`, section);
  }
  const dead = new Set(unreachable(config).map(({ section }) => section));
  for (const { section, key, name, by } of taken(config))
    if (!dead.has(section))
      report(key, `has ${name}, which [${heading(by)}] (${by.place}) before it takes already`, section);
}

/** Keys that are judged together. */
const PAIRS: Partial<Record<OptionName, OptionName>> = {
  upstreamTlsCert: 'upstreamTlsKey',
  upstreamTlsKey: 'upstreamTlsCert',
};

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;
const ANY = /^(0\.0\.0\.0|::)$/;

/** A broker that is the proxy's own listener: what it sends there comes back for ever. */
function checkLoop({ upstream }: Config, places: TcpPlace[], report: Report): void {
  for (const { host, port } of upstream) {
    const address = places.find(place => place.port === port && isHere(host, place.host))?.host;
    if (address !== undefined)
      report('upstream', `is the proxy itself, which listens on ${address}:${port}: name the broker`);
  }
}

/** Whether a connection to `host` comes to who listens on `address`. */
function isHere(host: string, address: string): boolean {
  if (host === address || ANY.test(host)) return true;
  const onLoopback = LOOPBACK.test(host) && (LOOPBACK.test(address) || ANY.test(address));
  const sameFamily = !isIP(host) || !isIP(address) || isIP(host) === isIP(address);
  const otherLoopback = isIP(host) > 0 && isIP(address) > 0 && !ANY.test(address);
  return onLoopback && sameFamily && !otherLoopback;
}

/** Each worker has a part of the limits on all together. */
function checkWorkers({ workers, maxClients, maxUpstreamsTotal }: Config, report: Report): void {
  for (const [key, most] of [
    ['max_clients', maxClients],
    ['max_upstreams_total', maxUpstreamsTotal],
  ] as const)
    if (most > 0 && workers > most)
      report('workers', `is more than ${key} (${most}), of which each worker has one at least`);
}

export function checkTogether(config: Config, report: Report): void {
  checkWorkers(config, report);
  const { listenPort, listenTlsPort, httpPort, listenAddress, httpAddress } = config;
  if (listenTlsPort > 0 && config.tlsCert === '') report('listenTlsPort', 'needs tls_cert in [listen]');
  if ((listenTlsPort > 0 || config.tlsCert !== '') && config.tlsKey === '')
    report(listenTlsPort > 0 ? 'listenTlsPort' : 'tlsCert', 'needs tls_key in [listen]');
  if (listenTlsPort > 0 && listenTlsPort === listenPort) report('listenTlsPort', 'is the same as port');
  if (
    httpPort > 0 &&
    httpAddress === listenAddress &&
    (httpPort === listenPort || httpPort === listenTlsPort)
  )
    report('httpPort', `is the same as ${httpPort === listenPort ? 'port' : 'tls_port'}`);
  checkKey(config, 'tlsCert', 'tlsKey', report);
  checkListeners(config, report);
  const places = listenersOf(config).flatMap(({ place }) =>
    place !== null && 'port' in place ? [place] : [],
  );
  checkBrokers(config, 'main', places, report);
  checkRoutes(config, places, report);
}
