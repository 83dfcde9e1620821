/** What an operator sees: status, journal, HTTP. */
import { strict as assert } from 'node:assert';
import { until } from '../../support/rabbitmq.ts';
import {
  configure,
  http,
  journal,
  journalOfThisRun,
  machine,
  property,
  publish,
  reload,
  restart,
  step,
} from '../machine.ts';

const STATS =
  /\d+ clients? \(peak \d+\), [\d.]+ logins\/s, [\d.]+% reused, [\d.]+ leases\/s, \d+ parked, \d+ upstreams? \(\d+ shared, \d+ private\), \d+ busy, \d+ clients? apart, in [\d.]+ msg\/s [\d.]+ \w+\/s, out [\d.]+ msg\/s [\d.]+ \w+\/s, lease wait [\d.]+\/[\d.]+ ms, barrier [\d.]+\/[\d.]+ ms(, \w+_buffer [\d.]+ \w+ \([\d.]+ \w+ of [\d.]+ \w+\)){3}(, refused .*)?/;
const STATUS = /^\d+ clients?, \d+ upstreams?, [\d.]+ logins\/s, [\d.]+ msg\/s in, [\d.]+ out(; .*)?$/;
const whole = (line: RegExp, before: string): RegExp => new RegExp(`^${before}${line.source}$`, 'm');

/** An entry as journald keeps it. */
const record = async (match: string): Promise<Record<string, string>> =>
  JSON.parse(await machine.do(`journalctl -u amqproxy -o json --no-pager -n 1 ${match}`));

export async function watching(): Promise<void> {
  await step('STATUS says in short what is there and what goes on', async () => {
    await publish('story');
    await until('the status', async () => STATUS.test(await property('StatusText')));
    assert.match(await machine.do('systemctl status amqproxy --no-pager'), /Status: "\d+ clients?/);
  });

  await step('the journal has the stats every stats_period in which something happens', async () => {
    await publish('story');
    await until('a stats line', async () => whole(STATS, 'stats: ').test(await journalOfThisRun()));
    const { AMQPROXY_CLIENTS, AMQPROXY_UPSTREAMS, PRIORITY } = JSON.parse(
      await machine.do("journalctl -u amqproxy -o json --no-pager -n 1000 | grep -m 1 'stats: '"),
    );
    assert.match(`${AMQPROXY_CLIENTS} ${AMQPROXY_UPSTREAMS} ${PRIORITY}`, /^\d+ \d+ 6$/);
  });

  await step('it has one line an event, with priority and fields, and no secret', async () => {
    assert.match(await journal('AMQPROXY_USER=guest'), /^Upstream opened\b/m);
    const opened = await record('AMQPROXY_POOL=guest@/');
    assert.match(opened.MESSAGE, /^Upstream opened id=u\d+ user=guest vhost=\/ upstream=127\.0\.0\.1:\d+$/);
    assert.equal(opened.PRIORITY, '6');
    assert.equal(opened.SYSLOG_IDENTIFIER, 'amqproxy');
    assert.match(opened.AMQPROXY_UPSTREAM, /^127\.0\.0\.1:\d+$/);
    await assert.rejects(publish('story', 'amqp://guest:hunter2@127.0.0.1:5673/'), /403/);
    const refused = await until('the refusal', async () =>
      /^Login refused: .*$/m.exec(await journal('AMQPROXY_USER=guest'))?.at(0),
    );
    assert.match(refused, /user=guest .*client=127\.0\.0\.1:\d+$/);
    await until('its count', async () => /stats: .*, refused refused=1$/m.test(await journalOfThisRun()));
    const all = await machine.do('journalctl -u amqproxy -o export --no-pager');
    assert.doesNotMatch(all, /MESSAGE=<\d>/);
    assert.doesNotMatch(all, /guest:guest|hunter2/i);
  });

  await step('without the journal addon: the same lines, with their priorities', async () => {
    const addon = '/usr/libexec/amqproxy/lib/src/journal.node';
    await machine.do(`mv ${addon} /root/`);
    await restart();
    await configure('max_klients = 7');
    await assert.rejects(reload());
    await until('the error', async () => (await journalOfThisRun('-p err')).includes('max_klients'));
    assert.doesNotMatch(await journal(), /<\d>/);
    await configure();
    await machine.do(`mv /root/journal.node ${addon}`);
    await restart();
  });

  await step('a journal that ends and comes back costs lines only', async () => {
    const pid = await property('MainPID');
    const journald = 'systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service';
    try {
      await machine.do(`systemctl stop ${journald}`);
      await publish('story');
      await reload();
      assert.equal((await http('/healthz')).status, 200);
    } finally {
      await machine.do(`systemctl start ${journald}`);
    }
    await reload();
    await until('a line', async () => (await journal('-n 1 --since -3s')).includes('Reloaded'));
    assert.equal(await property('MainPID'), pid);
  });

  await step('HTTP: metrics, healthz, readyz', async () => {
    await restart();
    assert.equal((await http('/readyz')).status, 200);
    await publish('story');
    assert.equal((await http('/healthz')).status, 200);
    assert.equal((await http('/readyz')).status, 200);
    const metrics = await (await http('/metrics')).text();
    for (const name of [
      'amqproxy_client_connections 0',
      'amqproxy_upstream_connections 1',
      'amqproxy_identity_info{',
      'amqproxy_logins_total 1',
      'amqproxy_messages_published_total 1',
      'amqproxy_login_duration_seconds_count 1',
      'amqproxy_lease_wait_seconds_bucket{le="0.0001"}',
      'amqproxy_barrier_duration_seconds_sum',
    ])
      assert.ok(metrics.includes(`\n${name}`), `${name} in\n${metrics}`);
  });
}
