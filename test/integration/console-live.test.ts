/** The live views: the page in a real browser, and `amqproxy top` on a terminal. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { chromium, hasChromium } from '../support/chromium.ts';
import { tempDir } from '../support/cleanup.ts';
import { peopledBroker, proxyOnly, queueName } from '../support/fixture.ts';
import { Operator } from '../support/operator.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { until } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');
const EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>';

describe('Live', () => {
  const operator = new Operator();
  let proxy: AmqProxy;
  const clients: RawClient[] = [];
  before(async function () {
    proxyOnly(this);
    proxy = await operator.start((await peopledBroker()).url);
    for (const [user, secret, vhost] of [
      ['alice', 'wonder', 'one'],
      ['bob', 'builder', 'two'],
      ['bob', 'builder', 'two'],
    ]) {
      const client = await RawClient.connect(proxy.port);
      await client.login({ user, secret, vhost, title: user === 'alice' ? EVIL : 'worker' });
      clients.push(client);
    }
    await clients[0].open(1);
    const queue = queueName();
    await clients[0].call(f.declare(1, queue), 'queue.declare-ok');
    await clients[0].call(f.consume(1, queue), 'basic.consume-ok');
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await proxy?.stop();
  });

  describe('the page', () => {
    before(function () {
      if (!hasChromium()) this.skip();
    });
    const look = (...args: string[]): Promise<string> => chromium(`${proxy.http}/`, ...args);

    it('shows brokers, pools, upstreams and clients in a browser, and runs nothing that a client brings', async () => {
      const dom = await look('--dump-dom');
      expect(dom).to.match(/id="state" class="">as of /);
      for (const text of [
        'alice@one',
        'bob@two',
        'basic.consume',
        `127.0.0.1:${(await peopledBroker()).port}`,
      ])
        expect(dom).to.include(text);
      expect(dom).to.include('&lt;img src=x').and.not.include('<img');
      expect(dom).to.include('<title>amqproxy</title>');
      expect(dom.match(/<svg/g)).to.have.length(4);
    });

    it('fits on a phone, in the dark, too', async () => {
      const file = join(tempDir('picture'), 'page.png');
      await look('--force-dark-mode', '--window-size=400,900', `--screenshot=${file}`);
      expect(readFileSync(file).subarray(1, 4).toString()).to.equal('PNG');
      expect(statSync(file).size).to.be.above(5000);
    });

    it('is for nobody whom another name has led here', async () => {
      const status = (path: string, host: string): Promise<number> =>
        new Promise((done, failed) => {
          request(`${proxy.http}${path}`, { headers: { host } }, answer => {
            answer.resume();
            done(answer.statusCode!);
          })
            .on('error', failed)
            .end();
        });
      for (const path of ['/', '/show/clients']) {
        expect(await status(path, 'evil.example:15673')).to.equal(403);
        for (const host of ['localhost:15673', '127.0.0.1', '[::1]:15673'])
          expect(await status(path, host)).to.equal(200);
      }
      expect(await status('/metrics', 'proxy.example')).to.equal(200);
    });

    it('loads nothing from another host, and says so to the browser', async () => {
      const answer = await fetch(`${proxy.http}/`);
      const html = await answer.text();
      expect(html).not.to.match(/(src|href)\s*=|url\(|import\b/);
      expect(answer.headers.get('content-security-policy')).to.match(
        /^default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; connect-src 'self'/,
      );
    });
  });

  describe('amqproxy top', () => {
    const tmux = (...args: string[]): string =>
      execFileSync('tmux', ['-L', `amqproxy-${process.pid}`, ...args], { encoding: 'utf8' });
    const seen = (): string => tmux('capture-pane', '-p', '-t', 'top');
    const shows = (what: RegExp): Promise<string> =>
      until(`${what} on the screen`, () => (what.test(seen()) ? seen() : null));
    before(function () {
      if (!existsSync('/usr/bin/tmux')) this.skip();
      tmux(
        '-f',
        '/dev/null',
        'new-session',
        '-d',
        '-s',
        'top',
        '-x',
        '120',
        '-y',
        '24',
        `AMQPROXY_ADMIN_SOCKET=${operator.socket} ${process.execPath} ${main} top; echo ended $?; sleep 30`,
      );
    });
    after(() => {
      try {
        tmux('kill-server');
      } catch {
        // it was not started
      }
    });

    it('shows pools, goes from one to its clients and their upstreams and back, sorts, filters, and leaves the terminal as it was', async () => {
      const screen = await shows(/bob@two +ok +2/);
      expect(screen)
        .to.match(/^amqproxy +\S+ logins\/s/m)
        .and.match(/^ID +STATE +CLIENTS/m);
      expect(screen).to.match(/p pools {2}c clients {2}u upstreams/);
      const pools = screen.split('\n').filter(line => /@/.test(line));
      const alice = pools.findIndex(line => line.startsWith('alice@one'));
      for (let i = 0; i < alice; i++) tmux('send-keys', '-t', 'top', 'Down');
      tmux('send-keys', '-t', 'top', 'Enter');
      await shows(/clients where pool=alice@one\n.*\n.*alice@one .*private/);
      tmux('send-keys', '-t', 'top', 'Enter');
      await shows(/upstreams where c\d+\n.*\nu\d+ +alice@one.*basic\.consume/);
      tmux('send-keys', '-t', 'top', 'Escape');
      await shows(/clients where pool=alice@one/);
      tmux('send-keys', '-t', 'top', 'c');
      await shows(/^clients\n/m);
      tmux('send-keys', '-t', 'top', '/', 'worker', 'Enter');
      expect(await shows(/clients where worker\n.*\n.*bob@two/)).not.to.include('alice');
      tmux('send-keys', '-t', 'top', 's', 's');
      await shows(/clients where worker, by pool/);
      tmux('resize-window', '-t', 'top', '-x', '60');
      for (const line of (await shows(/bob@two/)).split('\n')) expect(line.length).to.be.at.most(60);
      tmux('send-keys', '-t', 'top', 'q');
      expect(await shows(/ended 0/)).not.to.include('bob@two');
    });
  });

  it('top without a terminal says what to do instead', async () => {
    const ended = await operator.run('top');
    expect(ended).to.deep.include({
      code: 64,
      err: 'amqproxy: top needs a terminal; amqproxy show prints to anything\n',
    });
  });
});
