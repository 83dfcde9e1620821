/** What bash, zsh and fish offer after `amqproxy`: commands, and what runs right now. */
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { tempDir } from '../support/cleanup.ts';
import { peopledBroker, proxyOnly } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { RawClient } from '../support/raw-client.ts';
import { CommandLine, hasShell, shells } from '../support/shells.ts';

describe('Completion', () => {
  const operator = new Operator();
  let line: CommandLine;
  let proxy: AmqProxy;
  let broker: string;
  const dir = tempDir('evil');
  /** A vhost that would run something, were it ever read as a command. */
  const evil = `it's $(touch ${dir}/a) \`touch ${dir}/b\`; touch ${dir}/c; (touch ${dir}/d)`;
  const clients: RawClient[] = [];
  before(async function () {
    proxyOnly(this);
    const rabbit = await peopledBroker();
    await rabbit.ctl('add_vhost', evil);
    await rabbit.ctl('set_permissions', '-p', evil, 'bob', '.*', '.*', '.*');
    proxy = await operator.start(rabbit.url);
    broker = `127.0.0.1:${rabbit.port}`;
    line = new CommandLine(operator.socket);
    for (const [user, secret, vhost] of [
      ['alice', 'wonder', 'one'],
      ['bob', 'builder', 'two'],
      ['bob', 'builder', evil],
    ])
      clients.push(await RawClient.start(proxy.port, { user, secret, vhost }));
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await proxy?.stop();
    await (await peopledBroker()).ctl('delete_vhost', evil);
  });

  for (const shell of shells)
    describe(`in ${shell}`, () => {
      before(function () {
        if (!hasShell(shell)) this.skip();
      });
      const offered = (...words: string[]): Promise<string[]> => line.complete(shell, ...words);

      it('knows the commands and what can be shown', async () => {
        expect(await offered('')).to.include.members(['show', 'top', 'kill', 'switch', 'check']);
        expect(await offered('show', '')).to.include.members(['clients', 'pools', 'upstreams', 'events']);
        expect(await offered('show', 'cl')).to.deep.equal(['clients']);
        expect(await offered('show', 'clients', 'p')).not.to.include('pools');
        expect(await offered('pause', '--t')).to.include('--timeout');
        expect(await offered('set', 'max_clients_')).to.deep.equal(['max_clients_per_user']);
      });

      it('knows clients, pools and brokers that are there', async () => {
        const ids = (await operator.rows('clients')).map(({ id }) => String(id));
        for (const words of [
          ['kill', 'c'],
          ['kill', ids[0], 'c'],
          ['debug', 'c'],
        ])
          expect(await offered(...words), words.join(' ')).to.have.members(ids);
        for (const command of ['pause', 'resume', 'reconnect']) {
          expect(await offered(command, 'alice')).to.deep.equal(['alice@one']);
          expect(await offered(command, '127')).to.deep.equal([broker]);
        }
        expect(await offered('drain', '127')).to.deep.equal([broker]);
        expect(await offered('drain', 'alice')).to.deep.equal([]);
      });

      it('runs nothing that a name says', async () => {
        expect(await offered('pause', 'bob')).to.have.members(['bob@two', `bob@${evil}`]);
        expect(readdirSync(dir)).to.deep.equal([]);
      });
    });
});
