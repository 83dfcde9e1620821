/** Which route a user and a vhost take, and which routes nobody can take. */
import { type Config, type NamedSection, optionOf, show } from './options.ts';
import { heading, sectionsOf, settingsIn } from './sections.ts';

const ALL = ['*'];

/** Whom a route takes. */
interface Rule {
  section: NamedSection;
  vhosts: readonly string[];
  users: readonly string[];
}

const orAll = (patterns: readonly string[] | undefined): readonly string[] =>
  patterns === undefined || patterns.length === 0 ? ALL : patterns;

const ruleOf = (section: NamedSection): Rule => ({
  section,
  vhosts: orAll(section.own.routeVhosts),
  users: orAll(section.own.routeUsers),
});

/** Whether a word fits a pattern, in which * stands for any characters. */
export function fits(pattern: string, word: string): boolean {
  if (!pattern.includes('*')) return pattern === word;
  const [first, ...rest] = pattern.split('*');
  const last = rest.pop()!;
  if (!word.startsWith(first) || !word.endsWith(last) || word.length < first.length + last.length)
    return false;
  const end = word.length - last.length;
  let at = first.length;
  for (const part of rest) {
    const found = word.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

const anyFits = (patterns: readonly string[], word: string): boolean =>
  patterns.some(pattern => fits(pattern, word));

/** The first route that fits; null for none. */
export function routeFor(config: Config, user: string, vhost: string): NamedSection | null {
  for (const section of sectionsOf(config, 'route')) {
    const { vhosts, users } = ruleOf(section);
    if (anyFits(users, user) && anyFits(vhosts, vhost)) return section;
  }
  return null;
}

/** The routes this user may take, by the vhost; null among them is [main]. */
export function routesOf(config: Config, user: string): (NamedSection | null)[] {
  const found: (NamedSection | null)[] = [];
  for (const section of sectionsOf(config, 'route')) {
    const { vhosts, users } = ruleOf(section);
    if (!anyFits(users, user)) continue;
    found.push(section);
    if (vhosts.includes('*')) return found;
  }
  return [...found, null];
}

/** "app@shop takes [route eu] (/etc/amqproxy.ini:7): amqp://eu.example:5672" */
export function describeRoute(config: Config, user: string, vhost: string): string {
  const who = `${user}@${vhost}`.replace(/\p{Cc}/gu, ' ');
  const section = routeFor(config, user, vhost);
  const { upstream } = section === null ? config : settingsIn(config, section);
  if (upstream.length === 0) return `${who} takes no route, and [main] has no upstream: refused`;
  return `${who} takes ${section === null ? '[main]' : `${named(section)} (${section.place})`}: ${show('upstream', upstream)}`;
}

// ---- what cannot be meant

/** Whether all that fits `b` fits `a`: a * of `b` is a character that only a * of `a` takes. */
const covers = (a: string, b: string): boolean => fits(a, b);

/** Whether something fits both. */
function meet(a: string, b: string): boolean {
  if (a === '' || b === '') return /^\**$/.test(a + b);
  if (a[0] === '*') return meet(a.slice(1), b) || meet(a, b.slice(1));
  if (b[0] === '*') return meet(a, b.slice(1)) || meet(a.slice(1), b);
  return a[0] === b[0] && meet(a.slice(1), b.slice(1));
}

const pairs = ({ vhosts, users }: Rule): [vhost: string, user: string][] =>
  vhosts.flatMap(vhost => users.map(user => [vhost, user] as [string, string]));

const takes = (rule: Rule, [vhost, user]: [string, string]): boolean =>
  rule.vhosts.some(pattern => covers(pattern, vhost)) && rule.users.some(pattern => covers(pattern, user));

/** The routes that can never be reached, with those before them that take what they would. */
export function unreachable(config: Config): { section: NamedSection; by: NamedSection[] }[] {
  const rules = sectionsOf(config, 'route').map(ruleOf);
  return rules.flatMap((rule, at) => {
    const before = rules.slice(0, at);
    const by = new Set<NamedSection>();
    for (const pair of pairs(rule)) {
      const taker = before.find(other => takes(other, pair));
      if (taker === undefined) return [];
      by.add(taker.section);
    }
    return [{ section: rule.section, by: before.map(({ section }) => section).filter(one => by.has(one)) }];
  });
}

/** Whether a route takes nobody but whom the other would take as well. */
const within = (narrow: Rule, wide: Rule): boolean => pairs(narrow).every(pair => takes(wide, pair));

type Key = 'routeVhosts' | 'routeUsers';

/** Names in a route that it can never be reached by, since one before it takes them, where others are left. */
export function taken(config: Config): { section: NamedSection; key: Key; name: string; by: NamedSection }[] {
  const rules = sectionsOf(config, 'route').map(ruleOf);
  return rules.flatMap((rule, at) => {
    // a narrow route before a wide one is what the order is for
    const before = rules.slice(0, at).filter(other => !within(other, rule));
    const dead = (key: Key, name: string, those: [vhost: string, user: string][]) => {
      const taker = before.find(other => those.every(pair => takes(other, pair)));
      return taker === undefined ? [] : [{ section: rule.section, key, name, by: taker.section }];
    };
    const { vhosts, users } = rule;
    const found = [
      ...vhosts.flatMap(vhost =>
        dead(
          'routeVhosts',
          vhost,
          users.map(user => [vhost, user]),
        ),
      ),
      ...users.flatMap(user =>
        dead(
          'routeUsers',
          user,
          vhosts.map(vhost => [vhost, user]),
        ),
      ),
    ];
    return found.length === vhosts.length + users.length ? [] : found;
  });
}

const named = (section: NamedSection): string => `[${heading(section)}]`;

/** `vhosts = a-*` of a route, where that is what narrows it; the place of it. */
function condition(section: NamedSection, vhost: string, user: string): { text: string; place: string } {
  const key: Key = vhost === '*' && user !== '*' ? 'routeUsers' : 'routeVhosts';
  const text = `${optionOf(key).key} = ${key === 'routeUsers' ? user : vhost}`;
  return { text: `${text} of ${named(section)}`, place: section.sources[key] ?? section.place };
}

/**
 * What is taken, but may not be meant: routes of which each takes some that the other would take, and more. A narrow route
 * before a wide one is what the order is for.
 */
export function overlaps(config: Config): string[] {
  const rules = sectionsOf(config, 'route').map(ruleOf);
  return rules.flatMap((later, at) =>
    rules.slice(0, at).flatMap(earlier => {
      if (within(earlier, later)) return [];
      for (const mine of pairs(later)) {
        const theirs = pairs(earlier).find(pair => meet(pair[0], mine[0]) && meet(pair[1], mine[1]));
        if (theirs === undefined) continue;
        const [a, b] = [condition(later.section, ...mine), condition(earlier.section, ...theirs)];
        return [
          `${a.place}: ${a.text} and ${b.text} (${b.place}) both fit some: those take ${named(earlier.section)}, which comes first`,
        ];
      }
      return [];
    }),
  );
}
