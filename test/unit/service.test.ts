import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { defaults } from '../../src/config/options.ts';
import { entry } from '../../src/journal.ts';
import { ServiceError } from '../../src/service/errors.ts';
import { startHttp } from '../../src/service/http.ts';
import { checkOpenFiles } from '../../src/service/limits.ts';
import { createMetrics } from '../../src/service/metrics.ts';
import { Span, StatsLine } from '../../src/service/stats-line.ts';
import { listenFds, Systemd } from '../../src/service/systemd.ts';
import { Stats } from '../../src/stats.ts';
import { until } from '../support/rabbitmq.ts';

/** A logger that keeps its lines. */
function keeper() {
  const lines: { level: number; msg: string }[] = [];
  const log = pino({ base: null }, { write: (json: string) => void lines.push(JSON.parse(json)) });
  return { log, lines };
}

const NO_ROWS = { pools: () => [] };

const idle = () => ({
  brokers: () => [{ name: 'broker:5672', route: 'main', up: true, dials: { ok: 3, failed: 1 }, blocked: 2 }],
  buffers: {
    client_buffer: { total: 1_500_000, largest: 800_000, limit: 1_048_576 },
    upstream_buffer: { total: 0, largest: 0, limit: 4_194_304 },
    message_buffer: { total: 20, largest: 20, limit: 1_048_576 },
  },
  stats: Object.assign(new Stats(), {
    clients: 3,
    upstreams: 2,
    upstreamsPrivate: 1,
    channelsParked: 4,
    channelsLeased: 5,
    pools: 1,
  }),
  config: defaults(),
});

