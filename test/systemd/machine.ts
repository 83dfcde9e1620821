/** The container with the package, two brokers beside it in the same network, and what the chapters of the story share. */
import { strict as assert } from 'node:assert';
import { globSync } from 'node:fs';
import { connect } from 'amqplib';
import { RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { Container } from './container.ts';

export const PORT = 5673;
export const HTTP = 15673;
export const URL = `amqp://guest:guest@127.0.0.1:${PORT}/?heartbeat=0`;
const STEP_MS = 300_000;

/** Those for this architecture. */
const [debian, red] = process.arch === 'x64' ? ['amd64', 'x86_64'] : ['arm64', 'aarch64'];
export const [deb] = globSync(`dist/amqproxy_*_${debian}.deb`);
export const [rpm] = globSync(`dist/amqproxy-*.${red}.rpm`);

export const brokers = await Promise.all([RabbitMQ.start(), RabbitMQ.start()]);
export const [broker, otherBroker] = brokers;
export const machine = new Container(process.argv[2]);
export const counts = { passed: 0, failed: 0 };

/** One step of the story. After a failure the next ones begin with the unit and the settings as they should be. */
export async function step(name: string, task: () => Promise<void>): Promise<void> {
  const start = performance.now();
  // steps start it more often than StartLimitBurst= lets a service that fails
  if (machine.booted) await machine.run('systemctl reset-failed amqproxy.service');
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
    let lines = String((error as Error).stack);
    if (machine.booted) lines += `\n--- the journal:\n${await journal('-n 15')}`;
    console.log(`not ok - ${name}\n  ${lines.replaceAll('\n', '\n  ')}`);
    if (!machine.booted) return;
    await dropIn(null);
    await configure();
    await machine.run('systemctl reset-failed; systemctl try-restart amqproxy');
  }
}

export const property = (name: string, unit = 'amqproxy.service'): Promise<string> =>
  machine.do(`systemctl show -P ${name} ${unit}`);
export const active = async (): Promise<boolean> => (await property('ActiveState')) === 'active';
export const journal = async (args = ''): Promise<string> =>
  (await machine.run(`journalctl -u amqproxy -o cat --no-pager ${args}`)).output;
/** The lines since the service was started last. */
export const journalOfThisRun = async (args = ''): Promise<string> =>
  journal(`_SYSTEMD_INVOCATION_ID=${await property('InvocationID')} ${args}`);
export const http = (path: string, port = HTTP): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`);
export const restart = (): Promise<string> => machine.do('systemctl restart amqproxy.service');
export const reload = (): Promise<string> => machine.do('systemctl reload amqproxy.service');

/** Puts settings into the INI file: keys of [main], the section [listen] may follow. */
export const configure = (...lines: string[]): Promise<string> => configureFor(broker, ...lines);
export const configureFor = (upstream: RabbitMQ, ...lines: string[]): Promise<string> =>
  write('/etc/amqproxy.ini', ['[main]', `upstream = ${upstream.url}`, 'stats_period = 1', ...lines]);

/** Writes a file in the container, in place of what was there. */
export const write = (file: string, lines: string[]): Promise<string> =>
  machine.do(
    `mkdir -p $(dirname ${file}) && rm -f ${file} && printf '%s\\n' ${lines.map(line => `'${line}'`).join(' ')} > ${file}`,
  );

/** Lines for [Service] that override the unit's; null takes them away again. */
export async function dropIn(...lines: string[] | [null]): Promise<void> {
  const dir = '/run/systemd/system/amqproxy.service.d';
  if (lines[0] === null) await machine.do(`rm -rf ${dir}`);
  else await write(`${dir}/test.conf`, ['[Service]', ...(lines as string[])]);
  await machine.do('systemctl daemon-reload');
}

/** One life of a web request: connect, publish, wait for the broker's confirmation, hang up. */
export async function publish(queue: string, url = URL, options: object = {}): Promise<void> {
  const connection = await connect(url, options);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue);
  channel.sendToQueue(queue, Buffer.from('hello'));
  await channel.waitForConfirms();
  await channel.close();
  await connection.close();
}

/** Messages in a broker's queues. */
export const messages = async (of: RabbitMQ): Promise<number> =>
  (await of.list('list_queues', 'messages')).flat().reduce((sum, n) => sum + Number(n), 0);

/** A start that fails: with this exit code, and `systemctl status` alone says why in one line. */
export async function failsWith(code: number, line: RegExp): Promise<void> {
  await machine.run('systemctl reset-failed amqproxy.service; systemctl start amqproxy.service');
  await until('the service to fail', async () => (await property('ActiveState')) === 'failed');
  assert.equal(await property('ExecMainStatus'), String(code), await journal('-n 5'));
  const { output } = await machine.run('systemctl status amqproxy.service --no-pager --full');
  const said = output.split('\n').filter(text => / amqproxy\[\d+\]: amqproxy: /.test(text));
  assert.equal(said.length, 1, output);
  assert.match(said[0], line);
  console.log(`  ${code}: ${said[0].replace(/^.*?\]: /, '')}`);
}
