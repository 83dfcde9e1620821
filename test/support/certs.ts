/** Certificates for the TLS tests, made by openssl. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from './cleanup.ts';

const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { stdio: 'ignore' });
};

export interface Certificate {
  ca: string;
  cert: string;
  key: string;
}

/** An authority of its own, and what it signs; its files are gone when the process ends. */
export class Authority {
  readonly dir = tempDir('certs');
  readonly ca = join(this.dir, 'ca.pem');
  private readonly key = join(this.dir, 'ca.key');

  constructor() {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '30',
      '-subj',
      '/CN=amqproxy test authority',
      '-keyout',
      this.key,
      '-out',
      this.ca,
    );
  }

  /** A server certificate for a DNS name and IP address; `days` below 0 gives one that has expired. */
  sign(name: string, san: string, days = 30): Certificate {
    const file = (end: string): string => join(this.dir, `${name}.${end}`);
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      file('key'),
      '-out',
      file('csr'),
    );
    writeFileSync(file('ext'), `subjectAltName=${san}\n`);
    openssl(
      'x509',
      '-req',
      '-in',
      file('csr'),
      '-CA',
      this.ca,
      '-CAkey',
      this.key,
      '-CAcreateserial',
      '-extfile',
      file('ext'),
      '-days',
      String(days),
      '-out',
      file('pem'),
    );
    return { ca: this.ca, cert: file('pem'), key: file('key') };
  }
}
