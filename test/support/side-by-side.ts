/** Tests that mostly wait: they begin together, and each is reported as if it had been run by itself. */
import { proxyOnly } from './fixture.ts';
import { Relayed } from './relayed.ts';

/** Registers these, each with a name that says what it is about. */
export function sideBySide(tests: Record<string, () => Promise<unknown>>): void {
  const outcomes = new Map<string, Promise<unknown>>();
  before(() => {
    for (const [name, test] of Object.entries(tests)) {
      const outcome = test();
      outcome.catch(() => {}); // until its turn has come
      outcomes.set(name, outcome);
    }
  });
  for (const name of Object.keys(tests)) it(name, () => outcomes.get(name));
}

/** The same for tests of a proxy with these settings, each with one of its own that reaches the broker by a relay. */
export function relayedSideBySide(
  settings: string[],
  tests: Record<string, (to: Relayed) => Promise<unknown>>,
): void {
  before(function () {
    proxyOnly(this);
  });
  sideBySide(
    Object.fromEntries(
      Object.entries(tests).map(([name, test]) => [
        name,
        async () => {
          const to = new Relayed();
          try {
            await to.begin(settings);
            await test(to);
          } finally {
            to.tidy();
            await to.finish();
          }
        },
      ]),
    ),
  );
}
