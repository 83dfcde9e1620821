/** max_clients and max_clients_per_user: never more, and nobody is refused while there is room. */
import { expect } from 'chai';
import { PROTOCOL_HEADER } from '../../src/amqp/frame.ts';
import * as f from '../differential/frames.ts';
import { Fixture, proxyOnly, settingsFile } from '../support/fixture.ts';
import { closeOf, type LoginOptions, RawClient } from '../support/raw-client.ts';

describe('A limit on clients', () => {
  const to = new Fixture();
  const clients: RawClient[] = [];
  before(function () {
    proxyOnly(this);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await to.stop();
  });

  /** What a client hears that comes now, and stays. */
  const login = async (options: LoginOptions = {}): Promise<string> => {
    const client = await RawClient.connect(to.port);
    clients.push(client);
    const frame = (await client.login(options))!;
    return frame.name === 'connection.open-ok' ? 'welcome' : closeOf(frame).text;
  };

  for (const setting of ['max_clients', 'max_clients_per_user'])
    it(`${setting}: who has been refused, and does not hang up, takes nobody's place`, async () => {
      await to.start(['-c', settingsFile(`${setting} = 2`)]);
      expect([await login(), await login()]).to.deep.equal(['welcome', 'welcome']);
      for (let n = 0; n < 5; n++) expect(await login()).to.include(`${setting} (2) clients already`);
      const [first] = clients;
      await first.call(f.connectionClose(), 'connection.close-ok');
      expect(await login(), 'in the place of one that was told that it is gone').to.equal('welcome');
      expect(await login()).to.include(`${setting} (2) clients already`);
    });

  it('is not used up by who has yet to log in', async () => {
    await to.start(['-c', settingsFile('max_clients = 2')]);
    for (let n = 0; n < 5; n++) {
      const client = await RawClient.connect(to.port);
      clients.push(client);
      client.send(PROTOCOL_HEADER);
      await client.next('connection.start');
    }
    expect([await login(), await login()]).to.deep.equal(['welcome', 'welcome']);
    expect(await login()).to.include('max_clients (2) clients already');
  });
});
