/** The page: one file, read only, and the headers that keep it from doing anything but ask us. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const PAGE = readFileSync(join(import.meta.dirname, 'page.html'), 'utf8');

/** What the browser may take for this page's own: nothing that came in with somebody's name can be run, or styled. */
const hashOf = (element: 'script' | 'style'): string => {
  const text = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(PAGE)?.[1] ?? '';
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
};

export const PAGE_HEADERS = {
  'Content-Security-Policy': `default-src 'none'; script-src ${hashOf('script')}; style-src ${hashOf('style')}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};
