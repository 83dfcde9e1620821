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
  private readonly sources: Sources;

  /** What is read beside the file. */
  constructor(sources: Sources) {
    this.sources = sources;
  }

  end(): void {
    rmSync(this.dir, { recursive: true });
  }

  readonly load = (text: string, more: Sources = this.sources): Loaded => {
    writeFileSync(this.file, text);
    return load({ ...more, file: this.file });
  };

  readonly problemsIn = (text: string): string[] => this.problems(() => this.load(text));

  /** The mistakes, without the file's name. */
  readonly problems = (of: () => unknown): string[] => {
    try {
      of();
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigError);
      return (error as ConfigError).problems.map(problem => problem.replaceAll(`${this.file}:`, ''));
    }
    throw new Error('no mistake was found');
  };
}

/** Those of a suite, gone after it. */
export function settingsOf(sources: Sources = { flags: { upstream: URL } }): Settings {
  const settings = new Settings(sources);
  after(() => settings.end());
  return settings;
}
