/** The packages as apt and rpm see them: install, upgrade, downgrade, remove, purge. */
import { strict as assert } from 'node:assert';
import { active, configure, deb, machine, property, publish, rpm, step } from '../machine.ts';

export async function installation(): Promise<void> {
  await step('apt installs the package; it is neither enabled nor started', async () => {
    await machine.do(`apt-get install -y --no-install-recommends ${machine.bring(deb)}`);
    assert.equal(await active(), false);
    assert.equal((await machine.run('systemctl is-enabled amqproxy')).output, 'disabled');
    assert.match(await machine.do('amqproxy --version'), /^amqproxy \d/);
    assert.match(await machine.do('zcat /usr/share/man/man5/amqproxy.ini.5.gz'), /max_clients/);
  });
}

/** Whether the service that runs was started anew by `change`, with the edited settings left alone. */
async function keeps(change: () => Promise<unknown>): Promise<void> {
  const pid = await property('MainPID');
  const edited = await machine.do('cat /etc/amqproxy.ini');
  await change();
  assert.equal(await machine.do('cat /etc/amqproxy.ini'), edited);
  assert.equal(await active(), true);
  assert.equal(await property('UnitFileState'), 'enabled');
  assert.notEqual(await property('MainPID'), pid);
  await publish('story');
}

export async function theEnd(): Promise<void> {
  const apt = 'apt-get -o Dpkg::Options::=--force-confold -y --allow-downgrades install';

  await step('an upgrade restarts the service and keeps the edited file', async () => {
    const settings = 'printf "; new default\\n" >> up/etc/amqproxy.ini';
    await machine.do(`cd /root && dpkg-deb -R ${machine.bring(deb)} up && ${settings}`);
    await machine.do(
      "cd /root && sed -i 's/^Version: .*/&+up/' up/DEBIAN/control && dpkg-deb -Zgzip -z1 -b up up.deb",
    );
    await keeps(() => machine.do(`${apt} /root/up.deb`));
    assert.match(await machine.do('dpkg -s amqproxy | grep ^Version'), /\+up$/);
  });

  await step('a downgrade, too', async () => {
    await keeps(() => machine.do(`${apt} ${machine.bring(deb)}`));
    assert.doesNotMatch(await machine.do('dpkg -s amqproxy | grep ^Version'), /\+up$/);
  });

  await step('an upgrade while it is stopped does not start it', async () => {
    await machine.do('systemctl stop amqproxy');
    await machine.do(`${apt} /root/up.deb`);
    assert.equal(await active(), false);
    await machine.do('systemctl start amqproxy');
  });

  await step('remove stops it and keeps the settings', async () => {
    await machine.do('apt-get remove -y amqproxy');
    assert.equal((await machine.run('systemctl is-active amqproxy')).output, 'inactive');
    assert.match(await machine.do('cat /etc/amqproxy.ini'), /upstream/);
    assert.notEqual((await machine.run('ls /usr/lib/amqproxy')).code, 0);
  });

  await step('purge leaves nothing', async () => {
    await machine.do('apt-get purge -y amqproxy');
    const left = await machine.run(
      "find / -xdev \\( -path /proc -o -path /sys -o -path /root -o -path /var/log \\) -prune -o -iname '*amqproxy*' -print",
    );
    assert.equal(left.output, '');
    assert.equal((await machine.run("systemctl list-units --all --no-legend '*amqproxy*'")).output, '');
  });
}

export async function theRpm(): Promise<void> {
  const file = (): string => machine.bring(rpm);

  await step('rpm installs and starts the .rpm', async () => {
    // rpm on Debian knows none of Debian's packages
    await machine.do(`rpm -i --nodeps ${file()}`);
    assert.equal(await active(), false);
    await configure();
    await machine.do('systemctl enable --now amqproxy');
    await publish('story');
    assert.equal(await machine.do('rpm -V --nodeps amqproxy | grep -v " c "; true'), '');
  });

  await step('rpm upgrades: the service restarts, the edited file stays', () =>
    keeps(() => machine.do(`rpm -U --force --nodeps ${file()}`)),
  );

  await step('rpm erases: it stops, the edited file is kept aside', async () => {
    await machine.do('rpm -e amqproxy');
    assert.equal((await machine.run('systemctl is-active amqproxy')).output, 'inactive');
    assert.match(await machine.do('cat /etc/amqproxy.ini.rpmsave'), /upstream/);
    assert.notEqual((await machine.run('ls /usr/lib/amqproxy')).code, 0);
  });
}
