/** Where several workers take clients: what each of them listens on, from the start and by a reload. */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { Authority } from '../support/certs.ts';
import { tempDir } from '../support/cleanup.ts';
import { Crew } from '../support/crew.ts';
import { FaultyBroker } from '../support/faulty-broker.ts';
import { proxyOnly } from '../support/fixture.ts';
import { freePort } from '../support/ports.ts';
import { sharedBroker, until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

describe('Listeners of several workers', () => {
  before(function () {
    proxyOnly(this);
  });

  it('speak TLS, listen on Unix sockets, and in sections, whoever takes the client', async () => {
    const dir = tempDir('workers');
    const authority = new Authority();
    const { cert, key } = authority.sign('server', 'DNS:localhost,IP:127.0.0.1');
    const socket = join(dir, 'app.sock');
    const crew = new Crew();
    try {
      await crew.start((await sharedBroker()).url, [
        '[listen secure]',
        'port = 0',
        'address = 127.0.0.1',
        'tls = yes',
        `tls_cert = ${cert}`,
        `tls_key = ${key}`,
        '[listen app]',
        `socket = ${socket}`,
      ]);
      const port = Number(/listening on 127\.0\.0\.1:(\d+) \(\[listen secure\]\)/.exec(crew.proxy.log)![1]);
      expect(crew.proxy.log).to.include(`Proxy listening on ${socket} ([listen app])`);
      for (let n = 0; n < 10; n++) (await crew.login({ tls: true }, port)).destroy();
      for (let n = 0; n < 10; n++) {
        const client = RawClient.over(connect(socket));
        expect((await client.login())!.name).to.equal('connection.open-ok');
        client.destroy();
      }
    } finally {
      await crew.stop();
    }
  });

  it('come, move and go with a reload, for every worker, and outlive it', async () => {
    const socket = join(tempDir('workers'), 'app.sock');
    const crew = new Crew();
    try {
      await crew.start((await sharedBroker()).url);
      const { proxy } = crew;
      const before = readFileSync(crew.file, 'utf8');
      const reload = async (...sections: string[]): Promise<void> => {
        const lines = proxy.log.length;
        writeFileSync(crew.file, `${before}\n${sections.join('\n')}\n`);
        proxy.signal('SIGHUP');
        await until('the reload', () => /Reloaded/.test(proxy.log.slice(lines)));
      };
      const app = ['[listen app]', `socket = ${socket}`];
      const later = (port: number): string[] => ['[listen later]', 'address = localhost', `port = ${port}`];
      const refused = (where: number | string): Promise<boolean> =>
        new Promise(resolve => {
          const socket = connect(typeof where === 'number' ? { port: where } : { path: where });
          socket.on('error', () => resolve(true));
          socket.on('connect', () => socket.destroy()).on('close', () => resolve(false));
        });

      await reload(...app, ...later(0));
      const port = Number(/listening on 127\.0\.0\.1:(\d+) \(\[listen later\]\)/.exec(proxy.log)![1]);
      expect(proxy.log).to.include(`Proxy listening on ${socket} ([listen app])`);
      const [stays] = await crew.oneOnEach({}, port);
      for (let n = 0; n < 4; n++) {
        const client = RawClient.over(connect(socket));
        expect((await client.login())!.name).to.equal('connection.open-ok');
        client.destroy();
      }

      // who connects while a worker is replaced waits, and is served by the next one
      process.kill(crew.pids[1], 'SIGKILL');
      await crew.oneOnEach({}, port);
      await crew.allThere();

      const there = await freePort();
      await reload(...later(there));
      for (const client of await crew.oneOnEach({}, there)) client.destroy();
      expect(await refused(port), 'where it has listened').to.equal(true);
      expect(await refused(socket), 'a section that has gone').to.equal(true);

      const taken = await FaultyBroker.start('silent');
      await reload(...later(taken.port));
      expect(proxy.log).to.match(
        /WARN \[listen later\] does not listen: cannot listen on .*the port is in use\. Stop what listens there/,
      );
      await taken.end();
      await reload(...later(taken.port));
      for (const client of await crew.oneOnEach({}, taken.port)) client.destroy();

      const { cert, key } = new Authority().sign('server', 'DNS:localhost,IP:127.0.0.1');
      await reload(...later(taken.port), 'tls = yes', `tls_cert = ${cert}`, `tls_key = ${key}`);
      const said = proxy.log.match(/WARN \[listen later\] tls changes at the next restart only/g);
      expect(said, 'said once').to.have.length(1);

      await reload();
      expect(await refused(taken.port), 'a section that has gone').to.equal(true);
      await stays.open(7);
      (await crew.login()).destroy();
    } finally {
      await crew.stop();
    }
  });

  it('that cannot be opened end the start, with what to do', async () => {
    const [taken, late] = [new Crew(), new Crew()];
    try {
      const first = await taken.start((await sharedBroker()).url);
      const error = await late.start((await sharedBroker()).url, [], ['-p', String(first.port)]).then(
        () => '',
        (error: Error) => error.message,
      );
      expect(error).to.match(
        /cannot listen on 127\.0\.0\.1:\d+: the port is in use\. Stop what listens there/,
      );
    } finally {
      await taken.stop();
      await late.stop();
    }
  });
});
