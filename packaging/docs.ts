/** Writes everything that is made from the option table: `make docs`. A unit test holds the committed files to it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { bashCompletion, fishCompletion, zshCompletion } from './docs/completions.ts';
import { dashboard } from './docs/dashboard.ts';
import { iniFile } from './docs/ini.ts';
import { iniPage, programPage } from './docs/man.ts';
import { settingsPage } from './docs/settings.ts';

const root = resolve(import.meta.dirname, '..');

/** The files by their path from the root. */
export function documents(): Record<string, string> {
  return {
    'etc/amqproxy.ini.example': iniFile(),
    'packaging/doc/settings.md': settingsPage(),
    'packaging/monitoring/grafana.json': dashboard(),
    'packaging/man/amqproxy.8': programPage(),
    'packaging/man/amqproxy.ini.5': iniPage(),
    'packaging/completions/amqproxy.bash': bashCompletion(),
    'packaging/completions/_amqproxy': zshCompletion(),
    'packaging/completions/amqproxy.fish': fishCompletion(),
  };
}

if (import.meta.main)
  for (const [path, text] of Object.entries(documents())) {
    mkdirSync(dirname(resolve(root, path)), { recursive: true });
    writeFileSync(resolve(root, path), text);
  }
