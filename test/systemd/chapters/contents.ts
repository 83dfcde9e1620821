/** What is in the packages, seen from outside: checked on the machine that has built them. */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { deb, rpm, step } from '../machine.ts';

const LARGEST = 45e6;
const LIBRARIES = ['libc6', 'libgcc-s1', 'libstdc++6', 'libsystemd0'];

/** Runs a command; its output. Throws where it fails, with what it said. */
async function run(file: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = { env: { ...process.env, LC_ALL: 'C.UTF-8', ...env }, maxBuffer: 1 << 26 };
  const { stdout } = await promisify(execFile)(file, args, options).catch(error => {
    throw new Error(`${file}: ${error.stdout}${error.stderr}`);
  });
  return stdout.trim();
}

async function inDirectory(task: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'amqproxy-contents-'));
  try {
    await task(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

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
    const most: Record<string, number> = { GLIBC_2: 28, GLIBCXX_3: 4.25, CXXABI_1: 3.11, LIBSYSTEMD_: 239 };
    for (const name of requires) {
      const [, symbols, version] = /\((GLIBC_2|GLIBCXX_3|CXXABI_1|LIBSYSTEMD_)\.?([\d.]+)\)/.exec(name) ?? [];
      if (symbols) assert.ok(Number(version.replace(/^(\d+\.\d+)\..*/, '$1')) <= most[symbols], name);
    }
    assert.deepEqual([...requires].filter(name => !libraries.test(name)).sort(), ['/bin/sh', 'systemd']);
  });

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
