/** What a reload does to the settings: live ones change, the others keep their value until the next start. */
import { type Config, type OptionName, optionNames, optionOf, show } from './options.ts';

export interface Reloaded {
  /** The settings to run with from now on. */
  config: Config;
  /** "close barrier -> instant", for each that has changed. */
  changed: string[];
  /** A sentence for each that waits for a restart. */
  waiting: string[];
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export function reloadedConfig(current: Config, next: Config): Reloaded {
  const result: Reloaded = { config: { ...current }, changed: [], waiting: [] };
  const put = <K extends OptionName>(name: K): void => {
    result.config[name] = next[name];
  };
  for (const name of optionNames) {
    if (same(current[name], next[name])) continue;
    const { key, live } = optionOf(name);
    const change = `${show(name, current[name]) || '(none)'} -> ${show(name, next[name]) || '(none)'}`;
    if (live) {
      put(name);
      result.changed.push(`${key} ${change}`);
    } else result.waiting.push(`${key} changes at the next restart only (${change})`);
  }
  return result;
}
