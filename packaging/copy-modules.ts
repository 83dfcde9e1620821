/**
 * Copies the packages that the program needs at run time, without what only their developers need, and gathers their
 * licences: `node packaging/copy-modules.ts NODE_MODULES LICENCES RUNTIME`. Which packages: package-lock.json says.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

interface Locked {
  version: string;
  dev?: boolean;
  license?: string;
}

const [target, licences, runtime] = process.argv.slice(2);
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
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  // the runtime is copied by itself, and may be that of another architecture
  const isRuntime = name.startsWith('node-linux-');
  if (path === '' || dev || (isRuntime ? name !== basename(runtime) : !existsSync(path))) continue;
  const from = isRuntime ? runtime : path;
  const file = readdirSync(from).find(entry => /^(licen[cs]e|copying)/i.test(entry));
  text += `\n${'-'.repeat(100)}\n${name} ${version} (${license ?? 'see below'})\n\n`;
  text += file ? readFileSync(join(from, file), 'utf8').trim() : `Licence: ${license}`;
  text += '\n';
  if (isRuntime) continue;
  const to = join(target, path.slice('node_modules/'.length));
  mkdirSync(dirname(to), { recursive: true });
  cpSync(path, to, { recursive: true, filter: source => source === path || wanted(source) });
}
writeFileSync(licences, text);
