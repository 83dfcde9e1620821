/**
 * Names that tests make up, for a proxy in a process of its own: `names` writes them to a file and gives the environment in
 * which the proxy looks names up there first.
 */
import dns from 'node:dns';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { tempDir } from './cleanup.ts';

const { AMQPROXY_TEST_NAMES: file } = process.env;

type Names = Record<string, string[]>;

/** A file of names, to be written again at any time, and the environment that has a proxy use it. */
export function names(first: Names): { env: NodeJS.ProcessEnv; write(names: Names): void } {
  const path = join(tempDir('names'), 'names.json');
  const write = (all: Names): void => {
    writeFileSync(`${path}.new`, JSON.stringify(all));
    renameSync(`${path}.new`, path);
  };
  write(first);
  return { env: { AMQPROXY_TEST_NAMES: path, NODE_OPTIONS: `--import ${import.meta.filename}` }, write };
}

if (file !== undefined) {
  const { lookup } = dns;
  const replaced = (host: string, options: object, done: (...found: unknown[]) => void): void => {
    const found = (JSON.parse(readFileSync(file, 'utf8')) as Names)[host];
    if (found === undefined) (lookup as typeof replaced)(host, options, done);
    else if ('all' in options && options.all)
      setImmediate(
        done,
        null,
        found.map(address => ({ address, family: 4 })),
      );
    else setImmediate(done, null, found[0], 4);
  };
  dns.lookup = replaced as unknown as typeof dns.lookup;
  syncBuiltinESMExports();
}
