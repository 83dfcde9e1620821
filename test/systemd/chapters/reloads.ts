/** systemctl reload: good files, bad files, another broker, all under load. */
import { strict as assert } from 'node:assert';
import { connect } from 'amqplib';
import { Crowd } from '../../support/crowd.ts';
import { until } from '../../support/rabbitmq.ts';
import {
  active,
  broker,
  configure,
  configureFor,
  journal,
  journalOfThisRun,
  machine,
  messages,
  otherBroker,
  property,
  reload,
  step,
  URL,
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
      await reload();
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
      await configure();
      await reload();
    },
  );

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
