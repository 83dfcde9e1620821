/**
 * Copies the packages that the program needs at run time, without what only their developers need, and gathers their
 * licences: `node packaging/copy-modules.ts NODE_MODULES LICENCES`. Which packages: package-lock.json says.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

interface Locked {
  version: string;
  dev?: boolean;
  license?: string;
}

const [target, licences] = process.argv.slice(2);
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> };

const UNWANTED_DIRS =
  /^(test|tests|fixtures?|__tests__|docs?|examples?|benchmarks?|obj\.target|\.github|\.vscode|\.bin|coverage)$/;
const UNWANTED_FILES =
  /^bin\.js$|(\.(d\.[cm]?ts|[cm]?ts|map|md|markdown|cc|gyp|mk|gypi|yml|yaml|html|css|png|sh|tsbuildinfo)$)|^(\.|license|licence|copying|changelog|history|authors|readme|makefile|eslint|tsconfig|pnpm-|bower)/i;

const wanted = (path: string): boolean => {
  const name = basename(path);
  return !UNWANTED_DIRS.test(name) && !UNWANTED_FILES.test(name);
};

let text = '';
for (const [path, { version, dev, license }] of Object.entries(lock.packages).sort(([a], [b]) =>
  a < b ? -1 : 1,
)) {
  if (path === '' || dev || !existsSync(path)) continue;
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const file = readdirSync(path).find(entry => /^(licen[cs]e|copying)/i.test(entry));
  text += `\n${'-'.repeat(100)}\n${name} ${version} (${license ?? 'see below'})\n\n`;
  text += file ? readFileSync(join(path, file), 'utf8').trim() : `Licence: ${license}`;
  text += '\n';
  // the runtime is copied by itself
  if (name.startsWith('node-linux-')) continue;
  const to = join(target, path.slice('node_modules/'.length));
  mkdirSync(dirname(to), { recursive: true });
  cpSync(path, to, { recursive: true, filter: source => source === path || wanted(source) });
}
writeFileSync(licences, text);
