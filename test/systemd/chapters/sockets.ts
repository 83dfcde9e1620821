/** Socket activation. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { PROTOCOL_HEADER } from '../../../src/amqp/frame.ts';
import { Authority } from '../../support/certs.ts';
import { v1 } from '../../support/proxy-header.ts';
import { sleep, until } from '../../support/rabbitmq.ts';
import { RawClient } from '../../support/raw-client.ts';
import { shortLife } from '../../support/short-life.ts';
import {
  active,
  configure,
  dropIn,
  http,
  journalOfThisRun,
  machine,
  PORT,
  property,
  publish,
  step,
  write,
} from '../machine.ts';

/** Connects across one restart: some one after the other, some at once while there is no process. */
const STREAM = 600;
const BURST = 900;
/** Web requests across another one: each logs in, publishes, and hangs up when its close is answered. */
const PER_SECOND = 500;
const LIVES = 1500;

export async function sockets(): Promise<void> {
  await step('systemctl enable --now amqproxy.socket takes over from a service that runs', async () => {
    const pid = await property('MainPID');
    assert.equal(await active(), true);
    await machine.do('systemctl enable --now amqproxy.socket');
    await until(
      'the service to run again',
      async () => (await active()) && (await property('MainPID')) !== pid,
    );
    assert.match(await journalOfThisRun(), /^Sockets come from the service manager/m);
    await publish('story');
    // what a machine does when it boots with both enabled: neither stops the other
    await machine.do('systemctl stop amqproxy.socket amqproxy.service');
    await machine.do('systemctl start amqproxy.socket amqproxy.service');
    assert.equal(await active(), true);
    await publish('story');
    // and the socket again, alone
    await machine.do('systemctl restart amqproxy.socket');
    await until('the service', active);
    await publish('story');
  });

  await step('the socket unit starts the service with the first client', async () => {
    await machine.do(
      'systemctl stop amqproxy.socket && systemctl disable --now amqproxy.service && systemctl enable --now amqproxy.socket',
    );
    assert.equal(await active(), false);
    await publish('story');
    assert.equal(await active(), true);
    assert.match(
      await journalOfThisRun(),
      /^Sockets come from the service manager: \[listen\] address, port and tls_port are not used$/m,
    );
    assert.match(await machine.do(`ss -ltnH 'sport = :${PORT}'`), /LISTEN +0 +4096 /);
  });

  await step(`a restart under load refuses none of ${STREAM + BURST} connects`, async () => {
    let refused = 0;
    let greeted = 0;
    let lost = 0;
    const one = (): Promise<void> =>
      new Promise(resolve => {
        let answered = false;
        const socket = connect(PORT, '127.0.0.1', () => socket.write(PROTOCOL_HEADER));
        socket.setTimeout(20_000, () => socket.destroy());
        socket.once('data', () => {
          answered = true;
          greeted++;
          socket.destroy();
        });
        socket.on('error', () => {
          if (socket.connecting) refused++;
        });
        socket.on('close', () => {
          if (!answered) lost++;
          resolve();
        });
      });
    const all: Promise<void>[] = [];
    const restarted = sleep(200).then(() => machine.do('systemctl restart amqproxy'));
    for (let i = 0; i < STREAM; i++) {
      all.push(one());
      if (i === STREAM / 2) for (let n = 0; n < BURST; n++) all.push(one());
      await sleep(2);
    }
    await Promise.all([...all, restarted]);
    console.log(`  ${greeted} greeted, ${refused} refused, ${lost} without an answer`);
    assert.deepEqual({ refused, lost, greeted }, { refused: 0, lost: 0, greeted: STREAM + BURST });
  });

  await step(`a restart under ${PER_SECOND} short clients a second closes none of them`, async () => {
    const queue = 'restarted';
    const ends = new Map<string, number>();
    const request = async (): Promise<void> => {
      const end = await shortLife(PORT, queue);
      ends.set(end, (ends.get(end) ?? 0) + 1);
    };
    const lives: Promise<void>[] = [];
    const pid = await property('MainPID');
    const restarted = sleep(1000).then(() => machine.do('systemctl restart amqproxy'));
    for (let n = 0; n < LIVES; n++) {
      lives.push(request());
      await sleep(1000 / PER_SECOND);
    }
    await Promise.all([...lives, restarted]);
    console.log(`  ${[...ends].map(([end, n]) => `${n} ${end}`).join(', ')}`);
    assert.notEqual(await property('MainPID'), pid);
    assert.deepEqual(Object.fromEntries(ends), { served: LIVES });
  });

  await step('a port under 1024', async () => {
    const file = '/etc/systemd/system/amqproxy.socket.d/port.conf';
    await write(file, ['[Socket]', 'ListenStream=127.0.0.1:567']);
    await machine.do('systemctl daemon-reload && systemctl stop amqproxy.socket amqproxy.service');
    await machine.do('systemctl start amqproxy.socket');
    await publish('story', 'amqp://guest:guest@127.0.0.1:567/');
    await publish('story');
    await machine.do(`rm -r $(dirname ${file})`);
  });

  await step('sockets named amqps and http, with a key that only root may read', async () => {
    const certificate = new Authority().sign('machine', 'DNS:localhost,IP:127.0.0.1');
    const unit = (name: string, port: number): Promise<string> =>
      write(`/etc/systemd/system/amqproxy-${name}.socket`, [
        '[Socket]',
        `ListenStream=127.0.0.1:${port}`,
        `FileDescriptorName=${name}`,
        'Service=amqproxy.service',
      ]);
    await unit('amqps', 5671);
    await unit('http', 80);
    await machine.do(`install -m 600 ${machine.bring(certificate.key)} /etc/tls.key`);
    await machine.do(`install -m 644 ${machine.bring(certificate.cert)} /etc/tls.pem`);
    await configure(
      '[listen]',
      'tls_cert = /etc/tls.pem',
      'tls_key = /run/credentials/amqproxy.service/tls.key',
    );
    await dropIn('LoadCredential=tls.key:/etc/tls.key');
    await machine.do('systemctl stop amqproxy.service amqproxy.socket');
    await machine.do('systemctl start amqproxy.socket amqproxy-amqps.socket amqproxy-http.socket');
    await publish('story', 'amqps://guest:guest@localhost:5671/', { ca: [readFileSync(certificate.ca)] });
    await publish('story');
    assert.equal((await http('/readyz', 80)).status, 200);
    await assert.rejects(http('/readyz'), 'the port of the settings is served, too');
    assert.match(await journalOfThisRun(), /^The HTTP socket comes from the service manager/m);
    await machine.do(
      'systemctl stop amqproxy-amqps.socket amqproxy-http.socket amqproxy.socket amqproxy.service',
    );
    await machine.do('rm /etc/systemd/system/amqproxy-*.socket');
    await dropIn(null);
    await configure();
  });

  await step('a socket named as a section [listen NAME], and a Unix socket', async () => {
    await configure(
      '[listen balanced]',
      'proxy_protocol = yes',
      'proxy_from = 127.0.0.0/8',
      '[listen app]',
      'socket = /run/amqproxy/app.sock',
      'socket_mode = 0666',
    );
    await write('/etc/systemd/system/amqproxy-balanced.socket', [
      '[Socket]',
      'ListenStream=127.0.0.1:567',
      'FileDescriptorName=balanced',
      'Service=amqproxy.service',
    ]);
    await machine.do('systemctl daemon-reload && systemctl stop amqproxy.service amqproxy.socket');
    await machine.do('systemctl start amqproxy-balanced.socket amqproxy.service');
    assert.match(
      await journalOfThisRun(),
      /^The socket of \[listen balanced\] comes from the service manager$/m,
    );
    const client = await RawClient.connect(567);
    client.send(v1('192.0.2.7', 4711));
    assert.equal((await client.login())?.name, 'connection.close'); // guest, from another host
    client.destroy();
    assert.match(await journalOfThisRun(), /user 'guest' can only connect via localhost/);
    assert.equal(await machine.do("stat -c '%a %F' /run/amqproxy/app.sock"), '666 socket');
    await publish('story');
    await machine.do('systemctl stop amqproxy-balanced.socket amqproxy.service');
    await machine.do('rm /etc/systemd/system/amqproxy-*.socket && systemctl daemon-reload');
    await configure();
  });

  await step('without the sockets it listens by itself again', async () => {
    await machine.do('systemctl disable amqproxy.socket && systemctl enable --now amqproxy.service');
    await until('it to serve', async () => (await http('/readyz').catch(() => null))?.ok);
    await publish('story');
  });
}
