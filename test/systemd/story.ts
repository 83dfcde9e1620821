/**
 * The life of the package on a machine with systemd: install, misuse, use, reload, hang, restart under load, upgrade,
 * remove, purge; and the .rpm as far as rpm goes on Debian. run.sh starts it: `story.ts ROOT`.
 */
import { strict as assert } from 'node:assert';
import { globSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as amqpConnect, type ChannelModel } from 'amqplib';
import { RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { Container } from './container.ts';

const PORT = 5673;
const HTTP = 15673;
const URL = `amqp://guest:guest@127.0.0.1:${PORT}/?heartbeat=0`;
/** Connects across one restart. */
const CONNECTS = 600;

const STEP_MS = 60_000;

const [base] = process.argv.slice(2);
const deb = globSync('dist/amqproxy_*.deb')[0];
const rpm = globSync('dist/amqproxy-*.rpm').find(file => !file.includes('.src.'));
const counts = { passed: 0, failed: 0, skipped: 0 };

const broker = await RabbitMQ.start();
const machine = new Container(base);
let boot = '';

async function step(name: string, task: () => Promise<void>): Promise<void> {
  const start = performance.now();
  try {
    const late = sleep(STEP_MS).then(() => {
      throw new Error(`not done after ${STEP_MS} ms`);
    });
    late.catch(() => {});
    await Promise.race([task(), late]);
    counts.passed++;
    console.log(`ok - ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    counts.failed++;
    const lines = `${(error as Error).stack}\n--- the journal:\n${(await machine.run('journalctl -u amqproxy -n 15 --no-pager')).output}`;
    console.log(`not ok - ${name}\n  ${lines.replaceAll('\n', '\n  ')}`);
    // the next steps shall not fail for this one
    await dropIn(null);
    await configure('stats_period = 1');
    await machine.run('systemctl reset-failed; systemctl try-restart amqproxy');
  }
}

const property = async (name: string, unit = 'amqproxy.service'): Promise<string> =>
  machine.do(`systemctl show -P ${name} ${unit}`);
const active = async (): Promise<boolean> => (await property('ActiveState')) === 'active';
const journal = async (args = ''): Promise<string> =>
  (await machine.run(`journalctl -u amqproxy -o cat --no-pager ${args}`)).output;
const http = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${HTTP}${path}`);

/** Puts settings into the INI file. Keys of [main]. */
const configure = (...lines: string[]): Promise<string> =>
  machine.do(
    `printf '%s\\n' '[main]' 'upstream = ${broker.url}' ${lines.map(line => `'${line}'`).join(' ')} > /etc/amqproxy.ini`,
  );

/** One life of a web request: connect, publish, wait for the broker's confirmation, hang up. */
async function publish(queue: string): Promise<void> {
  const connection = await amqpConnect(URL);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue);
  channel.sendToQueue(queue, Buffer.from('hello'));
  await channel.waitForConfirms();
  await channel.close();
  await connection.close();
}

/** A failing start: the exit code, and what `systemctl status` alone says. */
async function failsWith(code: number, text: RegExp): Promise<void> {
  await machine.run('systemctl reset-failed amqproxy.service; systemctl start amqproxy.service');
  await until('the service to fail', async () => (await property('ActiveState')) !== 'activating');
  assert.equal(await property('ExecMainStatus'), String(code), await journal('-n 5'));
  assert.match((await machine.run('systemctl status amqproxy.service --no-pager')).output, text);
  await machine.run('systemctl stop amqproxy.service');
}

async function story(): Promise<void> {
  await step('apt installs the package; it is neither enabled nor started', async () => {
    await machine.do(`apt-get install -y --no-install-recommends ${machine.bring(deb)}`);
    assert.equal(await active(), false);
    assert.equal((await machine.run('systemctl is-enabled amqproxy')).output, 'disabled');
    assert.match(await machine.do('amqproxy --version'), /^amqproxy \d/);
  });

  await step('without a broker it fails with 78 and says what to do', () =>
    failsWith(78, /upstream in \[main\]/),
  );

  await step('a key that nobody knows: 78, with file, line and key', async () => {
    await configure('max_klients = 7');
    await failsWith(78, /amqproxy\.ini:3: unknown key max_klients/);
  });

  await step('a file that cannot be read: 78', async () => {
    await machine.do('chmod 000 /etc/amqproxy.ini');
    await failsWith(78, /amqproxy\.ini: cannot be read: permission denied/);
    await machine.do('chmod 644 /etc/amqproxy.ini');
  });

  await step('a bad flag in the unit: 64', async () => {
    await dropIn('ExecStart=\nExecStart=/usr/bin/amqproxy --prot 1');
    await failsWith(64, /prot/);
    await dropIn(null);
  });

  await step('a port in use: 69, with the port', async () => {
    const { createServer } = await import('node:net');
    const squatter = createServer().listen(PORT, '127.0.0.1');
    await dropIn('Restart=no');
    await configure();
    await failsWith(69, /5673: the port is in use/);
    await dropIn(null);
    await new Promise(resolve => squatter.close(resolve));
  });

  await step('systemctl enable --now: active when it listens, in less than 300 ms', async () => {
    await configure('stats_period = 1');
    await machine.do('systemctl enable --now amqproxy.service');
    assert.equal(await active(), true);
    const [from, to] = await Promise.all(
      ['ExecMainStartTimestampMonotonic', 'ActiveEnterTimestampMonotonic'].map(name => property(name)),
    );
    const ms = (Number(to) - Number(from)) / 1000;
    console.log(`  start to READY=1: ${ms.toFixed(0)} ms`);
    assert.ok(ms < 300, `${ms} ms`);
  });

  await step('a client publishes through it', async () => {
    for (let i = 0; i < 10; i++) await publish('story');
    await until('ten messages', async () =>
      (await broker.list('list_queues', 'name', 'messages')).some(
        ([name, n]) => name === 'story' && n === '10',
      ),
    );
  });

  await step('STATUS is the stats sentence', async () => {
    await until('the status', async () =>
      /^\d+ clients \(peak \d+\), .* logins\/s, [\d.]+% reused/.test(await property('StatusText')),
    );
    assert.match(await machine.do('systemctl status amqproxy --no-pager'), /Status: "\d+ clients/);
  });

  await step('the journal has one line an event, with priority and fields', async () => {
    await until('a stats line', async () => (await journal()).includes('stats: '));
    const opened = await journal('AMQPROXY_USER=guest');
    assert.match(opened, /^Upstream opened\b/m);
    assert.match(await journal('AMQPROXY_POOL=guest@/'), /Upstream opened/);
    const record = JSON.parse(
      await machine.do('journalctl -u amqproxy -o json --no-pager AMQPROXY_POOL=guest@/ -n 1'),
    ) as Record<string, string>;
    assert.equal(record.PRIORITY, '6');
    assert.equal(record.SYSLOG_IDENTIFIER, 'amqproxy');
    const stats = JSON.parse(
      await machine.do("journalctl -u amqproxy -o json --no-pager -n 1000 | grep -m 1 'stats: '"),
    ) as Record<string, string>;
    assert.match(stats.AMQPROXY_CLIENTS, /^\d+$/);
    const all = await journal();
    assert.doesNotMatch(all, /<\d>/);
    assert.doesNotMatch(all, /guest:guest|password/i);
  });

  await step('without the journal addon: the same lines, with their priorities', async () => {
    const addon = '/usr/lib/amqproxy/lib/src/journal.node';
    await machine.do(`mv ${addon} /root/ && systemctl restart amqproxy`);
    const since = await property('ActiveEnterTimestamp');
    await configure('max_klients = 7');
    await machine.run('systemctl reload amqproxy');
    await until('the error', async () =>
      (await journal(`-p err --since '${since}'`)).includes('max_klients'),
    );
    assert.doesNotMatch(await journal(), /<\d>/);
    await configure('stats_period = 1');
    await machine.do(`mv /root/journal.node ${addon} && systemctl restart amqproxy`);
  });

  await step('without sd-notify: it runs and says so once', async () => {
    await dropIn('Type=exec\nWatchdogSec=0\nEnvironment=NOTIFY_SOCKET=/run/nobody');
    await machine.do('mv /usr/lib/amqproxy/lib/node_modules/sd-notify /root/');
    await machine.do('systemctl restart amqproxy');
    await until('it to serve', async () => (await http('/healthz').catch(() => null))?.ok);
    await machine.do('mv /root/sd-notify /usr/lib/amqproxy/lib/node_modules/');
    assert.equal((await journal('-n 50')).match(/sd-notify cannot be loaded/g)?.length, 1);
    await dropIn(null);
    await machine.do('systemctl restart amqproxy');
  });

  await step('HTTP: metrics, healthz, readyz', async () => {
    await publish('story');
    assert.equal((await http('/healthz')).status, 200);
    assert.equal((await http('/readyz')).status, 200);
    const metrics = await (await http('/metrics')).text();
    for (const name of [
      'amqproxy_client_connections 0',
      'amqproxy_upstream_connections 1',
      'amqproxy_identity_info{',
      'amqproxy_logins_total 1',
      'amqproxy_login_duration_seconds_count',
    ])
      assert.ok(metrics.includes(name), name);
  });

  await step(
    'systemctl reload applies a good file, keeps clients, and changes nothing for a bad one',
    async () => {
      const connection: ChannelModel = await amqpConnect(URL);
      let lost = false;
      connection.on('close', () => {
        lost = true;
      });
      const pid = await property('MainPID');
      await configure('stats_period = 1', 'max_clients = 5');
      await machine.do('systemctl reload amqproxy');
      await until('the reload', async () => (await journal()).includes('Reloaded: max_clients'));
      assert.equal(await active(), true);
      await configure('max_clients = many');
      await machine.run('systemctl reload amqproxy');
      await until('the error', async () =>
        /amqproxy\.ini:3: max_clients = "many"/.test(await journal('-p err')),
      );
      assert.equal(await active(), true);
      assert.equal(await property('MainPID'), pid);
      const channel = await connection.createChannel();
      await channel.checkQueue('story');
      assert.equal(lost, false);
      await connection.close();
      await configure('stats_period = 1');
      await machine.do('systemctl reload amqproxy');
    },
  );

  await step('systemd-analyze security: 1.5 or less', async () => {
    const out = await machine.do('systemd-analyze security amqproxy.service --no-pager');
    const exposure = Number(/exposure level[^:]*: ([\d.]+)/.exec(out)?.[1]);
    console.log(`  exposure ${exposure}`);
    assert.ok(exposure <= 1.5);
  });

  await step('a hung process (SIGSTOP) is killed by the watchdog and restarted', async () => {
    await dropIn('WatchdogSec=2');
    await machine.do('systemctl restart amqproxy');
    const pid = await property('MainPID');
    await sleep(5000);
    assert.equal(await property('MainPID'), pid, 'killed although it was well');
    await machine.do(`kill -STOP ${pid}`);
    await until('another process', async () => (await active()) && (await property('MainPID')) !== pid, 20);
    assert.match(await machine.do('journalctl -u amqproxy --no-pager'), /Watchdog timeout/);
    await publish('story');
    await dropIn(null);
    await machine.do('systemctl restart amqproxy');
  });

  await step('SIGTERM drains: STOPPING, a status, clients closed with 320, exit code 0', async () => {
    await configure('term_client_close_timeout = 2');
    await machine.do('systemctl reload amqproxy');
    const connection: ChannelModel = await amqpConnect(URL);
    const closed = new Promise<Error>(resolve => connection.once('close', resolve));
    const stop = machine.do('systemctl stop amqproxy');
    await until(
      'the status of a drain',
      async () => (await property('StatusText')) === 'Draining: 1 clients left',
    );
    assert.match((await closed).message, /320/);
    await stop;
    assert.equal(await property('Result'), 'success');
    assert.equal(await property('ExecMainStatus'), '0');
    assert.match(await journal('-n 5'), /^Stopped$/m);
    await configure('stats_period = 1');
  });

  await step('the socket unit starts the service with the first client', async () => {
    await machine.do('systemctl enable --now amqproxy.socket');
    assert.equal(await active(), false);
    await publish('story');
    assert.equal(await active(), true);
    assert.match(await journal('-n 20'), /Sockets come from the service manager/);
  });

  await step(`with the socket unit, a restart under load refuses none of ${CONNECTS} connects`, async () => {
    let refused = 0;
    let served = 0;
    const one = (): Promise<void> =>
      new Promise(resolve => {
        const socket = connect(PORT, '127.0.0.1');
        const timer = setTimeout(() => socket.destroy(new Error('no answer')), 20_000);
        let answered = false;
        socket.on('connect', () => socket.write('AMQP\x00\x00\x09\x01'));
        socket.once('data', () => {
          answered = true;
          served++;
          socket.destroy();
        });
        socket.on('error', error => {
          if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') refused++;
        });
        socket.on('close', () => {
          clearTimeout(timer);
          if (!answered) unanswered++;
          resolve();
        });
      });
    let unanswered = 0;
    const restart = sleep(300).then(() => machine.do('systemctl restart amqproxy'));
    const all: Promise<void>[] = [];
    for (let i = 0; i < CONNECTS; i++) {
      all.push(one());
      await sleep(2);
    }
    await Promise.all([...all, restart]);
    console.log(`  ${served} greeted, ${refused} refused, ${unanswered} without an answer`);
    assert.equal(refused, 0);
    assert.equal(unanswered, 0);
  });

  await step('a port under 1024 through the socket unit', async () => {
    await machine.do(
      'mkdir -p /etc/systemd/system/amqproxy.socket.d && printf "[Socket]\\nListenStream=127.0.0.1:567\\n" > /etc/systemd/system/amqproxy.socket.d/port.conf',
    );
    await machine.do(
      'systemctl daemon-reload && systemctl stop amqproxy.socket amqproxy.service && systemctl start amqproxy.socket',
    );
    const connection = await amqpConnect('amqp://guest:guest@127.0.0.1:567/');
    await connection.close();
  });

  await step('a socket name that nobody knows: 78, with the name', async () => {
    await machine.do(
      'printf "[Socket]\\nFileDescriptorName=nonsense\\n" > /etc/systemd/system/amqproxy.socket.d/port.conf',
    );
    await machine.do(
      'systemctl daemon-reload && systemctl stop amqproxy.service amqproxy.socket && systemctl start amqproxy.socket',
    );
    await failsWith(78, /a socket named "nonsense": known are amqp, amqps and http/);
    await machine.do('rm -r /etc/systemd/system/amqproxy.socket.d && systemctl daemon-reload');
    await machine.do(
      'systemctl disable --now amqproxy.socket && systemctl reset-failed && systemctl start amqproxy.service',
    );
  });

  await step('an upgrade restarts the service and keeps the edited file', async () => {
    const pid = await property('MainPID');
    await machine.do(
      `cd /root && dpkg-deb -R ${machine.bring(deb)} up && sed -i 's/^Version: .*/&+up/' up/DEBIAN/control && printf '; new default\\n' >> up/etc/amqproxy.ini && dpkg-deb -Zgzip -z1 -b up up.deb`,
    );
    const edited = await machine.do('cat /etc/amqproxy.ini');
    await machine.do('apt-get install -y -o Dpkg::Options::=--force-confold /root/up.deb');
    assert.equal(await machine.do('cat /etc/amqproxy.ini'), edited);
    assert.equal(await active(), true);
    assert.notEqual(await property('MainPID'), pid);
    await publish('story');
  });

  await step('a downgrade, too', async () => {
    await machine.do(
      `apt-get install -y --allow-downgrades -o Dpkg::Options::=--force-confold ${machine.bring(deb)}`,
    );
    assert.equal(await active(), true);
    await publish('story');
  });

  await step('remove stops it and keeps the settings', async () => {
    await machine.do('apt-get remove -y amqproxy');
    assert.equal((await machine.run('systemctl is-active amqproxy')).output, 'inactive');
    assert.match(await machine.do('cat /etc/amqproxy.ini'), /upstream/);
    assert.notEqual((await machine.run('ls /usr/lib/amqproxy')).code, 0);
  });

  await step('purge leaves nothing', async () => {
    await machine.do('apt-get purge -y amqproxy');
    const left = await machine.run(
      "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /root -prune -o -path /var/log -prune -o -iname '*amqproxy*' -print | grep -v '^/proc\\|^/sys'",
    );
    assert.equal(left.output, '');
  });

  if (rpm === undefined) {
    counts.skipped++;
    console.log('skipped - the .rpm: none in dist/ (make rpm)');
  } else
    await step('rpm installs, starts and erases the .rpm', async () => {
      const file = machine.bring(rpm);
      // Debian's rpm knows none of Debian's libraries
      await machine.do(`rpm -i --nodeps ${file}`);
      await configure();
      await machine.do('systemctl daemon-reload && systemctl start amqproxy');
      await publish('story');
      assert.match(await machine.do('rpm -qc amqproxy'), /amqproxy\.ini/);
      await machine.do('rpm -e amqproxy');
      assert.equal((await machine.run('systemctl is-active amqproxy')).output, 'inactive');
      assert.match(await machine.do('cat /etc/amqproxy.ini.rpmsave'), /upstream/);
    });
}

/** Lines for [Service] that override the unit's; null takes them away again. */
async function dropIn(lines: string | null): Promise<void> {
  const dir = '/run/systemd/system/amqproxy.service.d';
  await machine.do(
    lines === null
      ? `rm -rf ${dir}`
      : `mkdir -p ${dir} && printf '[Service]\\n${lines.replaceAll('\n', '\\n')}\\n' > ${dir}/test.conf`,
  );
  await machine.do('systemctl daemon-reload');
}

try {
  await machine.boot(text => {
    boot += text;
  });
  await story();
} catch (error) {
  counts.failed++;
  console.log(`not ok - the container: ${(error as Error).message}\n${boot.slice(-2000)}`);
} finally {
  await machine.stop();
  await broker.stop();
}
console.log(
  `${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`,
);
process.exit(counts.failed > 0 ? 1 : 0);
