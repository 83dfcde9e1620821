/** Certificates for tests, made with openssl: an authority, and servers it has or has not signed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  /** Files in PEM form. */
  ca: string;
  cert: string;
  key: string;
}

const openssl = (dir: string, ...args: string[]): void => {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
};

export class Authority {
  readonly dir: string;

  constructor(name = 'amqproxy test authority') {
    this.dir = mkdtempSync(join(tmpdir(), 'amqproxy-certs-'));
    const subject = ['-subj', `/CN=${name}`, '-days', '30'];
    openssl(
      this.dir,
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', 'ca.key', '-out', 'ca.pem', ...subject],
    );
  }

  get ca(): string {
    return join(this.dir, 'ca.pem');
  }

  /** A server certificate for `names` (`DNS:localhost`, `IP:127.0.0.1`); with `expired`, one that ended last year. */
  issue(name: string, names: string[], expired = false): Certificate {
    openssl(
      this.dir,
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`],
    );
    writeFileSync(join(this.dir, `${name}.ext`), `subjectAltName=${names.join(',')}\n`);
    // `openssl ca` because `openssl x509` of OpenSSL 3.0 cannot date a certificate into the past
    writeFileSync(
      join(this.dir, 'ca.conf'),
      '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n',
    );
    writeFileSync(join(this.dir, 'index'), '');
    openssl(
      this.dir,
      ...['ca', '-batch', '-config', 'ca.conf', '-rand_serial', '-cert', 'ca.pem', '-keyfile', 'ca.key'],
      ...['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.ext`, '-notext'],
      ...(expired ? ['-startdate', '20240101000000Z', '-enddate', '20250101000000Z'] : ['-days', '30']),
    );
    return { ca: this.ca, cert: join(this.dir, `${name}.pem`), key: join(this.dir, `${name}.key`) };
  }
}
