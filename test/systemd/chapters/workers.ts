/** Several workers under the unit as it is installed: one service to systemd, sandboxed and all. */
import { strict as assert } from 'node:assert';
import { connect } from 'amqplib';
import { until } from '../../support/rabbitmq.ts';
import {
  active,
  configure,
  http,
  journalOfThisRun,
  machine,
  property,
  publish,
  reload,
  restart,
  step,
  URL,
} from '../machine.ts';

/** The processes of the service besides its main one. */
async function workers(): Promise<string[]> {
  const main = await property('MainPID');
  return (await machine.do(`cat /proc/${main}/task/${main}/children`)).split(/\s+/).filter(Boolean);
}

/** The value of a metric. */
async function metric(name: string): Promise<number> {
  const text = await (await http('/metrics')).text();
  return Number(new RegExp(`^amqproxy_${name} (.*)$`, 'm').exec(text)?.[1]);
}

export async function severalWorkers(): Promise<void> {
  await step(
    'workers = 2: one service of three processes, which serve, reload and are shown as one',
    async () => {
      await configure('workers = 2');
      await restart();
      assert.equal(await active(), true);
      assert.equal((await workers()).length, 2);
      assert.match(await journalOfThisRun(), /^2 workers take clients$/m);
      await until('the status', async () => /2 workers/.test(await property('StatusText')));
      for (let i = 0; i < 20; i++) await publish('story');
      await until('what was published', async () => (await metric('clients_accepted_total')) === 20);
      await configure('workers = 2', 'max_clients = 7');
      await reload();
      assert.match(await journalOfThisRun(), /^Reloaded: max_clients 0 -> 7$/m);
      assert.equal(await active(), true);
      assert.match(await machine.do('amqproxy show config'), /max_clients\b.*\b7\b/i);
    },
  );

  await step('a worker that is killed is replaced; the service goes on', async () => {
    const main = await property('MainPID');
    const [first, second] = await workers();
    await machine.do(`kill -KILL ${first}`);
    await until('another worker', async () => {
      const now = await workers();
      return now.length === 2 && now.includes(second) && !now.includes(first);
    });
    for (let i = 0; i < 10; i++) await publish('story');
    assert.equal(await property('MainPID'), main);
    assert.equal(await metric('worker_restarts_total'), 1);
    assert.match(await journalOfThisRun('-p warning'), /^Worker \d \(pid \d+\) has ended by SIGKILL/m);
  });

  await step('systemctl stop drains all of them, and nothing is left', async () => {
    const connections = await Promise.all(Array.from({ length: 6 }, () => connect(URL)));
    const closed = connections.map(one => new Promise<Error>(resolve => one.once('close', resolve)));
    const there = await workers();
    await machine.do('systemctl stop amqproxy');
    for (const error of await Promise.all(closed)) assert.match(error.message, /320/);
    assert.equal(await property('Result'), 'success');
    assert.equal(await property('ExecMainStatus'), '0');
    for (const pid of there) assert.notEqual((await machine.run(`kill -0 ${pid}`)).code, 0);
    await configure();
    await machine.do('systemctl start amqproxy');
    assert.deepEqual(await workers(), []);
  });
}
