/** What the files bring besides settings: broker URLs as AMQProxy takes them, files read after the first, files that are named. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Loaded, load } from '../../src/config/load.ts';
import { Authority } from '../support/certs.ts';
import { settingsOf, URL } from '../support/settings.ts';

const { dir, file, load: loadText, problems, problemsIn: problemsOf } = settingsOf();

describe('A broker URL with user, password and vhost', () => {
  const url = 'amqp://user:hunter2@rabbit/vhost';
  const rabbit = [{ host: 'rabbit', port: 5672, tls: false }];

  for (const [where, of] of [
    ['environment AMQP_URL', () => load({ env: { AMQP_URL: url } })],
    ['argument AMQP_URL', () => load({ flags: { upstream: url } })],
    ['amqproxy.ini:2', () => loadText(`[main]\nupstream = ${url}\n`, {})],
  ] as const)
    it(`is taken with one warning, ${where}`, () => {
      const { config, warnings } = of();
      expect(config.upstream).to.deep.equal(rabbit);
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.include(where);
      expect(warnings[0]).to.match(
        /: user, password and vhost are ignored: each client brings its own\. Write amqp:\/\/rabbit:5672$/,
      );
      expect(warnings[0]).not.to.include('hunter2');
    });

  it('is warned of only where it counts', () => {
    expect(load({ env: { AMQP_URL: url }, flags: { upstream: URL } }).warnings).to.deep.equal([]);
  });
});

describe('Files that are read after it', () => {
  let drop: string;
  const put = (name: string, text: string): void => writeFileSync(join(drop, name), text);
  beforeEach(() => {
    drop = join(dir, 'amqproxy.d');
    mkdirSync(drop);
    writeFileSync(file, '[main]\nmax_clients = 1\nclose = instant\nstats_period = 1\n');
  });
  afterEach(() => rmSync(drop, { recursive: true }));
  const loaded = (): Loaded => load({ file, flags: { upstream: URL } });

  it('win over it, the later over the earlier, by name', () => {
    put('20-b.ini', '[main]\nmax_clients = 20\n');
    put('10-a.ini', '[main]\nmax_clients = 10\nclose = barrier\n');
    const { config, sources } = loaded();
    expect(config).to.include({ maxClients: 20, close: 'barrier', statsPeriod: 1 });
    expect(sources).to.include({
      maxClients: `${join(drop, '20-b.ini')}:2`,
      close: `${join(drop, '10-a.ini')}:3`,
      statsPeriod: `${file}:4`,
    });
  });

  it('begin with keys of [main], whatever section the file before ended with', () => {
    writeFileSync(file, '[listen]\nport = 1\n');
    put('a.ini', 'max_clients = 5\n');
    expect(loaded().config.maxClients).to.equal(5);
  });

  it('are those that end with .ini and are not hidden', () => {
    for (const name of ['a.ini.dpkg-new', 'README', 'b.ini~', '.c.ini'])
      put(name, '[main]\nmax_clients = 9\n');
    expect(loaded().config.maxClients).to.equal(1);
  });

  it('are named in what is said of their mistakes', () => {
    writeFileSync(file, '[main]\nmax_klients = 1\n');
    put('a.ini', '\n[main]\nclose = x\nfrobnicate = 1\n');
    put('b.ini', 'nonsense\n');
    const found = problems(loaded);
    expect(found[0]).to.match(/^2: unknown key max_klients/);
    expect(found[1]).to.match(new RegExp(`^${join(drop, 'a.ini')}:3: close = "x" is not one of the choices`));
    expect(found[2]).to.match(new RegExp(`^${join(drop, 'a.ini')}:4: unknown key frobnicate`));
    expect(found[3]).to.match(new RegExp(`^${join(drop, 'b.ini')}:1: "nonsense" is neither`));
    expect(found).to.have.length(4);
  });

  it('may be missing, but not be something that cannot be read', () => {
    rmSync(drop, { recursive: true });
    expect(loaded().config.maxClients).to.equal(1);
    mkdirSync(join(drop, 'a.ini'), { recursive: true });
    expect(problems(loaded)).to.deep.equal([
      `${join(drop, 'a.ini')}: cannot be read: it is a directory. Make it readable, or take it away`,
    ]);
  });

  it('stand beside the file that is named, whatever its name', () => {
    const other = join(dir, 'proxy.conf');
    const beside = join(dir, 'proxy.conf.d');
    mkdirSync(beside);
    writeFileSync(other, '[main]\n');
    writeFileSync(join(beside, 'a.ini'), '[main]\nmax_clients = 7\n');
    expect(load({ file: other, flags: { upstream: URL } }).config.maxClients).to.equal(7);
  });
});

describe('Files that settings name', () => {
  let authority: Authority;
  before(() => {
    authority = new Authority();
  });
  const write = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };

  it('are taken when they fit', () => {
    const { cert, key, ca } = authority.sign('one', 'DNS:localhost');
    const { config } = loadText(
      `[main]\ntls_ca = ${ca}\n[listen]\ntls_port = 5671\ntls_cert = ${cert}\ntls_key = ${key}\n`,
    );
    expect(config).to.include({ tlsCa: ca, tlsCert: cert, tlsKey: key, listenTlsPort: 5671 });
  });

  it('are refused when the key is of another certificate', () => {
    const { cert } = authority.sign('two', 'DNS:localhost');
    const { key } = authority.sign('three', 'DNS:localhost');
    const found = problemsOf(`[listen]\ntls_cert = ${cert}\ntls_key = ${key}\n`);
    expect(found).to.deep.equal([`3: tls_key = "${key}" is not the key of tls_cert`]);
  });

  it('are refused when they are damaged, or something else', () => {
    const damaged = write('damaged.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    expect(problemsOf(`[main]\ntls_ca = ${damaged}`)[0]).to.match(/^2: tls_ca = ".*" cannot be used: /);
    const { key } = authority.sign('four', 'DNS:localhost');
    expect(problemsOf(`[main]\ntls_ca = ${key}`)).to.deep.equal([
      `2: tls_ca = "${key}" holds no certificate in PEM form`,
    ]);
  });
});
