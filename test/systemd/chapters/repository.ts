/** dist/repo as a user meets it: the lines of its INSTALL.md, typed as they stand, against a web server of static files. */
import { strict as assert } from 'node:assert';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { deb, machine, rpm, step } from '../machine.ts';
import { inDirectory, run } from '../tools.ts';

/** Serves what is below `dir`. */
async function serve(dir: string): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    const file = join(dir, decodeURI(request.url!.split('?')[0]));
    if (!existsSync(file)) return void response.writeHead(404).end();
    response.end(readFileSync(file));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** The indented lines below the heading for a kind of system. */
function linesFor(heading: RegExp, text: string): string[] {
  const part = text.split('\n\n');
  const at = part.findIndex(paragraph => heading.test(paragraph));
  return part[at + 1].split('\n').map(line => line.trim());
}

const OTHERS = 'mkdir -p /root/sources && mv /etc/apt/sources.list /etc/apt/sources.list.d/* /root/sources/';

/** A repository with a package that has all that ours asks for, as a distribution would. */
async function distribution(dir: string): Promise<void> {
  const requires = (await run('rpm', ['-qp', '-R', rpm])).split('\n');
  const provides = requires.filter(name => !/^(rpmlib|config)\(/.test(name));
  const spec = join(dir, 'base.spec');
  writeFileSync(
    spec,
    [
      'Name: base\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n',
      `AutoReqProv: no\n${[...new Set(provides)].map(name => `Provides: ${name}`).join('\n')}\n%description\nx\n%files\n`,
    ].join(''),
  );
  await run('rpmbuild', ['-bb', '--define', `_topdir ${dir}/rpm`, '--define', `_rpmdir ${dir}/base`, spec]);
  await run('createrepo_c', ['--quiet', join(dir, 'base')]);
}

export async function repository(): Promise<void> {
  await inDirectory(async dir => {
    const GNUPGHOME = join(dir, 'gnupg');
    const repo = join(dir, 'repo');
    mkdirSync(GNUPGHOME, { mode: 0o700 });
    const make = (env: NodeJS.ProcessEnv = {}): Promise<string> =>
      run('packaging/repo.sh', [], { DIST: dir, GNUPGHOME, ...env });
    const { url, server } = await serve(repo);

    await step('make repo without a key says what to do', async () => {
      await assert.rejects(
        make(),
        /make repo: no key to sign with: name one with REPO_KEY=FINGERPRINT; gpg /,
      );
      await assert.rejects(make({ REPO_KEY: 'nobody' }), /GnuPG has no secret key nobody: gpg --list-secret/);
    });

    await step('make repo signs what is in dist', async () => {
      for (const file of [deb, rpm]) cpSync(file, join(dir, basename(file)));
      const key = [
        '--batch',
        '--quiet',
        '--passphrase',
        '',
        '--quick-generate-key',
        'a@example.org',
        'rsa2048',
      ];
      await run('gpg', [...key, 'sign', 'never'], { GNUPGHOME });
      await make({ REPO_KEY: 'a@example.org', REPO_URL: url });
    });
    const text = existsSync(repo) ? readFileSync(join(repo, 'INSTALL.md'), 'utf8') : '';

    await step('apt installs from it with the three lines of INSTALL.md', async () => {
      await machine.do(`${OTHERS}; true`);
      const lines = linesFor(/^Debian/, text);
      assert.equal(lines.length, 3);
      const readme = readFileSync('README.md', 'utf8').replaceAll('https://packages.example', url);
      assert.ok(readme.includes(`\n${lines.join('\n')}\n`), 'the README has other lines');
      for (const line of lines) await machine.do(line);
      assert.match(await machine.do('amqproxy --version'), /^amqproxy \d/);
      assert.match(await machine.do('apt-cache policy amqproxy'), new RegExp(url));
    });

    await step('apt refuses it when something was changed after the signature', async () => {
      const index = join(repo, 'apt/dists/stable/InRelease');
      const signed = readFileSync(index, 'utf8');
      writeFileSync(index, signed.replace('Suite: stable', 'Suite: stuble'));
      const { output } = await machine.run('rm -rf /var/lib/apt/lists/*; apt-get update');
      assert.match(output, /BADSIG|signatures were invalid|is not signed/);
      writeFileSync(index, signed);
      await machine.do('apt-get purge -y amqproxy');
      await machine.do('rm /etc/apt/sources.list.d/amqproxy.list && mv /root/sources/*.list /etc/apt/; true');
    });

    const dnf = async (root: string): Promise<string> => {
      const repos = join(root, 'repos');
      mkdirSync(repos, { recursive: true });
      writeFileSync(
        join(repos, 'base.repo'),
        `[base]\nname=base\nbaseurl=file://${dir}/base\nenabled=1\ngpgcheck=0\n`,
      );
      const [fetchFile, install] = linesFor(/^Red Hat/, text);
      assert.match(fetchFile, / \/etc\/yum\.repos\.d\/amqproxy\.repo /);
      await run('sh', ['-c', fetchFile.replace('/etc/yum.repos.d', repos)]);
      const [, ...args] = install.split(' ');
      const options = ['cachedir', 'logdir', 'persistdir'].map(name => {
        mkdirSync(join(root, name), { recursive: true });
        return `--setopt=${name}=${join(root, name)}`;
      });
      return run('dnf', [
        `--installroot=${root}`,
        '--releasever=1',
        '--setopt=tsflags=noscripts',
        `--setopt=reposdir=${repos}`,
        ...options,
        ...args,
      ]);
    };

    await step('dnf installs from it, packages and index signed', async () => {
      await distribution(dir);
      const root = join(dir, 'dnf');
      await dnf(root);
      for (const file of ['usr/libexec/amqproxy/node', 'etc/amqproxy.ini', 'usr/bin'])
        assert.ok(existsSync(join(root, file)), file);
    });

    await step('dnf refuses a package that is not signed', async () => {
      const [arch] = await run('rpm', ['-qp', '--qf', '%{arch}', rpm]).then(name => [name]);
      const packages = join(repo, 'yum', arch);
      cpSync(rpm, join(packages, basename(rpm)));
      const sign = ['--batch', '--yes', '--armor', '--detach-sign', '-u', 'a@example.org'];
      await run('createrepo_c', ['--quiet', packages]);
      await run('gpg', [...sign, join(packages, 'repodata/repomd.xml')], { GNUPGHOME });
      await assert.rejects(dnf(join(dir, 'dnf2')), /is not signed|GPG check FAILED/);
      rmSync(join(dir, 'dnf2'), { recursive: true, force: true });
    });
    server.close();
    await run('gpgconf', ['--kill', 'all'], { GNUPGHOME });
  });
}
