/** What a reload does to the settings: live ones change, the others keep their value until the next start. */
import {
  type Config,
  type NamedSection,
  namesIn,
  type OptionName,
  optionNames,
  optionOf,
  show,
} from './options.ts';
import { heading, isLiveIn } from './sections.ts';

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
  reloadSections(current.sections, next.sections, result);
  return result;
}

/** Sections with a name come, go and change; what cannot change live keeps its value in those that stay. */
function reloadSections(
  current: readonly NamedSection[],
  next: readonly NamedSection[],
  { config, changed, waiting }: Reloaded,
): void {
  const before = new Map(current.map(section => [heading(section), section]));
  config.sections = next.map(section => {
    const called = heading(section);
    const was = before.get(called);
    before.delete(called);
    if (was === undefined) {
      changed.push(`[${called}] is new`);
      return section;
    }
    const own: Record<string, unknown> = { ...section.own };
    for (const name of namesIn(section.kind)) {
      const [a, b] = [was.own[name], section.own[name]];
      if (same(a, b)) continue;
      const { key } = optionOf(name);
      const [from, to] = [a, b].map(value => (value === undefined ? '' : show(name, value)) || '(none)');
      if (isLiveIn(section, name)) changed.push(`[${called}] ${key} ${from} -> ${to}`);
      else {
        waiting.push(`[${called}] ${key} changes at the next restart only (${from} -> ${to})`);
        if (a === undefined) delete own[name];
        else own[name] = a;
      }
    }
    return { ...section, own };
  });
  for (const called of before.keys()) changed.push(`[${called}] is gone`);
  const order = (sections: readonly NamedSection[]): string => sections.map(heading).join();
  const stay = (sections: readonly NamedSection[], others: readonly NamedSection[]): NamedSection[] =>
    sections.filter(section => others.some(other => heading(other) === heading(section)));
  if (order(stay(current, next)) !== order(stay(next, current)))
    changed.push('sections are in another order');
}
