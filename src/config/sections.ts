/** Sections of which there may be several, each with a name: `[route NAME]`. What one does not set comes from the rest. */

import {
  type Config,
  KINDS,
  type Kind,
  type NamedSection,
  type OptionName,
  optionOf,
  SECTIONS,
} from './options.ts';
import { printable } from './types.ts';

export const isKind = (word: string): word is Kind => (KINDS as readonly string[]).includes(word);

/** "route eu", as it stands in the brackets. */
export const heading = ({ kind, name }: Pick<NamedSection, 'kind' | 'name'>): string => `${kind} ${name}`;

/** Whether a reload changes it there: a section [listen NAME] moves with all that it has. */
export const isLiveIn = ({ kind }: Pick<NamedSection, 'kind'>, name: OptionName): boolean =>
  kind === 'listen' || optionOf(name).live;

/** The kind and name in a heading; null when it is none of a section with a name. */
export function kindAndName(section: string): { kind: Kind; name: string } | null {
  const [kind, ...rest] = section.split(/\s+/);
  // [listen] is a section like [main]
  const plain = rest.length === 0 && (SECTIONS as readonly string[]).includes(kind);
  return isKind(kind) && !plain ? { kind, name: rest.join(' ') } : null;
}

/** What is wrong with the name of a section, if anything. */
export function wrongName({ kind, name }: Pick<NamedSection, 'kind' | 'name'>): string | undefined {
  if (name === '') return `[${kind}] needs a name: [${kind} NAME]`;
  const told = `[${printable(`${kind} ${name}`)}]`;
  if (!/^[\w.-]{1,64}$/.test(name)) return `${told}: a name may have letters, digits, and _ . - (64 at most)`;
  return name === 'main'
    ? `${told}: main is what is in no section of this kind, choose another name`
    : undefined;
}

export const sectionsOf = (config: Pick<Config, 'sections'>, kind: Kind): NamedSection[] =>
  config.sections.filter(section => section.kind === kind);

/** All settings as they are for this section. */
export const settingsIn = (config: Config, { own }: NamedSection): Config => ({
  ...config,
  ...own,
  sections: [],
});

/** How an error names a setting of it: "/etc/amqproxy.ini:3: port". */
export function labelIn(section: NamedSection, name: OptionName): string {
  const place = section.sources[name];
  return place === undefined ? `${section.place}: [${heading(section)}]` : `${place}: ${optionOf(name).key}`;
}
