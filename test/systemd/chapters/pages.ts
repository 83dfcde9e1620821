/** The commands in the pages, as they stand: a block that begins with ```sh is typed into the machine with the service. */
import { strict as assert } from 'node:assert';
import { globSync, readFileSync } from 'node:fs';
import { until } from '../../support/rabbitmq.ts';
import { active, configure, machine, publish, restart, step } from '../machine.ts';

/** The blocks of commands of a page. */
const blocks = (page: string): string[] =>
  [...readFileSync(page, 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);

/** Blocks that are about the sources and not about a machine where the package is installed. */
const BUILDS = /^\S*(make|dist\/amqproxy)\b/m;

export async function pages(): Promise<void> {
  const key = '/etc/ssl/private/amqproxy.key';
  for (const page of globSync('packaging/doc/*.md')) {
    const commands = blocks(page).filter(block => !BUILDS.test(block));
    if (commands.length === 0) continue;
    await step(`every command in ${page} does what it says (${commands.length} blocks)`, async () => {
      await configure();
      await machine.do(
        `mkdir -p $(dirname ${key}) && touch ${key} && systemctl enable --now amqproxy.service`,
      );
      for (const block of commands) {
        await machine.do(`set -e; { ${block}\n}`);
        await machine.do('systemctl reset-failed');
        await until('the service', active);
      }
      await machine.do('rm -rf /etc/systemd/system/amqproxy.s*.d /etc/systemd/system/amqproxy-2.service');
      await machine.do(`rm -f /etc/amqproxy.d/* /etc/amqproxy-2.ini ${key} && systemctl daemon-reload`);
      await machine.do('systemctl disable --now amqproxy.socket');
      await configure();
      await restart();
      await until('the service', active);
      await publish('story');
      assert.equal(await active(), true);
    });
  }
}
