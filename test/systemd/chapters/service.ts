/** The service and its manager: notifications, watchdog, drain, what it may do. */
import { strict as assert } from 'node:assert';
import { connect } from 'amqplib';
import { sleep, until } from '../../support/rabbitmq.ts';
import {
  active,
  broker,
  configure,
  dropIn,
  http,
  journal,
  journalOfThisRun,
  machine,
  messages,
  property,
  publish,
  reload,
  restart,
  step,
  URL,
} from '../machine.ts';

/** Stops the process as a bug would that hangs it, and waits for another one. */
async function hang(): Promise<void> {
  const pid = await property('MainPID');
  await sleep(5000);
  assert.equal(await property('MainPID'), pid, 'killed although it was well');
  await machine.do(`kill -STOP ${pid}`);
  await until(
    'another process',
    async () => (await active()) && !['0', pid].includes(await property('MainPID')),
  );
  assert.match(await machine.do('journalctl -u amqproxy --no-pager'), /Watchdog timeout/);
}

export async function service(): Promise<void> {
  await step('systemctl enable --now: it is active when it listens', async () => {
    await machine.do('systemctl enable --now amqproxy.service');
    assert.equal(await active(), true);
    const [from, to] = await Promise.all(
      ['ExecMainStartTimestampMonotonic', 'ActiveEnterTimestampMonotonic'].map(name => property(name)),
    );
    assert.match(
      await machine.do('systemctl status amqproxy --no-pager'),
      /Main PID: \d+ \(amqproxy\)\n(.*\n)* .*main\.js --config \/etc\/amqproxy\.ini$/m,
    );
    console.log(`  start to READY=1: ${((Number(to) - Number(from)) / 1000).toFixed(0)} ms`);
  });

  await step('a client publishes through it', async () => {
    const before = await messages(broker);
    for (let i = 0; i < 10; i++) await publish('story');
    assert.equal((await messages(broker)) - before, 10);
  });

  await step('a hung process (SIGSTOP) is killed by the watchdog and restarted', async () => {
    await dropIn('WatchdogSec=2');
    await restart();
    await hang();
    await publish('story');
    await dropIn(null);
    await restart();
  });

  await step('without sd-notify the same, and it says so once: READY, STATUS, reload, watchdog', async () => {
    await dropIn('WatchdogSec=2');
    await machine.do('mv /usr/libexec/amqproxy/lib/node_modules/sd-notify /root/');
    await restart();
    await publish('story');
    await until('the status', async () => / upstreams?, /.test(await property('StatusText')));
    await reload();
    await until('the reload to end', active);
    await hang();
    await machine.do('mv /root/sd-notify /usr/libexec/amqproxy/lib/node_modules/');
    assert.equal((await journalOfThisRun()).match(/sd-notify cannot be loaded/g)?.length, 1);
    await dropIn(null);
    await restart();
  });

  await step('SIGTERM drains: STOPPING, a status, clients closed with 320, exit code 0', async () => {
    await configure('term_client_close_timeout = 2');
    await reload();
    const connection = await connect(URL);
    const closed = new Promise<Error>(resolve => connection.once('close', resolve));
    const stop = machine.do('systemctl stop amqproxy');
    await until(
      'the status of a drain',
      async () => (await property('StatusText')) === 'Draining: 1 client left',
    );
    assert.equal((await http('/readyz')).status, 503);
    assert.equal((await http('/healthz')).status, 200);
    assert.match((await closed).message, /320/);
    await stop;
    assert.equal(await property('Result'), 'success');
    assert.equal(await property('ExecMainStatus'), '0');
    assert.match(await journal('-n 5'), /^Stopped$/m);
    assert.equal(await property('StatusText'), 'Stopped');
    await configure();
    await machine.do('systemctl start amqproxy');
  });

  await step('a drain longer than TimeoutStopSec asks for more time', async () => {
    await configure('term_client_close_timeout = 8');
    await dropIn('TimeoutStopSec=3');
    await restart();
    const connection = await connect(URL);
    const closed = new Promise<Error>(resolve => connection.once('close', resolve));
    await machine.do('systemctl stop amqproxy');
    assert.match((await closed).message, /320/);
    assert.equal(await property('Result'), 'success');
    await dropIn(null);
    await configure();
    await machine.do('systemctl start amqproxy');
  });

  await step('systemd-analyze security: 1.5 or less', async () => {
    const out = await machine.do('systemd-analyze security amqproxy.service --no-pager');
    const exposure = Number(/exposure level[^:]*: ([\d.]+)/.exec(out)?.[1]);
    console.log(`  exposure ${exposure}`);
    assert.ok(exposure <= 1.5);
  });

  await step('it may open 262144 files, and warns where max_clients wants more', async () => {
    assert.equal(await property('LimitNOFILE'), '262144');
    assert.doesNotMatch(await journalOfThisRun(), /LimitNOFILE/);
    await configure('max_clients = 5000');
    await dropIn('LimitNOFILE=1000');
    await restart();
    assert.match(
      await journalOfThisRun('-p warning'),
      /^Only 1000 files may be open, max_clients = 5000 may need/m,
    );
    await dropIn(null);
    await configure();
    await restart();
  });
}
