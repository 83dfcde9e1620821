/** Completion as three shells do it, each with the file that is packaged for it. */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { tempDir } from './cleanup.ts';

const exec = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const file = (name: string): string => join(root, 'packaging/completions', name);

/** Where each of them is, and what completes its arguments: the words so far, the last one being typed. */
const SHELLS = {
  bash: {
    path: '/bin/bash',
    args: [
      '--norc',
      '-c',
      `. ${file('amqproxy.bash')}; compopt() { :; }
       COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _amqproxy
       for word in "\${COMPREPLY[@]}"; do eval "printf '%s\\n' $word"; done`,
      'bash',
    ],
  },
  // zsh completes in its line editor only: compadd is what it would be told
  zsh: {
    path: '/usr/bin/zsh',
    args: [
      '-f',
      '-c',
      `compadd() { shift; for word; do [[ $word == "$PREFIX"* ]] && print -r -- $word; done; true }
       _arguments() { for line; do [[ $line == 1:* ]] && print -l -- \${(s: :)\${\${line##*\\(}%\\)}}; done }
       words=("$@") CURRENT=$# PREFIX=\${@[-1]}; . ${file('_amqproxy')}; true`,
      'zsh',
    ],
  },
  fish: {
    path: '/usr/bin/fish',
    args: [
      '--no-config',
      '-c',
      `source ${file('amqproxy.fish')}; complete -C (string join ' ' -- $argv[1..-2] (string escape -- $argv[-1])) | string replace -r '\\t.*' ''; true`,
    ],
  },
} as const;

export type Shell = keyof typeof SHELLS;
export const shells = Object.keys(SHELLS) as Shell[];
export const hasShell = (shell: Shell): boolean => existsSync(SHELLS[shell].path);

/** The commands as users call them, at the console of one proxy. */
export class CommandLine {
  private readonly dir = tempDir('bin');
  private readonly socket: string;

  constructor(socket: string) {
    this.socket = socket;
    const command = join(this.dir, 'amqproxy');
    writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${join(root, 'src/main.ts')} "$@"\n`);
    chmodSync(command, 0o755);
  }

  /** What a shell offers for the last of these words. */
  async complete(shell: Shell, ...words: string[]): Promise<string[]> {
    const { path, args } = SHELLS[shell];
    const env = {
      ...process.env,
      PATH: `${this.dir}:${process.env.PATH}`,
      HOME: this.dir,
      AMQPROXY_ADMIN_SOCKET: this.socket,
    };
    const { stdout } = await exec(path, [...args, 'amqproxy', ...words], { env, cwd: this.dir });
    return stdout.split('\n').filter(line => line !== '');
  }
}
