/** systemctl reload: good files, bad files, another broker, all under load. */
import { strict as assert } from 'node:assert';
import { connect } from 'amqplib';
import { Authority } from '../../support/certs.ts';
import { Crowd } from '../../support/crowd.ts';
import { until } from '../../support/rabbitmq.ts';
import {
  active,
  broker,
  configure,
  configureFor,
  dropIn,
  journal,
  journalOfThisRun,
  machine,
  messages,
  otherBroker,
  property,
  reload,
  restart,
  step,
  URL,
  write,
} from '../machine.ts';

export async function reloads(): Promise<void> {
  await step(
    'systemctl reload applies a good file, keeps clients, and changes nothing for a bad one',
    async () => {
      const connection = await connect(URL);
      let lost = false;
      connection.on('close', () => {
        lost = true;
      });
      const pid = await property('MainPID');
      await configure('max_clients = 5', 'pool_mode = session');
      await reload();
      await until('the reload', async () => /^Reloaded: max_clients 0 -> 5$/m.test(await journalOfThisRun()));
      assert.match(
        await journalOfThisRun('-p warning'),
        /^Reload: pool_mode changes at the next restart only/m,
      );
      assert.equal(await active(), true);
      await configure('max_clients = many');
      assert.match(
        (await machine.run('systemctl reload amqproxy.service')).output,
        /Job for amqproxy.service failed/,
      );
      await until('the error', async () =>
        /^Reload failed, nothing has changed: \/etc\/amqproxy\.ini:4: max_clients = "many" is not/m.test(
          await journalOfThisRun('-p err'),
        ),
      );
      assert.equal(await active(), true);
      assert.equal(await property('MainPID'), pid);
      const channel = await connection.createChannel();
      await channel.checkQueue('story');
      assert.equal(lost, false);
      await connection.close();
      await configure('max_clients = 5');
      await reload();
      assert.match(await journalOfThisRun('-n 1'), /^Reloaded: nothing has changed$/);
      await configure();
      await reload();
    },
  );

  await step('a file in /etc/amqproxy.d is read at the reload, and wins', async () => {
    await configure('max_clients = 5');
    await write('/etc/amqproxy.d/limits.ini', ['[main]', 'max_clients = 6']);
    await reload();
    assert.match(await journalOfThisRun('-n 3'), /^Reloaded: max_clients 0 -> 6$/m);
    await machine.do('rm /etc/amqproxy.d/limits.ini');
    await configure();
    await reload();
  });

  await step('a key in LoadCredential= can be reloaded, other flags in ExecStart= too', async () => {
    const { cert, key } = new Authority().sign('reload', 'DNS:localhost');
    await machine.do(`install -m 600 ${machine.bring(key)} /etc/tls.key`);
    await machine.do(`install -m 644 ${machine.bring(cert)} /etc/tls.pem`);
    await write('/etc/other.ini', [
      '[listen]',
      'tls_cert = /etc/tls.pem',
      'tls_key = /run/credentials/amqproxy.service/tls.key',
    ]);
    await dropIn(
      'LoadCredential=tls.key:/etc/tls.key',
      'ExecStart=',
      `ExecStart=/usr/bin/amqproxy -c /etc/other.ini ${broker.url.replace(/\/\/.*@/, '//')}`,
    );
    await restart();
    await reload();
    assert.match(await journalOfThisRun('-n 1'), /^Reloaded: nothing has changed$/);
    await dropIn(null);
    await machine.do('rm /etc/other.ini /etc/tls.key /etc/tls.pem');
    await restart();
  });

  await step(
    'reloads under load lose no client; another broker gets the new leases, the old one drains',
    async () => {
      const before = await messages(broker);
      const crowd = new Crowd(URL, 100, 300);
      await until('the load', () => crowd.published > 500, 30);
      for (let i = 1; i <= 5; i++) {
        await configure(`max_clients = ${1000 + i}`);
        await reload();
        await until(`reload ${i}`, async () => (await journal('-n 50')).includes(`-> ${1000 + i}`));
      }
      await configureFor(otherBroker);
      await reload();
      await until(
        'the old upstreams to end',
        async () => (await broker.list('list_connections', 'pid')).length === 0,
        30,
      );
      const moved = await messages(otherBroker);
      await until('messages to the new broker', async () => (await messages(otherBroker)) > moved);
      await crowd.leave();
      console.log(
        `  ${crowd.published} messages, of which ${await messages(otherBroker)} to the other broker`,
      );
      assert.equal((await messages(broker)) - before + (await messages(otherBroker)), crowd.published);
      assert.doesNotMatch(await journalOfThisRun(), /Client closed|Upstream lost/);
      await configure();
      await machine.do('systemctl reload amqproxy');
    },
  );
}
