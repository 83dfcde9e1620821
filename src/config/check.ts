/** What can only be checked when all settings are known: those that need one another, and the files they name. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { inWords } from '../words.ts';
import { checkListeners } from './check-listeners.ts';
import { readText } from './ini.ts';
import { listenersOf } from './listeners.ts';
import type { Config, OptionName } from './options.ts';
import type { Report } from './report.ts';

type PemName = 'tlsCa' | 'tlsCert' | 'tlsKey' | 'tlsClientCa' | 'upstreamTlsCert' | 'upstreamTlsKey';
/** Reports a problem with an option of the section at hand. */
type Tell = (name: OptionName, what: string) => void;

/** The file's text, or '' when it cannot be read, which is reported. */
function pem(config: Partial<Config>, name: PemName, label: RegExp, tell: Tell): string {
  const file = config[name];
  if (file === undefined || file === '') return '';
  try {
    const text = readText(file);
    if (text.search(label) >= 0) return text;
    tell(name, `holds no ${name.endsWith('Key') ? 'private key' : 'certificate'} in PEM form`);
  } catch (error) {
    tell(name, `cannot be read: ${(error as Error).message}`);
  }
  return '';
}

const CERTIFICATE = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END \1CERTIFICATE-----/g;
const KEY = /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/;

function attempt(name: OptionName, tell: Tell, act: () => void): void {
  try {
    act();
  } catch (error) {
    const why = inWords(error as Error);
    tell(name, /mismatch/i.test(why) ? 'is not the key of tls_cert' : `cannot be used: ${why}`);
  }
}

/** Certificates of authorities: OpenSSL passes over damaged ones in silence. */
function checkAuthorities(config: Partial<Config>, name: PemName, tell: Tell): void {
  const text = pem(config, name, CERTIFICATE, tell);
  attempt(name, tell, () => text.match(CERTIFICATE)?.map(block => new X509Certificate(block)));
}

function checkPair(config: Partial<Config>, certName: PemName, keyName: PemName, tell: Tell): void {
  const cert = pem(config, certName, CERTIFICATE, tell);
  const key = pem(config, keyName, KEY, tell);
  if (cert !== '' && key !== '') attempt(keyName, tell, () => createSecureContext({ cert, key }));
}

function checkFiles(config: Config, report: Report): void {
  checkAuthorities(config, 'tlsCa', report);
  checkAuthorities(config, 'tlsClientCa', report);
  checkPair(config, 'tlsCert', 'tlsKey', report);
  checkPair(config, 'upstreamTlsCert', 'upstreamTlsKey', report);
  for (const section of config.sections) {
    const tell: Tell = (name, what) => report(name, what, section);
    const { own } = section;
    checkAuthorities(own, 'tlsClientCa', tell);
    // one of the two may be the one of [listen]
    const { tlsCert, tlsKey } = { ...config, ...own };
    if (own.tlsCert || own.tlsKey) checkPair({ tlsCert, tlsKey }, 'tlsCert', 'tlsKey', tell);
  }
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;
const ANY = /^(0\.0\.0\.0|::)$/;

/** A broker that is the proxy's own listener: what it sends there comes back for ever. */
function checkLoop(config: Config, report: Report): void {
  const { upstream } = config;
  const places = listenersOf(config).flatMap(({ place }) =>
    place !== null && 'port' in place ? [place] : [],
  );
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
  if (config.maxUpstreams > 0 && config.minUpstreams > config.maxUpstreams)
    report('minUpstreams', `is more than max_upstreams (${config.maxUpstreams})`);
  if ((config.upstreamTlsCert === '') !== (config.upstreamTlsKey === ''))
    report(
      config.upstreamTlsCert === '' ? 'upstreamTlsKey' : 'upstreamTlsCert',
      `needs ${config.upstreamTlsCert === '' ? 'tls_cert' : 'tls_key'} in [main]`,
    );
  checkListeners(config, report);
  checkLoop(config, report);
  checkFiles(config, report);
}
