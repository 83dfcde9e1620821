/** The settings of a running proxy: read again, checked, or changed one by one, with what there is to say of it. */

import type { Logger } from 'pino';
import { checkTogether } from '../config/check.ts';
import { ConfigError, type Loaded } from '../config/load.ts';
import { type Config, type OptionName, optionNames, optionOf, show } from '../config/options.ts';
import { reloadedConfig } from '../config/reload.ts';
import { nearest } from '../config/suggest.ts';
import { printable } from '../config/types.ts';

/** What came of it, in sentences. */
export interface Outcome {
  done: boolean;
  lines: string[];
}

/** Who goes by the settings. */
export interface Configured {
  readonly config: Config;
  readonly log: Logger;
  reload(config: Config): void | Promise<void>;
}

/** Where a setting comes from that the console has changed. */
export const BY_CONSOLE = 'console, until the next reload';

const failed = (lines: string[]): Outcome => ({ done: false, lines });

export class Settings {
  private readonly subject: Configured;
  private readonly read: () => Loaded;
  /** Where each setting comes from. */
  sources: Record<OptionName, string>;

  /** `read` reads the files, the environment and the command line again; it throws ConfigError. */
  constructor(subject: Configured, loaded: Loaded, read: () => Loaded) {
    this.subject = subject;
    this.read = read;
    this.sources = loaded.sources;
  }

  /** Takes over what can change live; what cannot is named in a warning; a mistake changes nothing. */
  async reload(): Promise<Outcome> {
    const { subject } = this;
    const { log } = subject;
    const next = this.attempt();
    if (next instanceof ConfigError) {
      const lines = next.message.split('\n');
      for (const line of lines) log.error(`Reload failed, nothing has changed: ${line}`);
      return failed(lines);
    }
    for (const warning of next.warnings) log.warn(warning);
    const { config, changed, waiting } = reloadedConfig(subject.config, next.config);
    for (const change of waiting) log.warn(`Reload: ${change}`);
    await subject.reload(config);
    this.sources = next.sources;
    log.level = config.logLevel;
    const nothing = `nothing ${waiting.length > 0 ? 'else ' : ''}has changed`;
    const line = `Reloaded: ${changed.length === 0 ? nothing : changed.join(', ')}`;
    log.info(line);
    return { done: true, lines: [...next.warnings, ...waiting, line] };
  }

  /** What a reload would do. */
  check(): Outcome {
    const next = this.attempt();
    if (next instanceof ConfigError) return failed(next.message.split('\n'));
    const { changed, waiting } = reloadedConfig(this.subject.config, next.config);
    const change = `A reload would change ${changed.length === 0 ? 'nothing' : changed.join(', ')}`;
    return { done: true, lines: [...next.warnings, ...waiting, change] };
  }

  private attempt(): Loaded | ConfigError {
    try {
      return this.read();
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
  }

  /** Changes a setting until the next reload. */
  async set(key: string, text: string): Promise<Outcome> {
    const { subject } = this;
    const name = optionNames.find(name => {
      const option = optionOf(name);
      return key === option.key || key === `${option.section}.${option.key}`;
    });
    if (name === undefined) {
      const near = nearest(
        key,
        optionNames.map(name => optionOf(name).key),
      );
      return failed([`there is no setting ${printable(key)}${near ? `: did you mean ${near}?` : ''}`]);
    }
    const { live, type } = optionOf(name);
    if (!live) return failed([`${key} changes at the next restart only: write it into the file`]);
    const config = { ...subject.config };
    try {
      (config as Record<OptionName, unknown>)[name] = type.parse(text);
    } catch (error) {
      return failed([
        `${key} = "${printable(text)}" ${(error as Error).message}: allowed is ${type.allowed}`,
      ]);
    }
    const problems: string[] = [];
    checkTogether(config, (other, what) => problems.push(`${optionOf(other).key} ${what}`));
    if (problems.length > 0) return failed(problems);
    const [before, after] = [show(name, subject.config[name]), show(name, config[name])];
    await this.put(config, name);
    return {
      done: true,
      lines: [`${key} ${before || '(none)'} -> ${after || '(none)'}, until the next reload`],
    };
  }

  /** Takes over a configuration that differs from the one in effect in one setting; null is one of a section with a name. */
  async put(config: Config, name: OptionName | null): Promise<void> {
    await this.subject.reload(config);
    this.subject.log.level = config.logLevel;
    if (name !== null) this.sources = { ...this.sources, [name]: BY_CONSOLE };
  }
}
