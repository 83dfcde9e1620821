/** The packages as apt and rpm see them: install, upgrade, downgrade, remove, purge. */
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../support/rabbitmq.ts';
import {
  active,
  broker,
  configure,
  deb,
  http,
  journal,
  journalOfThisRun,
  machine,
  property,
  publish,
  rpm,
  step,
  write,
} from '../machine.ts';
import { inDirectory, run } from '../tools.ts';

export async function installation(): Promise<void> {
  await step('apt installs the package; it is neither enabled nor started', async () => {
    const told = await machine.do(`apt-get install -y --no-install-recommends ${machine.bring(deb)}`);
    assert.match(
      told,
      /^amqproxy: name the broker in \/etc\/amqproxy\.ini .*systemctl enable --now amqproxy$/m,
    );
    assert.equal(await active(), false);
    assert.equal((await machine.run('systemctl is-enabled amqproxy')).output, 'disabled');
    const said = await machine.do('amqproxy --version --verbose');
    assert.match(said, /^amqproxy \d/);
    // nothing in the package has to do without something
    assert.match(said, /^journal: +journal\.node\nnotifications: sd-notify$/m);
    assert.match(await machine.do('zcat /usr/share/man/man5/amqproxy.ini.5.gz'), /max_clients/);
  });
  await fromTheReadme();
}

