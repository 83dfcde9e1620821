/** Reports a problem with an option (of a section with a name); the caller knows where its value comes from. */
import type { NamedSection, OptionName } from './options.ts';

export type Report = (name: OptionName, what: string, section?: NamedSection) => void;
