/** What is in the packages, seen from outside: checked on the machine that has built them. */
import { strict as assert } from 'node:assert';
import { globSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { deb, rpm, step } from '../machine.ts';
import { inDirectory, run } from '../tools.ts';

const LARGEST = 45e6;
const LIBRARIES = ['libc6', 'libgcc-s1', 'libstdc++6', 'libsystemd0'];

export async function contents(): Promise<void> {
  await step('lintian and rpmlint find neither errors nor warnings', async () => {
    await run('lintian', ['--allow-root', '--fail-on', 'error,warning', deb]);
    const out = await run('rpmlint', ['-c', 'packaging/rpmlint.toml', rpm]);
    assert.match(out, / 0 errors, 0 warnings/);
  });

  await step('the .deb depends on libraries only, and is under 45 MB', async () => {
    const depends = (await run('dpkg-deb', ['-f', deb, 'Depends']))
      .split(', ')
      .map(word => word.split(' ')[0]);
    for (const name of depends) assert.ok([...LIBRARIES, 'init-system-helpers'].includes(name), name);
    assert.ok(statSync(deb).size < LARGEST && statSync(rpm).size < LARGEST);
    // Debian 11 has 2.31, Ubuntu 20.04 too
    assert.match(await run('dpkg-deb', ['-f', deb, 'Depends']), /\blibc6 \(>= 2\.28\)/);
    console.log(`  ${depends.join(', ')}; ${(statSync(deb).size / 1e6).toFixed(1)} MB`);
  });

  await step('no addon brings a second runtime', () =>
    inDirectory(async dir => {
      await run('dpkg-deb', ['-x', deb, dir]);
      const addons = globSync(`${dir}/usr/libexec/amqproxy/**/*.node`);
      assert.deepEqual(addons.map(file => basename(file)).sort(), ['journal.node', 'notify.node']);
      for (const addon of addons) assert.doesNotMatch(await run('ldd', [addon]), /libnode/);
    }),
  );

  await step('the .rpm: files, settings, scripts, requirements', async () => {
    const query = (...args: string[]): Promise<string> => run('rpm', ['-qp', ...args, rpm]);
    const files = (await query('-l')).split('\n');
    for (const file of [
      '/etc/amqproxy.ini',
      '/usr/bin/amqproxy',
      '/usr/libexec/amqproxy/node',
      '/usr/lib/systemd/system/amqproxy.service',
      '/usr/lib/systemd/system/amqproxy.socket',
      '/usr/lib/systemd/system/amqproxy-handover.service',
      '/usr/share/doc/amqproxy/examples/amqproxy.ini',
      '/usr/share/doc/amqproxy/operating.md',
      '/usr/share/man/man8/amqproxy.8.gz',
      '/usr/share/man/man5/amqproxy.ini.5.gz',
      '/usr/share/licenses/amqproxy/LICENSE',
    ])
      assert.ok(files.includes(file), file);
    const flags = await query('--qf', '[%{filenames} %{fileflags:fflags}\\n]');
    assert.match(flags, /^\/etc\/amqproxy\.ini cn$/m); // config(noreplace)
    assert.equal(await query('-c'), '/etc/amqproxy.ini');
    assert.equal(await query('--qf', '%{epoch}'), '1');
    // SELinux labels by path: programs below libexec
    for (const file of files.filter(name => name.startsWith('/usr/')))
      assert.match(file, /^\/usr\/(bin|libexec\/amqproxy|lib\/systemd\/system|share)(\/|$)/);
    const scripts = await query('--scripts');
    for (const part of ['daemon-reload', 'preset amqproxy', 'try-restart amqproxy.service', 'systemctl stop'])
      assert.ok(scripts.includes(part), part);
    const requires = new Set((await query('-R')).split('\n'));
    const libraries = /^(lib(c|m|dl|pthread|stdc\+\+|gcc_s|systemd)\.so|ld-linux|rtld\(|rpmlib\(|config\()/;
    // what RHEL 8 has: glibc 2.28, GCC 8, systemd 239; Fedora and Amazon Linux 2023 have more
    const most: Record<string, string> = {
      GLIBC: '2.28',
      GLIBCXX: '3.4.25',
      CXXABI: '1.3.11',
      LIBSYSTEMD: '239',
    };
    const order = new Intl.Collator('en', { numeric: true });
    for (const name of requires) {
      const [, symbols, version] = /\((GLIBC|GLIBCXX|CXXABI|LIBSYSTEMD)_([\d.]+)\)/.exec(name) ?? [];
      if (symbols) assert.ok(order.compare(version, most[symbols]) <= 0, name);
    }
    assert.deepEqual([...requires].filter(name => !libraries.test(name)).sort(), ['/bin/sh', 'systemd']);
  });

  // of the other architecture: by inspection, and started by an emulator
  const [target, debian, machine, libraries, emulator] =
    process.arch === 'x64'
      ? ['arm64', 'arm64', 'AArch64', '/usr/aarch64-linux-gnu', 'qemu-aarch64-static']
      : ['x64', 'amd64', 'Advanced Micro Devices X86-64', '/usr/x86_64-linux-gnu', 'qemu-x86_64-static'];
  await step(`the packages for ${target}: all that runs is for it, and it starts`, () =>
    inDirectory(async dir => {
      const env = { TARGET: target, DIST: dir, XZ_LEVEL: '0', RPM_PAYLOAD: 'w0.xzdio' };
      await run('packaging/deb.sh', [], env);
      await run('packaging/rpm.sh', [], env);
      const [file] = globSync(`${dir}/*_${debian}.deb`);
      const [theirs, ours] = await Promise.all(
        [file, deb].map(async of => (await run('dpkg-deb', ['-f', of, 'Version', 'Depends'])).split('\n')),
      );
      assert.deepEqual(theirs, ours);
      assert.equal(await run('dpkg-deb', ['-f', file, 'Architecture']), debian);
      const [other] = globSync(`${dir}/*.rpm`);
      const needs = async (of: string): Promise<string[]> =>
        [...new Set((await run('rpm', ['-qp', '-R', of])).match(/^lib\w+\+*\.so\.\d/gm))].sort();
      assert.deepEqual(await needs(other), await needs(rpm));
      await run('dpkg-deb', ['-x', file, `${dir}/tree`]);
      const home = `${dir}/tree/usr/libexec/amqproxy`;
      const addons = globSync(`${home}/**/*.node`);
      assert.deepEqual(addons.map(addon => basename(addon)).sort(), ['journal.node', 'notify.node']);
      for (const binary of [`${home}/node`, ...addons])
        assert.match(await run('readelf', ['-h', binary]), new RegExp(`Machine: +${machine}`));
      // an emulated program with threads stands still at times, which says nothing about the program
      const start = (): Promise<string> =>
        run(emulator, ['-L', libraries, `${home}/node`, `${home}/lib/src/main.js`, '-v'], {}, 45_000);
      const version = await start().catch(start).catch(start);
      assert.match(version, /^amqproxy \d/);
    }),
  );

  await step('make install makes a program that runs from there, make uninstall leaves the settings', () =>
    inDirectory(async dir => {
      const make = (target: string): Promise<string> =>
        run('make', [target, `DESTDIR=${dir}`, 'PREFIX=/opt/x']);
      await make('install');
      assert.match(await run(`${dir}/opt/x/bin/amqproxy`, ['--version']), /^amqproxy \d/);
      const unit = readFileSync(`${dir}/opt/x/lib/systemd/system/amqproxy.service`, 'utf8');
      assert.match(unit, /^ExecStart=\/opt\/x\/bin\/amqproxy --config \/etc\/amqproxy\.ini$/m);
      await make('uninstall');
      const left = await run('find', [dir, '!', '-type', 'd', '-printf', '/%P\n']);
      assert.equal(left, '/etc/amqproxy.ini');
    }),
  );

  await step('both have the same bytes whatever the time zone, the locale and the file system', () =>
    inDirectory(async dir => {
      const build = async (name: string, env: NodeJS.ProcessEnv): Promise<string[]> => {
        const to = join(dir, name);
        for (const script of ['packaging/deb.sh', 'packaging/rpm.sh'])
          await run(script, [], { DIST: to, XZ_LEVEL: '0', RPM_PAYLOAD: 'w0.xzdio', ...env });
        return globSync(`${to}/*`).sort();
      };
      const here = await build('here', {});
      // TMPDIR is in memory, .cache is not
      const there = await build('there', { TZ: 'Pacific/Auckland', LC_ALL: 'C', TMPDIR: resolve('.cache') });
      assert.equal(here.length, 2);
      for (const [i, file] of here.entries())
        assert.ok(readFileSync(file).equals(readFileSync(there[i])), basename(file));
    }),
  );
}