/** The README's lines from a fresh package to a service that runs, typed as they stand. */
async function fromTheReadme(): Promise<void> {
  await step('the three lines of the README start it: one line in the file, and start', async () => {
    const block = /^```text\n(editor .*?)^```$/ms.exec(readFileSync('README.md', 'utf8'))![1];
    const [edit] = block.split('\n');
    const setting = /# (upstream = amqp:\/\/)rabbitmq\.example:\d+$/.exec(edit);
    assert.ok(setting, edit);
    // who edits puts the line that the README names into the file, with his own broker
    const editor = '/usr/bin/editor';
    await machine.do('cp /etc/amqproxy.ini /root/fresh.ini');
    const mine = `${setting[1]}127.0.0.1:${broker.port}`;
    await write(editor, ['#!/bin/sh', `sed -i "s|^;upstream = .*|${mine}|" "$1"`]);
    await machine.do(`chmod 755 ${editor}`);
    try {
      await machine.do(`set -e; { ${block}\n}`);
      assert.equal(await active(), true);
      await publish('story');
    } finally {
      await machine.run(`systemctl disable --now amqproxy; rm ${editor}`);
    }
  });
  await machine.run('mv /root/fresh.ini /etc/amqproxy.ini');
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
    const settings = 'printf "; new default\\n" >> up/usr/share/amqproxy/amqproxy.ini';
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
    assert.notEqual((await machine.run('ls /usr/libexec/amqproxy')).code, 0);
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

/** A package as CloudAMQP's: the same name, a higher version, the file a conffile that was edited, the service enabled. */
async function standIn(): Promise<string> {
  const control = [
    'Package: amqproxy',
    'Version: 3.1.3',
    'Architecture: all',
    'Maintainer: x <x@example.org>',
  ];
  await machine.do('mkdir -p /root/theirs/DEBIAN');
  await write('/root/theirs/DEBIAN/control', [...control, 'Description: stand-in']);
  await write('/root/theirs/DEBIAN/conffiles', ['/etc/amqproxy.ini']);
  await write('/root/theirs/etc/amqproxy.ini', [
    '[main]',
    'log_level = info',
    'upstream = amqp://localhost:5672',
    '[listen]',
    'address = 127.0.0.1',
    'port = 5673',
  ]);
  await write('/root/theirs/lib/systemd/system/amqproxy.service', [
    '[Service]',
    'ExecStart=/usr/bin/amqproxy --config=/etc/amqproxy.ini',
    '[Install]',
    'WantedBy=multi-user.target',
  ]);
  await write('/root/theirs/usr/bin/amqproxy', ['#!/bin/sh', 'exec sleep 3600']);
  const helper = (act: string): string => `deb-systemd-helper ${act} amqproxy.service`;
  const invoke = (act: string): string => `deb-systemd-invoke ${act} amqproxy.service`;
  await write('/root/theirs/DEBIAN/postinst', ['#!/bin/sh -e', helper('enable'), invoke('start')]);
  await write('/root/theirs/DEBIAN/prerm', ['#!/bin/sh -e', invoke('stop'), helper('purge')]);
  await machine.do(
    'chmod 755 /root/theirs/usr/bin/amqproxy /root/theirs/DEBIAN/p* && dpkg-deb -Zgzip -b /root/theirs /root/theirs.deb',
  );
  return '/root/theirs.deb';
}

export async function theOther(): Promise<void> {
  const apt = 'apt-get -y install';

  await step(
    'over AMQProxy 3.1.3: an upgrade without a question, the edited file and the service stay',
    async () => {
      await machine.do(`${apt} ${await standIn()}`);
      assert.equal(await active(), true);
      const edited = `${broker.url}/vhost`.replace('//', '//user:hunter2@');
      await machine.do(`sed -i 's#^upstream = .*#upstream = ${edited}#' /etc/amqproxy.ini`);
      const settings = await machine.do('cat /etc/amqproxy.ini');
      // no --allow-downgrades, nobody to answer
      await machine.do(`${apt} ${machine.bring(deb)} </dev/null`);
      assert.equal(await machine.do('cat /etc/amqproxy.ini'), settings);
      assert.equal(await property('UnitFileState'), 'enabled');
      await until('it to serve', async () => (await http('/readyz').catch(() => null))?.ok);
      await publish('story');
      assert.match(
        await journalOfThisRun('-p warning'),
        /^\/etc\/amqproxy\.ini:3: user, password and vhost are ignored: each client brings its own\. Write amqp:/m,
      );
      assert.doesNotMatch(await journal(), /hunter2/);
    },
  );

  await step('back to AMQProxy: where it is asked for', async () => {
    const wanted = await machine.run(`${apt} /root/theirs.deb </dev/null`);
    assert.match(wanted.output, /downgrade/);
    await machine.do(
      `${apt} -o Dpkg::Options::=--force-confold --allow-downgrades /root/theirs.deb </dev/null`,
    );
    assert.match(await machine.do('dpkg -s amqproxy'), /^Version: 3\.1\.3$/m);
    assert.match(await machine.do('cat /etc/amqproxy.ini'), /hunter2/);
    assert.equal(await active(), true);
    await machine.do('systemctl stop amqproxy; apt-get purge -y amqproxy; systemctl daemon-reload');
  });
}

/** The same as an .rpm, made in `dir`; its scripts do what the macros of Fedora write. */
async function standInRpm(dir: string): Promise<string> {
  const root = '%{buildroot}';
  const spec = join(dir, 'theirs.spec');
  writeFileSync(
    spec,
    [
      ...['Name: amqproxy', 'Version: 3.1.3', 'Release: 1', 'Summary: x', 'License: x', 'BuildArch: noarch'],
      ...[
        '%description',
        'x',
        '%install',
        `mkdir -p ${root}/etc ${root}/usr/bin ${root}/usr/lib/systemd/system`,
      ],
      `printf '[main]\\nupstream = amqp://localhost:5672\\n' >${root}/etc/amqproxy.ini`,
      `printf '#!/bin/sh\\nexec sleep 3600\\n' >${root}/usr/bin/amqproxy`,
      `printf '[Service]\\nExecStart=/usr/bin/amqproxy\\n[Install]\\nWantedBy=multi-user.target\\n' >${root}/usr/lib/systemd/system/amqproxy.service`,
      ...[
        '%preun',
        '[ $1 != 0 ] || systemctl disable --now amqproxy',
        '%postun',
        'systemctl daemon-reload',
        '[ $1 -lt 1 ] || systemctl try-restart amqproxy',
      ],
      ...['%files', '%config(noreplace) /etc/amqproxy.ini', '%attr(755,root,root) /usr/bin/amqproxy'],
      ...['/usr/lib/systemd/system/amqproxy.service', ''],
    ].join('\n'),
  );
  await run('rpmbuild', ['-bb', '--define', `_topdir ${dir}`, '--define', `_rpmdir ${dir}`, spec]);
  return machine.bring(join(dir, 'noarch/amqproxy-3.1.3-1.noarch.rpm'));
}

async function theOtherRpm(): Promise<void> {
  await inDirectory(async dir => {
    const theirs = await standInRpm(dir);

    await step(
      'over AMQProxy 3.1.3 as an .rpm: an upgrade, the edited file and the service stay',
      async () => {
        await machine.do(`rpm -i --nodeps ${theirs} && systemctl daemon-reload`);
        await configure();
        await machine.do('systemctl enable --now amqproxy');
        const edited = await machine.do('cat /etc/amqproxy.ini');
        // no --oldpackage
        await machine.do(`rpm -U --nodeps ${machine.bring(rpm)}`);
        assert.equal(await machine.do('cat /etc/amqproxy.ini'), edited);
        assert.equal(await property('UnitFileState'), 'enabled');
        await until('it to serve', async () => (await http('/readyz').catch(() => null))?.ok);
        await publish('story');
      },
    );

    await step('and back: where it is asked for', async () => {
      assert.match((await machine.run(`rpm -U --nodeps ${theirs}`)).output, /newer than amqproxy-3\.1\.3/);
      await machine.do(`rpm -U --nodeps --oldpackage ${theirs}`);
      assert.equal(await machine.do('rpm -q amqproxy'), 'amqproxy-3.1.3-1.noarch');
      await machine.do('rpm -e amqproxy; rm -f /etc/amqproxy.ini*; systemctl daemon-reload');
    });
  });
}

export async function theRpm(): Promise<void> {
  const file = (): string => machine.bring(rpm);

  await theOtherRpm();

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
    assert.notEqual((await machine.run('ls /usr/libexec/amqproxy')).code, 0);
  });
}
