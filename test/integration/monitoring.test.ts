/** Metrics with labels, and what is packaged for Prometheus and Grafana: checked with promtool, and run in a real Prometheus. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { queries } from '../../packaging/docs/dashboard.ts';
import * as f from '../differential/frames.ts';
import { ALARMING, ruleTests } from '../support/alerts.ts';
import { atExit, tempDir } from '../support/cleanup.ts';
import { peopledBroker, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { until } from '../support/rabbitmq.ts';
import { publish, RawClient } from '../support/raw-client.ts';

const RULES = resolve(import.meta.dirname, '../../packaging/monitoring/amqproxy.rules.yml');
const ALERTS = readFileSync(RULES, 'utf8').match(/- alert:/g)!.length;
const PROMTOOL = '/usr/bin/promtool';
const PROMETHEUS = '/usr/bin/prometheus';

describe('Metrics by pool and broker', () => {
  let proxy: AmqProxy;
  before(async function () {
    proxyOnly(this);
    const { url } = await peopledBroker();
    proxy = await AmqProxy.withMetrics(`${url},amqp://127.0.0.1:1`, [
      '-c',
      settingsFile('metrics_pools = 1'),
    ]);
  });
  after(() => proxy?.stop());

  const stay = async (user: string, secret: string): Promise<RawClient> => {
    const client = await RawClient.start(proxy.port, { user, secret, vhost: 'one' });
    await client.open(1);
    const queue = queueName();
    client.send(f.declare(1, queue), publish(1, queue, Buffer.from('x')), f.channelClose(1));
    await client.next('channel.close-ok');
    return client;
  };

  it('count for each pool, as many as metrics_pools; the rest are other, whoever knocks', async () => {
    const [alice, bob] = [await stay('alice', 'wonder'), await stay('bob', 'builder')];
    const stranger = await RawClient.connect(proxy.port);
    await stranger.login({ user: 'alice', secret: 'wrong', vhost: 'one' });
    const other = await RawClient.connect(proxy.port);
    await other.login({ user: 'mallory', secret: 'wrong' });
    const one = '{user="alice",vhost="one"}';
    const rest = '{user="other",vhost="other"}';
    for (const labels of [one, rest]) {
      expect(await proxy.metric(`pool_clients${labels}`)).to.equal(1);
      expect(await proxy.metric(`pool_logins_total${labels}`)).to.equal(1);
      expect(await proxy.metric(`pool_leases_total${labels}`)).to.equal(1);
      expect(await proxy.metric(`pool_messages_published_total${labels}`)).to.equal(1);
    }
    expect(await proxy.metric(`pool_refused_total${rest}`)).to.equal(2);
    expect(await proxy.metric('pool_upstreams{user="alice",vhost="one",kind="shared"}')).to.equal(1);
    for (const client of [alice, bob, stranger, other]) client.destroy();
    await until('all to have left', async () => (await proxy.metric('client_connections')) === 0);
    // counters never go back
    for (const labels of [one, rest])
      expect(await proxy.metric(`pool_messages_published_total${labels}`)).to.equal(1);
    const text = await (await fetch(`${proxy.http}/metrics`)).text();
    expect(text).not.to.match(/bob|mallory|wonder|builder/);
  });

  it('are not forged by what a vhost is called', async () => {
    const evil = 'a",user="root"} 1\nforged_total 9\n\\';
    const broker = await peopledBroker();
    await broker.ctl('add_vhost', evil);
    await broker.ctl('set_permissions', '-p', evil, 'alice', '.*', '.*', '.*');
    const other = await AmqProxy.withMetrics(broker.url);
    try {
      const client = await RawClient.start(other.port, { user: 'alice', secret: 'wonder', vhost: evil });
      const text = await (await fetch(`${other.http}/metrics`)).text();
      client.destroy();
      expect(text).to.include(
        'amqproxy_pool_clients{user="alice",vhost="a\\",user=\\"root\\"} 1\\nforged_total 9\\n\\\\"} 1\n',
      );
      expect(text).not.to.match(/^forged/m);
    } finally {
      await other.stop();
      await broker.ctl('delete_vhost', evil);
    }
  });

  it('tell which broker can be reached', async () => {
    const { port } = await peopledBroker();
    for (let i = 0; i < 3; i++) (await stay('alice', 'wonder')).destroy();
    await until('the other to have been tried', async () => {
      const client = await RawClient.start(proxy.port, { user: 'bob', secret: 'builder', vhost: 'two' });
      client.destroy();
      return (await proxy.metric('broker_dials_total{upstream="127.0.0.1:1",result="failed"}')) > 0;
    });
    expect(await proxy.metric(`broker_up{upstream="127.0.0.1:${port}"}`)).to.equal(1);
    expect(await proxy.metric('broker_up{upstream="127.0.0.1:1"}')).to.equal(0);
  });
});

describe('What is packaged for Prometheus', () => {
  let prometheus: ChildProcess | null = null;
  let gone: () => void;
  let port = 0;
  let proxy: AmqProxy;
  before(async function () {
    proxyOnly(this);
    if (!existsSync(PROMTOOL) || !existsSync(PROMETHEUS)) this.skip();
    proxy = await AmqProxy.withMetrics(`${(await peopledBroker()).url}`);
    port = await freePort();
    const dir = tempDir('prometheus');
    writeFileSync(
      join(dir, 'prometheus.yml'),
      `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [${RULES}]
scrape_configs:
  - job_name: amqproxy
    static_configs: [{ targets: ['${new URL(proxy.http).host}'] }]
`,
    );
    prometheus = spawn(
      PROMETHEUS,
      [
        `--config.file=${dir}/prometheus.yml`,
        `--storage.tsdb.path=${dir}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: 'ignore' },
    );
    gone = atExit(() => prometheus?.kill('SIGKILL'));
    await until(
      'Prometheus',
      () =>
        fetch(`http://127.0.0.1:${port}/-/ready`).then(
          r => r.ok,
          () => false,
        ),
      30,
    );
  });
  after(async () => {
    await proxy?.stop();
    if (prometheus === null) return;
    const ended = new Promise(done => prometheus!.once('exit', done));
    prometheus.kill('SIGTERM');
    await ended;
    gone();
  });

  const query = async (
    expr: string,
  ): Promise<{ status: string; error?: string; data: { result: unknown[] } }> =>
    (await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`)).json() as never;

  it('are rules that promtool has nothing against', () => {
    expect(execFileSync(PROMTOOL, ['check', 'rules', RULES], { encoding: 'utf8' })).to.include(
      `SUCCESS: ${ALERTS} rules found`,
    );
  });

  it('are rules that fire when they should, and not before', () => {
    const names = [...readFileSync(RULES, 'utf8').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    expect(Object.keys(ALARMING)).to.have.members(names);
    const file = join(tempDir('rules'), 'tests.yml');
    writeFileSync(file, ruleTests(RULES));
    expect(execFileSync(PROMTOOL, ['test', 'rules', file], { encoding: 'utf8' })).to.include('SUCCESS');
  });

  it('are rules about metrics that there are', async () => {
    const seen = async (name: string): Promise<boolean> =>
      (await query(`count({__name__="${name}"})`)).data.result.length > 0;
    const names = new Set(readFileSync(RULES, 'utf8').match(/(amqproxy|process)_[a-z_]+(?=[{[ \n)])/g));
    expect(names.size).to.be.above(12);
    await until('a scrape', () => seen('amqproxy_broker_up'));
    // what has not happened has no series
    names.delete('amqproxy_clients_refused_total');
    for (const name of names) expect(await seen(name), name).to.equal(true);
  });

  it('are metrics that promtool has nothing against', async () => {
    const text = await (await fetch(`${proxy.http}/metrics`)).text();
    const own = text.replace(/^.*(nodejs_|process_).*\n/gm, '');
    execFileSync(PROMTOOL, ['check', 'metrics'], { input: own, encoding: 'utf8', stdio: 'pipe' });
  });

  it('are queries of the dashboard that all have an answer', async () => {
    const client = await RawClient.start(proxy.port);
    client.destroy();
    await until(
      'two scrapes',
      async () => (await query('count_over_time(amqproxy_logins_total[1m]) >= 2')).data.result.length,
    );
    for (const expr of queries()) {
      const { status, error, data } = await query(expr);
      expect(status, `${expr}: ${error}`).to.equal('success');
      // what has not happened has no series
      if (!/refused_total/.test(expr)) expect(data.result, expr).not.to.be.empty;
    }
  });

  it('are rules that are in force, and quiet while all is well', async () => {
    const answer = await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json();
    const { rules } = (
      answer as { data: { groups: { rules: { name: string; health: string; state: string }[] }[] } }
    ).data.groups[0];
    expect(rules).to.have.length(ALERTS);
    await until('all to be evaluated', async () => {
      const again = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()) as typeof answer;
      const of = (again as { data: { groups: { rules: { health: string }[] }[] } }).data.groups[0].rules;
      return of.every(({ health }) => health === 'ok');
    });
    expect(rules.filter(({ state }) => state !== 'inactive')).to.deep.equal([]);
  });
});