describe('notifications to systemd', () => {
  const sent: string[] = [];
  const addon = () => ({ sendState: (state: string) => void sent.push(state) });
  beforeEach(() => {
    sent.length = 0;
  });

  it('are not sent and nothing is loaded where no service manager listens', () => {
    const { log, lines } = keeper();
    const systemd = new Systemd(log, {}, () => {
      throw new Error('loaded');
    });
    systemd.ready();
    systemd.status('x');
    systemd.stopping();
    systemd.stop();
    expect(lines).to.deep.equal([]);
  });

  it('say READY, RELOADING with the monotonic time, STOPPING with more time', () => {
    const systemd = new Systemd(keeper().log, { NOTIFY_SOCKET: '/x' }, addon);
    systemd.ready();
    systemd.reloading();
    systemd.stopping();
    systemd.stop();
    expect(sent[0]).to.equal('READY=1');
    expect(sent[1]).to.match(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    expect(sent[2]).to.match(/^STOPPING=1\nEXTEND_TIMEOUT_USEC=\d+$/);
  });

  it('send a status only when it has changed, on one line', () => {
    const systemd = new Systemd(keeper().log, { NOTIFY_SOCKET: '/x' }, addon);
    systemd.status('a\nREADY=1');
    systemd.status('a READY=1');
    expect(sent).to.deep.equal(['STATUS=a READY=1']);
  });

  it('feed the watchdog more often than it asks, from the first READY on', async () => {
    const systemd = new Systemd(keeper().log, { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '40000' }, addon);
    await new Promise(resolve => setTimeout(resolve, 60));
    expect(sent).to.deep.equal([]);
    systemd.ready();
    await new Promise(resolve => setTimeout(resolve, 130));
    systemd.stop();
    expect(sent.filter(state => state === 'WATCHDOG=1').length).to.be.within(3, 7);
  });

  it('feed it only while all is alive', async () => {
    const systemd = new Systemd(keeper().log, { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '20000' }, addon);
    let alive = true;
    systemd.ready(() => alive);
    const fed = (): number => sent.filter(state => state === 'WATCHDOG=1').length;
    await until('it to be fed', () => fed() > 0);
    alive = false;
    const before = fed();
    await new Promise(resolve => setTimeout(resolve, 60));
    expect(fed()).to.equal(before);
    alive = true;
    await until('it to be fed again', () => fed() > before);
    systemd.stop();
  });

  it('leave the watchdog of another process alone', async () => {
    const env = { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' };
    const systemd = new Systemd(keeper().log, env, addon);
    systemd.ready();
    await new Promise(resolve => setTimeout(resolve, 20));
    systemd.stop();
    expect(sent).to.deep.equal(['READY=1']);
  });

  it('go by systemd-notify, in their order and with one warning, where the addon cannot be loaded', async () => {
    const { log, lines } = keeper();
    const missing = () => {
      throw new Error('no such file');
    };
    let slow = 20;
    const tool = async (state: string) => {
      await new Promise(resolve => setTimeout(resolve, slow));
      slow = 0;
      sent.push(state);
    };
    const systemd = new Systemd(log, { NOTIFY_SOCKET: '/x' }, missing, tool);
    systemd.status('a');
    systemd.ready();
    systemd.status('b');
    systemd.stop();
    await until('all to be sent', () => sent.length === 3);
    expect(sent).to.deep.equal(['STATUS=a', 'READY=1', 'STATUS=b']);
    expect(lines.map(({ msg }) => msg)).to.have.lengthOf(1);
    expect(lines[0].msg).to.match(/^sd-notify cannot be loaded, .*: no such file$/);
  });

  it('that cannot be sent at all are told once, with what to do', async () => {
    const { log, lines } = keeper();
    const missing = () => {
      throw new Error('no such file');
    };
    const systemd = new Systemd(log, { NOTIFY_SOCKET: '/x' }, missing, () =>
      Promise.reject(new Error('spawn systemd-notify ENOENT')),
    );
    systemd.ready();
    systemd.reloading();
    systemd.ready();
    systemd.stop();
    await until('the error', () => lines.length === 2);
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(lines).to.have.lengthOf(2);
    expect(lines[1].msg).to.match(/ENOENT\. Use Type=exec without WatchdogSec=$/);
  });
});

describe('sockets handed over', () => {
  const env = (names?: string, count = '2') => ({
    LISTEN_PID: String(process.pid),
    LISTEN_FDS: count,
    ...(names === undefined ? {} : { LISTEN_FDNAMES: names }),
  });

  it('begin at 3 and have a role by their name', () => {
    expect(listenFds(env('amqps:http'))).to.deep.equal([
      { name: 'amqps', fd: 3 },
      { name: 'http', fd: 4 },
    ]);
  });

  it('without a name, or named as the unit, carry AMQP', () => {
    expect(listenFds(env()).map(({ name }) => name)).to.deep.equal(['amqp', 'amqp']);
    expect(listenFds(env('amqproxy.socket', '1'))[0].name).to.equal('amqp');
  });

  it('of another process are not taken; the variables go either way', () => {
    const variables: NodeJS.ProcessEnv = { ...env(), LISTEN_PID: '1' };
    expect(listenFds(variables)).to.deep.equal([]);
    expect(variables).to.deep.equal({});
  });

  it('with an unknown name end the start with 78, naming it', () => {
    expect(() => listenFds(env('amqp:constructor')))
      .to.throw(ServiceError, /named "constructor".*amqp, amqps, http and admin/)
      .with.property('exitCode', 78);
  });
});

describe('the stats sentence', () => {
  it('has its facts in a fixed order', () => {
    const proxy = idle();
    proxy.stats.refuse('before');
    const span = new Span(proxy);
    proxy.stats.clientsPeak = 9;
    proxy.stats.logins = 4;
    proxy.stats.loginsReused = 3;
    proxy.stats.refuse('max_clients');
    expect(span.sentence()).to.match(
      /^3 clients \(peak 9\), [\d.]+ logins\/s, 75\.0% reused, 0\.0 leases\/s, 4 parked, 2 upstreams \(1 shared, 1 private\), 0 busy, 0 clients apart, in 0\.0 msg\/s 0 B\/s, out 0\.0 msg\/s 0 B\/s, lease wait 0\.0\/0\.0 ms, barrier 0\.0\/0\.0 ms, client_buffer 1\.5 MB \(800\.0 kB of 1\.0 MB\), upstream_buffer 0 B \(0 B of 4\.2 MB\), message_buffer 20 B \(20 B of 1\.0 MB\), refused max_clients=1$/,
    );
    expect(span.sentence()).to.match(/ 100\.0% reused.* of 1\.0 MB\)$/);
  });
});

describe('the stats line', () => {
  it('is short when nothing happens, and comes once until something does', () => {
    const { log, lines } = keeper();
    const proxy = idle();
    const stats = new StatsLine(proxy, log);
    const said = (): string[] => lines.splice(0).map(({ msg }) => msg);
    stats.write();
    stats.write();
    expect(said()).to.deep.equal([
      'stats: idle, 3 clients, 2 upstreams; the next line when something happens',
    ]);
    proxy.stats.logins++;
    stats.write();
    expect(said()[0]).to.match(/^stats: 3 clients \(peak /);
    proxy.stats.refuse('max_clients');
    stats.write();
    expect(said()[0]).to.match(/refused max_clients=1$/);
    stats.write();
    stats.write();
    expect(said()).to.have.length(1);
  });
});

describe('journal entries', () => {
  it('have fields for their facts, and the pool', () => {
    const text = entry(6, 'Hello', { user: 'app', vhost: '/', closeReason: 320, none: undefined }).toString();
    expect(text.split('\n')).to.deep.equal([
      'PRIORITY=6',
      'SYSLOG_IDENTIFIER=amqproxy',
      'MESSAGE=Hello',
      'AMQPROXY_POOL=app@/',
      'AMQPROXY_USER=app',
      'AMQPROXY_VHOST=/',
      'AMQPROXY_CLOSEREASON=320',
      '',
    ]);
  });

  it('cannot be split into other fields by a line break in a value', () => {
    const bytes = entry(6, 'x', { user: 'a\nMESSAGE=b' });
    const at = bytes.indexOf('AMQPROXY_USER\n') + 'AMQPROXY_USER\n'.length;
    expect(bytes.readBigUInt64LE(at)).to.equal(11n);
    expect(bytes.subarray(at + 8).toString()).to.equal('a\nMESSAGE=b\n');
  });
});

describe('the check of open files', () => {
  it('warns where max_clients may not fit', () => {
    const { log, lines } = keeper();
    const config = { ...defaults(), maxClients: 1000 };
    checkOpenFiles(config, log, 2064);
    expect(lines).to.deep.equal([]);
    checkOpenFiles(config, log, 1024);
    expect(lines[0].msg).to.match(/^Only 1024 files .*max_clients = 1000 may need 2064: raise LimitNOFILE=/);
  });
});

describe('The page on operating', () => {
  it('names every metric', () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../packaging/doc/operating.md'), 'utf8');
    const names = createMetrics(idle(), NO_ROWS)
      .getMetricsAsArray()
      .map(({ name }) => name);
    const own = names
      .filter(name => name.startsWith('amqproxy_'))
      .map(name => name.slice('amqproxy_'.length));
    expect(own).not.to.be.empty;
    expect(own.filter(name => !new RegExp(`\`${name}[\`{]`).test(page))).to.deep.equal([]);
  });
});

describe('HTTP', () => {
  it('serves metrics and health, and nothing else', async () => {
    const proxy = idle();
    proxy.stats.logins = 7;
    proxy.stats.refuse('tls');
    let ready = false;
    const metrics = createMetrics(proxy, NO_ROWS);
    proxy.stats.barrierSeconds.add(0.002);
    const servers = await startHttp(
      { host: '127.0.0.1', port: 0 },
      { metrics, ready: () => ready },
      keeper().log,
    );
    const { port } = servers[0].address() as { port: number };
    const get = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });
    try {
      for (let i = 0; i < 2; i++) {
        const text = await (await get('/metrics')).text();
        for (const line of [
          'amqproxy_client_connections 3',
          'amqproxy_upstream_connections 2',
          'amqproxy_logins_total 7',
          'amqproxy_broker_up{upstream="broker:5672"} 1',
          'amqproxy_broker_dials_total{upstream="broker:5672",result="failed"} 1',
          'amqproxy_upstreams_blocked{upstream="broker:5672"} 2',
          'amqproxy_clients_refused_total{reason="tls"} 1',
          'amqproxy_barrier_duration_seconds_count 1',
          'amqproxy_buffered_bytes{buffer="client_buffer"} 1500000',
          'amqproxy_buffered_largest_bytes{buffer="client_buffer"} 800000',
          'amqproxy_buffer_limit_bytes{buffer="upstream_buffer"} 4194304',
        ])
          expect(text.split('\n')).to.include(line);
        expect(text).to.match(
          /^amqproxy_identity_info\{amqproxy_version="[\d.]+.*",amqproxy_hostname=".+"\} 1$/m,
        );
      }
      expect((await get('/readyz')).status).to.equal(503);
      ready = true;
      expect((await get('/readyz')).status).to.equal(200);
      expect((await get('/healthz')).status).to.equal(200);
      expect((await get('/nothing')).status).to.equal(404);
      expect((await get('/healthz', 'POST')).status).to.equal(405);
      const taken = await startHttp(
        { host: '127.0.0.1', port },
        { metrics, ready: () => ready },
        keeper().log,
      ).catch((error: ServiceError) => error);
      expect(taken).to.be.instanceOf(ServiceError);
      expect((taken as ServiceError).exitCode).to.equal(69);
      expect((taken as ServiceError).message).to.match(/the port is in use\. Stop what listens there/);
    } finally {
      for (const server of servers) server.close();
    }
  });
});
