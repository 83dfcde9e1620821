/** Files with certificates and keys: whether they can be read, and belong together. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { inWords } from '../words.ts';
import { readText } from './ini.ts';
import type { OptionName, Options } from './options.ts';

type PemName = 'tlsCa' | 'tlsCert' | 'tlsKey' | 'tlsClientCa' | 'upstreamTlsCert' | 'upstreamTlsKey';
type Files = Partial<Pick<Options, PemName>>;
/** Reports a problem with an option of the section at hand. */
type Tell = (name: OptionName, what: string) => void;

const CERTIFICATE = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END \1CERTIFICATE-----/g;
const KEY = /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/;

/** The file's text, or '' when it cannot be read, which is reported. */
function pem(files: Files, name: PemName, label: RegExp, tell: Tell): string {
  const file = files[name];
  if (file === undefined || file === '') return '';
  try {
    const text = readText(file);
    if (text.search(label) >= 0) return text;
    tell(name, `holds no ${name.endsWith('Key') ? 'private key' : 'certificate'} in PEM form`);
  } catch (error) {
    tell(name, `cannot be read: ${(error as Error).message}`);
  }
  return '';
}

function attempt(name: OptionName, tell: Tell, act: () => void): void {
  try {
    act();
  } catch (error) {
    const why = inWords(error as Error);
    tell(name, /mismatch/i.test(why) ? 'is not the key of tls_cert' : `cannot be used: ${why}`);
  }
}

/** Certificates of authorities: OpenSSL passes over damaged ones in silence. */
export function checkAuthorities(files: Files, name: PemName, tell: Tell): void {
  const text = pem(files, name, CERTIFICATE, tell);
  attempt(name, tell, () => text.match(CERTIFICATE)?.map(block => new X509Certificate(block)));
}

/** A certificate and its key. */
export function checkKey(files: Files, certName: PemName, keyName: PemName, tell: Tell): void {
  const cert = pem(files, certName, CERTIFICATE, tell);
  const key = pem(files, keyName, KEY, tell);
  if (cert !== '' && key !== '') attempt(keyName, tell, () => createSecureContext({ cert, key }));
}
