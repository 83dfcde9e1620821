/** What must fit among the places where clients come in: what they need, and that no two are one. */
import { isIPv4, isIPv6 } from 'node:net';
import { RESERVED } from './listeners.ts';
import type { Config, NamedSection, OptionName } from './options.ts';
import { checkAuthorities, checkKey } from './pem.ts';
import type { Report } from './report.ts';
import { sectionsOf, settingsIn } from './sections.ts';

/** What is taken already: an address and port, or a path, and by whom. */
interface Taken {
  host: string;
  port: number | null;
  by: string;
}

const familiesOf = (host: string): string[] =>
  host === 'localhost' ? ['127.0.0.1', '::1'] : [host.toLowerCase()];

/** Whether listening on one address leaves no room on the other for the same port. */
function overlap(a: string, b: string): boolean {
  const covers = (wide: string, host: string): boolean =>
    wide === host ||
    (wide === '0.0.0.0' && isIPv4(host)) ||
    (wide === '::' && (isIPv4(host) || isIPv6(host)));
  return familiesOf(a).some(one => familiesOf(b).some(other => covers(one, other) || covers(other, one)));
}

export function checkListeners(config: Config, report: Report): void {
  const { listenAddress, listenPort, listenTlsPort, httpAddress, httpPort } = config;
  if (config.tlsClientCa !== '' && config.tlsCert === '') report('tlsClientCa', 'needs tls_cert in [listen]');
  checkAuthorities(config, 'tlsClientCa', report);
  checkProxyFrom(config, '[listen]', report);
  const taken: Taken[] = [
    { host: listenAddress, port: listenPort, by: 'port in [listen]' },
    { host: listenAddress, port: listenTlsPort, by: 'tls_port in [listen]' },
    { host: httpAddress, port: httpPort, by: 'http_port in [listen]' },
  ];
  const paths = new Map([[config.adminSocket, 'socket in [admin]']]);
  for (const section of sectionsOf(config, 'listen')) {
    checkSection(config, section, report);
    const { listenAddress: host, listenSocket } = settingsIn(config, section);
    const { own, name } = section;
    const by = `[listen ${name}]`;
    if (listenSocket !== '') {
      const other = paths.get(listenSocket);
      if (other !== undefined) report('listenSocket', `is ${other} already: choose another`, section);
      paths.set(listenSocket, by);
    } else if (own.listenPort) {
      const port = own.listenPort;
      const other = taken.find(one => one.port === port && overlap(one.host, host));
      if (other !== undefined)
        report('listenPort', `is ${other.by} already (${other.host}:${port}): choose another`, section);
      taken.push({ host, port, by });
    }
  }
}

function checkProxyFrom(config: Config, where: string, report: Report, section?: NamedSection): void {
  const { proxyProtocol, proxyFrom, listenSocket } = config;
  const own = (name: OptionName): boolean => section === undefined || section.own[name] !== undefined;
  if (proxyProtocol && proxyFrom.length === 0 && listenSocket === '' && own('proxyProtocol'))
    report('proxyProtocol', `needs proxy_from in ${where}: the addresses of the load balancers`, section);
  if (!proxyProtocol && proxyFrom.length > 0 && own('proxyFrom'))
    report('proxyFrom', `needs proxy_protocol = yes in ${where}`, section);
}

function checkSection(config: Config, section: NamedSection, report: Report): void {
  const { name, own } = section;
  const where = `[listen ${name}]`;
  const { listenTls, tlsCert, tlsKey } = settingsIn(config, section);
  const first = Object.keys(own)[0] as OptionName | undefined;
  if ((RESERVED as readonly string[]).includes(name))
    report(
      first ?? 'listenPort',
      `cannot be set in ${where}: sockets called so are for [listen] itself`,
      section,
    );
  if (own.listenSocket && own.listenPort != null)
    report('listenPort', `is one place, socket another: give each a section of its own`, section);
  if (!own.listenSocket)
    for (const key of ['listenSocketMode', 'listenSocketGroup'] as const)
      if (own[key] !== undefined) report(key, `needs socket in ${where}`, section);
  if (listenTls && (tlsCert === '' || tlsKey === ''))
    report('listenTls', `needs ${tlsCert === '' ? 'tls_cert' : 'tls_key'} in ${where} or [listen]`, section);
  if (!listenTls)
    for (const key of ['tlsCert', 'tlsKey', 'tlsClientCa'] as const)
      if (own[key]) report(key, `needs tls = yes in ${where}`, section);
  checkProxyFrom(settingsIn(config, section), where, report, section);
  const tell = (key: OptionName, what: string): void => report(key, what, section);
  checkAuthorities(own, 'tlsClientCa', tell);
  // one of the two may be the one of [listen]
  if (own.tlsCert || own.tlsKey) checkKey({ tlsCert, tlsKey }, 'tlsCert', 'tlsKey', tell);
}
