/** Sections [listen NAME]: what they have from [listen], and what is wrong with them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { listenersOf } from '../../src/config/listeners.ts';
import { reloadedConfig } from '../../src/config/reload.ts';
import { Authority } from '../support/certs.ts';
import { settingsOf } from '../support/settings.ts';

describe('Sections [listen NAME]', () => {
  const settings = settingsOf();
  let cert: string;
  let key: string;
  before(() => {
    ({ cert, key } = new Authority().sign('listener', 'DNS:localhost'));
  });
  const { problemsIn: problems } = settings;
  const listeners = (text: string) => listenersOf(settings.load(text).config);

  it('are places beside those of [listen], which stays as it was', () => {
    expect(listeners('').map(({ name, place, tls }) => ({ name, place, tls }))).to.deep.equal([
      { name: 'amqp', place: { host: 'localhost', port: 5673 }, tls: false },
      { name: 'amqps', place: null, tls: true },
    ]);
    const [, , lb, app, given] = listeners(
      '[listen]\naddress = 10.0.0.1\n[listen lb]\nport = 5674\n[listen app]\nsocket = /run/a.sock\nsocket_mode = 0666\n[listen given]\n',
    );
    expect(lb).to.include({ name: 'lb', heading: 'listen lb', tls: false });
    expect(lb.place).to.deep.equal({ host: '10.0.0.1', port: 5674 });
    expect(app.place).to.deep.equal({ path: '/run/a.sock', mode: 0o666, group: '' });
    expect(given.place).to.equal(null);
  });

  it('are all there is where [listen] has an empty port', () => {
    const [plain, tls, a] = listeners('[listen]\nport =\n[listen a]\nport = 5673\naddress = 127.0.0.1\n');
    expect([plain.place, tls.place]).to.deep.equal([null, null]);
    expect(a.place).to.deep.equal({ host: '127.0.0.1', port: 5673 });
    // an empty one of its own is none either
    const [, , given] = listeners('[listen given]\nport =\n');
    expect(given.place).to.equal(null);
  });

  it('have certificates and load balancers from [listen], unless they have their own', () => {
    const text = `[listen]\ntls_cert = ${cert}\ntls_key = ${key}\nproxy_protocol = yes\nproxy_from = 10.0.0.0/8, 2001:db8::1\n`;
    const [, , a, b] = listeners(
      `${text}[listen a]\nport = 1\ntls = yes\n[listen b]\nport = 2\nproxy_protocol = no\n`,
    );
    expect(a.config).to.include({ tlsCert: cert, proxyProtocol: true });
    expect(a.config.proxyFrom).to.deep.equal(['10.0.0.0/8', '2001:db8::1']);
    expect(b.config.proxyProtocol).to.equal(false);
  });

  const WRONG: [string, string, string[]][] = [
    [
      'two listeners on one address',
      '[listen a]\nport = 5673\naddress = 127.0.0.1',
      ['2: port = "5673" is port in [listen] already (localhost:5673): choose another'],
    ],
    [
      'one on all addresses, where another has the port',
      '[listen a]\nport = 5674\naddress = 10.0.0.1\n[listen b]\nport = 5674\naddress = ::',
      ['5: port = "5674" is [listen a] already (10.0.0.1:5674): choose another'],
    ],
    [
      'the port of HTTP',
      '[listen a]\nport = 15673',
      ['2: port = "15673" is http_port in [listen] already (localhost:15673): choose another'],
    ],
    [
      'one socket twice',
      '[listen a]\nsocket = /run/a\n[listen b]\nsocket = /run/a',
      ['4: socket = "/run/a" is [listen a] already: choose another'],
    ],
    [
      'a port and a socket',
      '[listen a]\nsocket = /run/a\nport = 1',
      ['3: port = "1" is one place, socket another: give each a section of its own'],
    ],
    [
      'a relative socket',
      '[listen a]\nsocket = a.sock',
      ['2: socket = "a.sock" is no absolute path: allowed is an absolute path of at most 107 octets'],
    ],
    [
      'a mode that is none',
      '[listen a]\nsocket = /run/a\nsocket_mode = rw',
      ['3: socket_mode = "rw" is no file mode: allowed is a file mode such as 0660'],
    ],
    [
      'a mode without a socket',
      '[listen a]\nport = 1\nsocket_mode = 0600',
      ['3: socket_mode = "0600" needs socket in [listen a]'],
    ],
    [
      'TLS without a certificate',
      '[listen a]\nport = 1\ntls = yes',
      ['3: tls = "yes" needs tls_cert in [listen a] or [listen]'],
    ],
    [
      'load balancers without names',
      '[listen a]\nport = 1\nproxy_protocol = yes',
      ['3: proxy_protocol = "yes" needs proxy_from in [listen a]: the addresses of the load balancers'],
    ],
    [
      'load balancers that are not asked',
      '[listen]\nproxy_from = 10.0.0.1',
      ['2: proxy_from = "10.0.0.1" needs proxy_protocol = yes in [listen]'],
    ],
    [
      'a load balancer by name',
      '[listen]\nproxy_from = lb.example',
      [
        '2: proxy_from = "lb.example" has no IP address or network in it (lb.example): allowed is IP addresses and networks such as 192.0.2.0/24, separated by commas',
      ],
    ],
    [
      'a network that is none',
      '[listen]\nproxy_from = 10.0.0.0/33',
      [
        '2: proxy_from = "10.0.0.0/33" has a network that is none (10.0.0.0/33): allowed is IP addresses and networks such as 192.0.2.0/24, separated by commas',
      ],
    ],
    [
      'a name that sockets of [listen] have',
      '[listen amqps]\nport = 1',
      ['2: port = "1" cannot be set in [listen amqps]: sockets called so are for [listen] itself'],
    ],
    [
      'a key that only [listen] has',
      '[listen a]\nhttp_port = 1',
      ['2: unknown key http_port in [listen a]: it belongs in [listen]'],
    ],
    [
      'authorities without TLS',
      '[listen]\ntls_client_ca = /nowhere',
      [
        '2: tls_client_ca = "/nowhere" needs tls_cert in [listen]',
        '2: tls_client_ca = "/nowhere" cannot be read: there is no such file',
      ],
    ],
  ];
  for (const [what, text, told] of WRONG)
    it(`a mistake is told: ${what}`, () => {
      expect(problems(text)).to.deep.equal(told);
    });

  it('a certificate that is none, and a key of another, are told with the section', () => {
    const bad = join(settings.dir, 'bad.pem');
    writeFileSync(bad, 'nothing');
    expect(
      problems(
        `[listen a]\nport = 1\ntls = yes\ntls_cert = ${bad}\ntls_key = ${key}\ntls_client_ca = ${bad}`,
      ),
    ).to.deep.equal([
      `6: tls_client_ca = "${bad}" holds no certificate in PEM form`,
      `4: tls_cert = "${bad}" holds no certificate in PEM form`,
    ]);
  });

  it('a broker that is one of them is told', () => {
    const own = settings.problems(() =>
      settings.load('[main]\nupstream = amqp://127.0.0.1:5680\n[listen a]\nport = 5680', {}),
    );
    expect(own[0]).to.match(/is the proxy itself, which listens on localhost:5680/);
  });

  it('come, go and change with a reload, another place and all; that of [listen] waits for a restart', () => {
    const { config } = settings.load('[listen a]\nport = 1\n[listen b]\nport = 2\n');
    const next = settings.load(
      '[listen a]\nport = 3\nproxy_protocol = yes\nproxy_from = 10.0.0.1\n[listen c]\nport = 4\n',
    );
    const { changed, waiting } = reloadedConfig(config, next.config);
    expect(changed).to.deep.equal([
      '[listen a] port 1 -> 3',
      '[listen a] proxy_protocol (none) -> yes',
      '[listen a] proxy_from (none) -> 10.0.0.1',
      '[listen c] is new',
      '[listen b] is gone',
    ]);
    expect(waiting).to.deep.equal([]);
    const none = settings.load('[listen]\nport =\n[listen a]\nport = 1\n[listen b]\nport = 2\n');
    expect(reloadedConfig(config, none.config).waiting).to.deep.equal([
      'port changes at the next restart only (5673 -> (none))',
    ]);
  });
});
