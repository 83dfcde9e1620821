/** An INI file of a test's own, what `load` makes of it, and the mistakes it finds. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigError, type Loaded, load, type Sources } from '../../src/config/load.ts';
import { tempDir } from './cleanup.ts';

export const URL = 'amqp://rabbit';

export class Settings {
  readonly dir = tempDir('config');
  readonly file = join(this.dir, 'amqproxy.ini');

  end(): void {
    rmSync(this.dir, { recursive: true });
  }

  load(text: string, more: Sources = { flags: { upstream: URL } }): Loaded {
    writeFileSync(this.file, text);
    return load({ ...more, file: this.file });
  }

  /** The mistakes, without the file's name. */
  problems(of: () => unknown): string[] {
    try {
      of();
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigError);
      return (error as ConfigError).problems.map(problem => problem.replaceAll(`${this.file}:`, ''));
    }
    throw new Error('no mistake was found');
  }
}
