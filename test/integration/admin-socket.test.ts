/** The console on a Unix socket that the service manager keeps open (FileDescriptorName=admin). */
import { join } from 'node:path';
import { expect } from 'chai';
import { tempDir } from '../support/cleanup.ts';
import { proxyOnly } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import { AmqProxy } from '../support/proxy.ts';
import { sharedBroker } from '../support/rabbitmq.ts';

describe('A control socket that is handed over', () => {
  const path = join(tempDir('admin'), 'given.sock');
  const operator = new Operator();
  let proxy: AmqProxy;

  before(async function () {
    proxyOnly(this);
    proxy = await AmqProxy.onPath(path, 'admin', (await sharedBroker()).url);
  });
  after(() => proxy?.stop());

  it('answers what is shown, and acts', async () => {
    const shown = await operator.run('show', 'brokers', '--json', '--socket', path);
    expect(shown.err).to.equal('');
    expect(JSON.parse(shown.out)).to.have.length(1);
    const done = await operator.run('pause', '--socket', path);
    expect(done.code, done.err).to.equal(0);
    expect(proxy.log).to.match(/[Pp]ause/);
    expect((await operator.run('resume', '--socket', path)).code).to.equal(0);
  });
});
