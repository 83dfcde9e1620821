/** Which option a section and key of a file name, and what was meant where they name none. */
import { KINDS, type Kind, namesIn, type OptionName, optionNames, optionOf } from './options.ts';
import { nearest } from './suggest.ts';
import { printable } from './types.ts';

/** The option that a section and key name, by the table. AMQProxy takes keys above all sections for [main]'s. */
export function optionFor(section: string, key: string): OptionName | undefined {
  return optionNames.find(name => {
    const option = optionOf(name);
    if (option.section === section && option.key === key) return true;
    return option.aliases?.some(alias =>
      alias.includes('.') ? alias === `${section}.${key}` : option.section === section && alias === key,
    );
  });
}

/** The same in a section with a name. */
export const optionIn = (kind: Kind, key: string): OptionName | undefined =>
  namesIn(kind).find(name => optionOf(name).key === key);

export function unknownKeyIn(kind: Kind, heading: string, key: string): string {
  const keys = namesIn(kind).map(name => optionOf(name).key);
  const elsewhere = optionNames.map(optionOf).find(option => option.key === key);
  const near = nearest(key, keys);
  const hint =
    elsewhere !== undefined
      ? `it belongs in [${elsewhere.section}]`
      : near !== undefined
        ? `did you mean ${near}?`
        : `allowed are ${keys.join(', ')}`;
  return `unknown key ${printable(key)} in [${heading}]: ${hint}`;
}

export function unknownKey(section: string, key: string): string {
  const sections = [
    ...new Set<string>(optionNames.map(name => optionOf(name).section)),
    ...KINDS.map(kind => `${kind} NAME`),
  ];
  if (!sections.includes(section)) {
    const [kind, ...name] = section.split(/\s+/);
    const named = name.length === 0 ? undefined : nearest(kind, KINDS);
    const near = named === undefined ? nearest(section, sections) : [named, ...name].join(' ');
    const all = sections.map(one => `[${one}]`);
    return `unknown section [${printable(section)}]: ${near ? `did you mean [${printable(near)}]? ` : ''}there are ${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
  }
  const options = optionNames.map(optionOf);
  const elsewhere = options.find(option => option.key === key);
  const keys = options.filter(option => option.section === section).map(option => option.key);
  const near =
    nearest(key, keys) ??
    nearest(
      key,
      options.map(option => option.key),
    );
  const hint =
    elsewhere !== undefined
      ? `it belongs in [${elsewhere.section}]`
      : near !== undefined
        ? `did you mean ${near}${keys.includes(near) ? '' : ` in [${options.find(option => option.key === near)!.section}]`}?`
        : `allowed are ${keys.join(', ')}`;
  return `unknown key ${printable(key)} in [${section}]: ${hint}`;
}
