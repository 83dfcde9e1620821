/** What an operator sees of a running proxy. */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { commandNames, commandOf } from '../../src/console/table.ts';
import * as f from '../differential/frames.ts';
import { peopledBroker, proxyOnly, queueName, settingsFile } from '../support/fixture.ts';
import { Operator, type Row } from '../support/operator.ts';
import { AmqProxy } from '../support/proxy.ts';
import { until } from '../support/rabbitmq.ts';
import { type LoginOptions, publish, RawClient } from '../support/raw-client.ts';

describe('The console shows', () => {
  const operator = new Operator();
  let proxy: AmqProxy;
  const clients: RawClient[] = [];
  const login = async (options: LoginOptions = {}): Promise<RawClient> => {
    const client = await RawClient.start(proxy.port, options);
    clients.push(client);
    return client;
  };
  before(async function () {
    proxyOnly(this);
    proxy = await operator.start((await peopledBroker()).url, [], ['--log-level', 'debug']);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.left();
  });
  after(() => proxy?.stop());

  it('clients: who they are, what they have done and have', async () => {
    const client = await login({ user: 'alice', secret: 'wonder', vhost: 'one' });
    await client.open(1);
    const queue = queueName();
    await client.call(f.declare(1, queue), 'queue.declare-ok');
    client.send(publish(1, queue, Buffer.from('a')), publish(1, queue, Buffer.from('b')));
    const row = await until('both messages', async () => (await operator.rows('clients', 'published=2'))[0]);
    expect(row).to.include({ pool: 'alice@one', product: 'test', channels: 1, state: 'leased', waiting: 0 });
    expect(row.address).to.equal(`127.0.0.1:${client.socket.localPort}`);
    expect(row.bytes_in).to.equal(client.socket.bytesWritten);
    const [upstream] = await operator.rows('upstreams', `id=${row.upstream}`);
    expect(upstream).to.include({ pool: 'alice@one', state: 'shared', holder: row.id, leased: 1 });
  });

  it('why a client has an upstream for itself, and the name by which the broker knows that', async () => {
    const broker = await peopledBroker();
    const client = await login();
    await client.open(1);
    const queue = queueName();
    await client.call(f.declare(1, queue), 'queue.declare-ok');
    await client.call(f.consume(1, queue), 'basic.consume-ok');
    const [row] = await operator.rows('clients', 'state=private');
    expect(row.private).to.equal('basic.consume');
    const [upstream] = await operator.rows('upstreams', `id=${row.upstream}`);
    expect(upstream).to.include({ state: 'private', holder: row.id, why: 'basic.consume' });
    const names = (await broker.list('list_connections', 'name')).map(([name]) => name);
    expect(names).to.include(upstream.name);
  });

  it('pools, brokers and settings', async () => {
    await login({ user: 'bob', secret: 'builder', vhost: 'two' });
    const [pool] = await operator.rows('pools', 'id=bob@two');
    expect(pool).to.include({ user: 'bob', vhost: 'two', state: 'ok', clients: 1, upstreams: 1, waiting: 0 });
    const [broker] = await operator.rows('brokers');
    expect(broker).to.include({ id: `127.0.0.1:${(await peopledBroker()).port}`, state: 'up', why: '' });
    expect(broker.upstreams).to.be.at.least(1);
    expect((await operator.rows('config', 'key=admin.socket'))[0]).to.deep.equal({
      key: 'admin.socket',
      value: operator.socket,
      source: `${operator.file}:3`,
      live: 'restart',
    });
    const stats = await operator.rows('stats');
    expect(stats.map(({ span }) => span)).to.deep.equal(['10 s', 'minute', 'hour']);
    expect(stats[2].logins).to.be.above(0);
  });

  it('since when a broker is up or down, why, and when it was tried last', async () => {
    const other = new Operator();
    const two = await other.start(`${(await peopledBroker()).url},amqp://127.0.0.1:1`);
    try {
      const [down] = await until('the other to have been tried', async () => {
        for (const [user, secret] of [
          ['alice', 'wonder'],
          ['bob', 'builder'],
        ])
          (await RawClient.start(two.port, { user, secret, vhost: 'one' })).destroy();
        const rows = await other.rows('brokers', 'state=down');
        return rows.length > 0 ? rows : null;
      });
      expect(down).to.include({ id: '127.0.0.1:1', upstreams: 0 });
      expect(down.why).to.match(/connection refused/);
      const [up] = await other.rows('brokers', 'state=up');
      expect(up).to.include({ why: '', failures: 0 });
      for (const { id } of [up, down]) {
        const ages = async (): Promise<Row> => (await other.rows('brokers', `id=${id}`))[0];
        const before = await ages();
        await until(`${id} to grow older`, async () => (await ages()).for > before.for);
        expect(before.dialed).to.be.at.least(0);
      }
      // it is tried again and again, and still is down since the first time
      const { dials } = down;
      const again = await until('another try', async () => {
        const [row] = await other.rows('brokers', 'state=down');
        return row.dials > dials ? row : null;
      });
      expect(again.dialed).to.be.below(Number(again.for));
    } finally {
      await two.stop();
    }
  });

  it('who waits, and for how long', async () => {
    const other = new Operator();
    const tight = await other.start((await peopledBroker()).url, ['max_upstreams = 1', 'lease_timeout = 30']);
    try {
      const holder = await RawClient.start(tight.port);
      await holder.open(1);
      await holder.call(f.txSelect(1), 'tx.select-ok');
      const waiter = await RawClient.start(tight.port);
      await waiter.open(1);
      waiter.send(f.declare(1, queueName()));
      const row = await until('a wait', async () => (await other.rows('clients', 'state=waiting'))[0]);
      await until('it to grow', async () => {
        const [again] = await other.rows('clients', `id=${row.id}`);
        return Number(again.waiting) > Number(row.waiting);
      });
      const [pool] = await other.rows('pools');
      expect(pool).to.include({ waiting: 1, private: 1 });
      expect(pool.longest_wait).to.be.above(0);
      holder.destroy();
      await waiter.next('queue.declare-ok');
      waiter.destroy();
    } finally {
      await tight.stop();
    }
  });

  it('the way of a client in the log, by its id', async () => {
    const client = await login();
    await client.open(1);
    const queue = queueName();
    await client.call(f.declare(1, queue), 'queue.declare-ok');
    await client.call(f.consume(1, queue), 'basic.consume-ok');
    const [{ id }] = await operator.rows('clients', 'state=private');
    client.send(f.connectionClose());
    await client.next('connection.close-ok');
    client.destroy();
    const messages = async () =>
      (await operator.rows('events')).filter(({ facts }) => (facts as unknown as Row).id === id);
    const way = await until('its end', async () => {
      const events = await messages();
      return events.at(-1)?.message === 'Client gone' ? events : null;
    });
    expect(way.map(({ message }) => message)).to.deep.equal([
      'Client connected',
      'Lease',
      'Promotion to an upstream of its own',
      'Lease',
      'Client gone',
    ]);
    expect(way[2].facts).to.include({ why: 'basic.consume' });
    expect(way[4].facts).to.include({ by: 'the client', published: 0 });
    expect(proxy.log).to.match(
      new RegExp(`^DEBUG Lease id=${id} user=guest vhost=/ client=\\S+ upstream=\\S+ on=u\\d+ `, 'm'),
    );
  });

  it('again and again with --watch, until nobody reads', async () => {
    const watcher = spawn(
      process.execPath,
      ['src/main.ts', 'show', 'brokers', '--watch', '0.1', '--socket', operator.socket],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let out = '';
    watcher.stdout.on('data', text => {
      out += text;
    });
    await until('three of them', () => (out.match(/^ID /gm)?.length ?? 0) >= 3);
    const ended = new Promise(done => watcher.on('exit', done));
    watcher.stdout.destroy();
    expect(await ended).to.equal(0);
  });

  it('it all as tables that fit, and as JSON', async () => {
    await login();
    const narrow = await operator.runWith({ COLUMNS: '60' }, 'show', 'clients');
    expect(narrow).to.include({ code: 0, err: '' });
    const lines = narrow.out.trimEnd().split('\n');
    expect(lines[0]).to.match(/^ID +POOL +/);
    for (const line of lines) expect(line.length, line).to.be.at.most(60);
    const wide = await operator.runWith({ COLUMNS: '250' }, 'show', 'clients', 'user=guest');
    expect(wide.out).to.match(/^ID .* PRODUCT$/m);
    const json = await operator.run('show', 'clients', '--json', 'user=guest');
    expect(JSON.parse(json.out)).to.have.length(1);
    expect((await operator.run('show', 'clients', '--json', 'user=nobody')).out.trim()).to.equal('[]');
    for (const view of ['pools', 'upstreams', 'brokers', 'stats', 'config', 'events'])
      expect((await operator.run('show', view)).code, view).to.equal(0);
  });

  it('the same over HTTP, where nothing can be done', async () => {
    await login();
    const http = proxy.http;
    const read = (await (await fetch(`${http}/show/clients`)).json()) as { rows: Row[] };
    expect(read.rows).to.have.length(1);
    for (const act of commandNames.filter(name => commandOf(name).kind === 'act'))
      for (const method of ['POST', 'GET', 'PUT'])
        for (const path of [act, `show/${act}`, `/${act}`, `./${act}`]) {
          const { status } = await fetch(`${http}/${path}?arg=${read.rows[0].id}&arg=1`, { method });
          expect(status, `${method} ${path}`).to.be.oneOf([404, 405]);
        }
    expect(await operator.rows('clients')).to.have.length(1);
    expect(proxy.log).not.to.match(/Console: (?!listening)|ERROR/);
  });

  const MISTAKES: [args: string[], code: number, line: RegExp][] = [
    [['show'], 64, /show what\? There are clients, pools/],
    [['show', 'client'], 64, /there is no client to show: did you mean clients\?/],
    [['show', 'clients', '--jsn'], 64, /unknown flag --jsn of show: did you mean --json\?/],
    [['show', 'clients', 'colour=red'], 64, /there is no column colour: there are id, pool/],
    [
      ['show', 'pools', '--socket', '/nowhere/admin.sock'],
      69,
      /no amqproxy runs here with a console on \/nowhere/,
    ],
    [['kill', '--reason'], 64, /--reason needs a value/],
  ];
  for (const [args, code, line] of MISTAKES)
    it(`what is wrong: amqproxy ${args.join(' ')}`, async () => {
      await login();
      const ended = await operator.run(...args);
      expect(ended.code, ended.err).to.equal(code);
      expect(ended.err.trimEnd().split('\n')).to.have.length(1);
      expect(ended.err)
        .to.match(/^amqproxy: /)
        .and.match(line);
    });

  it('nothing that steers a terminal or forges a line, whatever a client calls itself', async () => {
    const evil = '\x1b]0;owned\x07\n\u202ebob <script>alert(1)</script>';
    const client = await RawClient.connect(proxy.port);
    clients.push(client);
    await client.login({ title: evil });
    const { out } = await operator.runWith({ COLUMNS: '1000' }, 'show', 'clients');
    expect(out).to.include('\\u001b]0;owned\\u0007\\u000a\\u202ebob');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(out).not.to.match(/[\x00-\x09\x0b-\x1f\u202e]/);
    expect((await operator.rows('clients'))[0].name).to.equal(evil);
    await until('the log', () => proxy.log.includes('owned'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(proxy.log).not.to.match(/[\x00-\x09\x0b-\x1f]/);
  });

  it('no secret', async () => {
    await login({ user: 'alice', secret: 'wonder', vhost: 'one' });
    for (const view of ['clients', 'pools', 'upstreams', 'brokers', 'stats', 'config', 'events'])
      expect(JSON.stringify(await operator.rows(view)), view).not.to.include('wonder');
  });
});

describe('log_connections', () => {
  it('tells at info who comes and goes, and how much they did', async function () {
    proxyOnly(this);
    const file = settingsFile('log_connections = yes');
    // not at debug
    const { url } = await peopledBroker();
    const proxy = AmqProxy.spawn(['-l', '127.0.0.1', '-p', '0', '-b', '0', '-c', file, url]);
    const listens = /Proxy listening on 127\.0\.0\.1:(\d+)/;
    const port = Number((await until('it to listen', () => listens.exec(proxy.log)))[1]);
    for (let i = 0; i < 15; i++) {
      const client = await RawClient.start(port, { title: 'worker' });
      await client.open(1);
      client.send(f.publish(1, 'nowhere', 'x'), f.connectionClose());
      await client.next('connection.close-ok');
      client.destroy();
    }
    // a look at the port is no client
    (await RawClient.connect(port)).destroy();
    const lines = await until('the last one', () => {
      const found = proxy.log.match(/^INFO Client gone .*$/gm) ?? [];
      return found.length === 15 ? found : null;
    });
    expect(
      proxy.log.match(
        /^INFO Client connected id=c\d+ user=guest .* login=reused ms=[\d.]+ name=worker product=test$/gm,
      ),
    ).to.have.length(14);
    for (const line of lines)
      expect(line).to.match(
        / by="the client" seconds=[\d.]+ published=1 delivered=0 bytes_in=\d+ bytes_out=\d+$/,
      );
    expect(proxy.log).not.to.match(/Lease|before it logged in/);
    await proxy.stop();
  });
});

describe('The control socket', () => {
  it('is for its owner and group only, goes with the process, and takes the place of one that was left behind', async () => {
    const operator = new Operator();
    const { url } = await peopledBroker();
    const first = await operator.start(url);
    expect(statSync(operator.socket).mode & 0o777).to.equal(0o660);
    await first.stop();
    expect(existsSync(operator.socket)).to.equal(true);
    const second = await operator.start(url);
    expect(await operator.rows('clients')).to.deep.equal([]);
    second.signal('SIGTERM');
    expect(await second.exited()).to.equal(0);
    expect(existsSync(operator.socket)).to.equal(false);
  });

  it('of another process is left alone, and the start ends with 78', async () => {
    const operator = new Operator();
    const proxy = await operator.start((await peopledBroker()).url);
    const second = AmqProxy.spawn(['-p', '0', '-b', '0', '-c', operator.file, 'amqp://127.0.0.1:1']);
    expect(await second.exited()).to.equal(78);
    expect(second.log).to.match(
      /the console cannot listen on \S+: the port is in use\. Mend socket in \[admin\]/,
    );
    expect(await operator.rows('clients')).to.deep.equal([]);
    await proxy.stop();
  });

  it('is none without a runtime directory, and in it where the service manager gives one', async () => {
    const { url } = await peopledBroker();
    const none = await AmqProxy.start(url, [], { RUNTIME_DIRECTORY: '' });
    expect(none.log).not.to.include('Console listening');
    await none.stop();
    const operator = new Operator();
    const dir = operator.socket.replace(/\/admin\.sock$/, '');
    const one = await AmqProxy.start(url, [], { RUNTIME_DIRECTORY: dir });
    expect(await operator.rows('pools')).to.deep.equal([]);
    await one.stop();
  });

  it('says a plain word to who may not open it', async function () {
    if (process.getuid?.() !== 0) this.skip();
    const operator = new Operator();
    const proxy = await operator.start((await peopledBroker()).url);
    const { execFileSync } = await import('node:child_process');
    // a user that nobody is
    const asNobody = (): string => {
      try {
        return execFileSync(
          'setpriv',
          [
            '--reuid=65534',
            '--regid=65534',
            '--clear-groups',
            process.execPath,
            'src/main.ts',
            'show',
            'clients',
            '--socket',
            operator.socket,
          ],
          { encoding: 'utf8', stdio: 'pipe' },
        );
      } catch (error) {
        const { status, stderr } = error as { status: number; stderr: string };
        return `${status} ${stderr}`;
      }
    };
    expect(asNobody()).to.match(/^77 amqproxy: you may not use the console on /);
    await proxy.stop();
  });
});
