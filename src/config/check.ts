/** What can only be checked when all settings are known: those that need one another, and the files they name. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { inWords } from '../words.ts';
import { readText } from './ini.ts';
import type { Config, NamedSection, OptionName } from './options.ts';
import { unreachable } from './routes.ts';
import { heading, sectionsOf, settingsIn } from './sections.ts';

/** Reports a problem with an option (of a section with a name); the caller knows where its value comes from. */
export type Report = (name: OptionName, what: string, section?: NamedSection) => void;

type PemName = 'tlsCa' | 'tlsCert' | 'tlsKey' | 'upstreamTlsCert' | 'upstreamTlsKey';

/** The file's text, or '' when it cannot be read, which is reported. */
function pem(config: Config, name: PemName, label: RegExp, report: Report): string {
  if (config[name] === '') return '';
  try {
    const text = readText(config[name]);
    if (text.search(label) >= 0) return text;
    report(name, `holds no ${name.endsWith('Key') ? 'private key' : 'certificate'} in PEM form`);
  } catch (error) {
    report(name, `cannot be read: ${(error as Error).message}`);
  }
  return '';
}

const CERTIFICATE = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END \1CERTIFICATE-----/g;
const KEY = /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/;

function attempt(name: OptionName, report: Report, act: () => void): void {
  try {
    act();
  } catch (error) {
    const why = inWords(error as Error);
    report(name, /mismatch/i.test(why) ? 'is not the key of tls_cert' : `cannot be used: ${why}`);
  }
}

function checkKey(config: Config, certName: PemName, keyName: PemName, report: Report): void {
  const cert = pem(config, certName, CERTIFICATE, report);
  const key = pem(config, keyName, KEY, report);
  if (cert !== '' && key !== '') attempt(keyName, report, () => createSecureContext({ cert, key }));
}

/** What holds for the brokers of [main], and for those of each route. */
function checkBrokers(config: Config, section: string, report: Report): void {
  if (config.maxUpstreams > 0 && config.minUpstreams > config.maxUpstreams)
    report('minUpstreams', `is more than max_upstreams (${config.maxUpstreams})`);
  if ((config.upstreamTlsCert === '') !== (config.upstreamTlsKey === ''))
    report(
      config.upstreamTlsCert === '' ? 'upstreamTlsKey' : 'upstreamTlsCert',
      `needs ${config.upstreamTlsCert === '' ? 'tls_cert' : 'tls_key'} in [${section}]`,
    );
  checkLoop(config, report);
  const ca = pem(config, 'tlsCa', CERTIFICATE, report);
  // OpenSSL passes over damaged certificates of authorities in silence
  attempt('tlsCa', report, () => ca.match(CERTIFICATE)?.map(block => new X509Certificate(block)));
  checkKey(config, 'upstreamTlsCert', 'upstreamTlsKey', report);
}

/** A route is told of what it sets itself; what comes from [main] is told there. */
function checkRoutes(config: Config, report: Report): void {
  for (const section of sectionsOf(config, 'route')) {
    const own = Object.keys(section.own) as OptionName[];
    const here = settingsIn(config, section);
    checkBrokers(here, heading(section), (name, what) => {
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
}

/** Keys that are judged together. */
const PAIRS: Partial<Record<OptionName, OptionName>> = {
  upstreamTlsCert: 'upstreamTlsKey',
  upstreamTlsKey: 'upstreamTlsCert',
};

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;
const ANY = /^(0\.0\.0\.0|::)$/;

/** A broker that is the proxy's own listener: what it sends there comes back for ever. */
function checkLoop({ upstream, listenAddress, listenPort, listenTlsPort }: Config, report: Report): void {
  for (const { host, port } of upstream) {
    if (port !== listenPort && port !== listenTlsPort) continue;
    const here = host === listenAddress || ANY.test(host);
    const onLoopback = LOOPBACK.test(host) && (LOOPBACK.test(listenAddress) || ANY.test(listenAddress));
    const sameFamily = !isIP(host) || !isIP(listenAddress) || isIP(host) === isIP(listenAddress);
    const otherLoopback =
      isIP(host) > 0 && isIP(listenAddress) > 0 && host !== listenAddress && !ANY.test(listenAddress);
    if (here || (onLoopback && sameFamily && !otherLoopback))
      report('upstream', `is the proxy itself, which listens on ${listenAddress}:${port}: name the broker`);
  }
}

export function checkTogether(config: Config, report: Report): void {
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
  checkBrokers(config, 'main', report);
  checkRoutes(config, report);
}
