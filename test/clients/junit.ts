/** JUnit's report, which every test runner here can write. */
import { basename } from 'node:path';

export type Outcome = 'passed' | 'failed' | 'skipped';

/** What is known of a test: its names from the outermost suite to the test itself, and how it ended. */
export interface Test {
  path: string[];
  outcome: Outcome;
  /** What the runner says of a failure. */
  message: string;
}

const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
const unescape = (text: string): string =>
  text
    .replace(/&#(x?)([0-9a-f]+);/gi, (_, hex, code) => String.fromCodePoint(parseInt(code, hex ? 16 : 10)))
    .replace(/&(lt|gt|amp|quot|apos);/g, (_, name) => ENTITIES[name]);

const attribute = (tag: string, name: string): string =>
  unescape(new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? '');

/** The tests of a report by name. One that ran several times under a name (with other data) has to pass each time. */
export function readReport(xml: string): Map<string, Test> {
  const tests = new Map<string, Test>();
  const suites: string[] = [];
  let test: Test | null = null;
  const ended = (): void => {
    const { path, outcome } = test!;
    const name = path.join(' › ');
    if (tests.get(name)?.outcome !== 'failed' || outcome === 'failed') tests.set(name, test!);
    test = null;
  };
  for (const [tag, slash, element] of xml
    .replace(/<!\[CDATA\[.*?\]\]>/gs, '')
    .matchAll(/<(\/?)([a-z-]+)(?:[^>"]|"[^"]*")*>/g)) {
    const empty = tag.endsWith('/>');
    if (element === 'testsuite' && slash) suites.pop();
    else if (element === 'testsuite' && !empty) suites.push(attribute(tag, 'name'));
    else if (element === 'testcase' && slash) ended();
    else if (element === 'testcase') {
      const where = basename(attribute(tag, 'file')) || attribute(tag, 'classname');
      const path = [where, ...suites, attribute(tag, 'name')].filter(part => part !== '');
      test = { path, outcome: 'passed', message: '' };
      if (empty) ended();
    } else if (test !== null && !slash && (element === 'failure' || element === 'error')) {
      test.outcome = 'failed';
      test.message = attribute(tag, 'message');
    } else if (test !== null && element === 'skipped') test.outcome = 'skipped';
  }
  return tests;
}
