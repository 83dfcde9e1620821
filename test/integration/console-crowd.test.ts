/** Looking at very many clients costs nobody else a wait, and whoever looks and goes away leaves nothing. */
import { connect } from 'node:net';
import { expect } from 'chai';
import { Canary } from '../support/canary.ts';
import { peopledBroker, proxyOnly, queueName } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { sleep, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const CLIENTS = 10_000;
/** Far from what anybody should wait, and far above what a busy machine may add. */
const STALL_MS = 1000;

describe(`With ${CLIENTS} clients`, () => {
  const operator = new Operator();
  let proxy: AmqProxy;
  const crowd: RawClient[] = [];
  before(async function () {
    proxyOnly(this);
    this.timeout(180_000);
    proxy = await operator.start((await peopledBroker()).url);
    while (crowd.length < CLIENTS)
      crowd.push(
        ...(await Promise.all(
          Array.from({ length: 100 }, (_, i) =>
            RawClient.start(proxy.port, { title: `worker ${crowd.length + i}` }),
          ),
        )),
      );
  });
  after(async () => {
    for (const client of crowd) client.destroy();
    await proxy?.stop();
  });

  it('all of them are shown while a canary sings on', async function () {
    this.timeout(120_000);
    const canary = await Canary.start(proxy.port, queueName('canary'));
    await sleep(1000);
    const before = canary.worst;
    const began = performance.now();
    // by a process of its own: reading 4 MB takes its time, too
    for (let i = 0; i < 3; i++) {
      const { out, code } = await operator.run('show', 'clients');
      expect(code).to.equal(0);
      expect(out.trimEnd().split('\n')).to.have.length(CLIENTS + 2 + 2);
    }
    const took = performance.now() - began;
    await canary.stop();
    expect(canary.complaints).to.deep.equal([]);
    expect(canary.worst).to.be.below(STALL_MS);
    console.log(
      `      the canary's worst wait: ${Math.round(before)} ms before, ${Math.round(canary.worst)} ms while three were shown in ${Math.round(took)} ms`,
    );
  });

  it('a reader that does not read, and then hangs up, leaves nothing', async () => {
    const canary = await Canary.start(proxy.port, queueName('canary'));
    const before = proxy.descriptors;
    const readers = Array.from({ length: 10 }, () => {
      const socket = connect(operator.socket);
      socket.on('error', () => {});
      socket.pause();
      socket.write('GET /show/clients HTTP/1.1\r\nHost: x\r\n\r\n');
      return socket;
    });
    await until('all of them', () => proxy.descriptors === before + readers.length);
    expect((await operator.rows('clients', 'name=worker 77'))[0].name).to.equal('worker 77');
    for (const socket of readers) socket.destroy();
    await until('none of them', () => proxy.descriptors === before);
    await canary.stop();
    expect(canary.complaints).to.deep.equal([]);
  });

  it('the few that matter most are picked there', async () => {
    const { body } = await operator.ask('GET', '/show/clients?limit=5&filter=worker');
    expect(body.rows).to.have.length(5);
    expect(body.total).to.equal(CLIENTS);
  });

  it('all of those that are meant are closed at once', async function () {
    this.timeout(60_000);
    const canary = await Canary.start(proxy.port, queueName('canary'));
    const { out } = await operator.run('kill', 'name=worker *', '--reason', 'end of work');
    expect(out).to.match(new RegExp(`^${CLIENTS} clients closed: c\\d+, `));
    await Promise.all(crowd.map(client => client.next('connection.close', 30)));
    await canary.stop();
    expect(canary.complaints).to.deep.equal([]);
  });
});
