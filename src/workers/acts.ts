/** The operator's acts, done by all workers. */
import { areIds, type Request, type Result, routeOf, type StepName } from '../console/acts.ts';
import { Absent, Refusal, scopeName } from '../console/scope.ts';
import { Gone } from './link.ts';
import type { Member } from './member.ts';
import type { Act } from './protocol.ts';

/** What each is to do: who is meant by ids is with one of them, whom its numbers tell. */
function sharedOut(
  name: StepName,
  { args, options }: Act,
  members: readonly Member[],
  count: number,
): [Member, Act][] {
  const ids = name === 'debug' ? args.slice(0, 1) : name === 'kill' ? args : [];
  if (!areIds(ids)) return members.map(member => [member, { args, options }]);
  const mine = ({ index }: Member): string[] => ids.filter(id => (Number(id.slice(1)) - 1) % count === index);
  return members
    .filter(member => mine(member).length > 0)
    .map(member => [member, { args: [...mine(member), ...args.slice(ids.length)], options }]);
}

const EVERYTHING = scopeName(null);

export class Acts {
  /** How many workers there are to be. */
  private readonly count: number;
  /** What a worker that starts has to do, too, by what it is done to. */
  private readonly lasting = new Map<string, [StepName, Act]>();

  constructor(count: number) {
    this.count = count;
  }

  get orders(): [StepName, Act][] {
    return [...this.lasting.values()];
  }

  /** What came of it in each of them. @throws Refusal where it is not done. */
  async each<K extends StepName>(
    name: K,
    { args, options, signal }: Request,
    members: readonly Member[],
  ): Promise<Result<K>[]> {
    const asked = sharedOut(name, { args, options }, members, this.count);
    const answers = await Promise.allSettled(
      asked.map(([{ link }, act]) => link.ask('act', { name, act }, { signal })),
    );
    const done = answers.flatMap(answer =>
      answer.status === 'fulfilled' ? [answer.value as Result<K>] : [],
    );
    // what it names may be with one worker only, and one that has ended has nothing left to do it to
    const why = answers
      .flatMap(answer => (answer.status === 'rejected' ? [answer.reason as Error] : []))
      .find(reason => !(reason instanceof Gone) && (done.length === 0 || !(reason instanceof Absent)));
    if (why !== undefined) throw why;
    if (done.length === 0)
      throw areIds(args)
        ? new Absent(`there is no client ${args.join(', ')}`)
        : new Refusal('no worker is there to do it');
    if (name === 'pause') {
      // a pool that one of them does not have yet
      const others = asked.filter((_, i) => answers[i].status === 'rejected').map(([member]) => member);
      const act = { args, options: new Map<string, string>() };
      await Promise.allSettled(others.map(({ link }) => link.ask('act', { name: 'expect', act })));
    }
    this.remember(name, { args, options }, done[0]);
    return done;
  }

  /** A worker that takes the place of another is to be as that one was. */
  private remember(name: StepName, act: Act, result: unknown): void {
    const { scope = EVERYTHING } = (result ?? {}) as { scope?: string };
    if (name === 'pause' && scope.startsWith('pool ')) this.lasting.set(scope, ['expect', act]);
    else if (name === 'pause' || name === 'drain') this.lasting.set(scope, [name, act]);
    else if (name === 'hold' && result !== null) this.lasting.set(`switch of ${routeOf(act)}`, [name, act]);
    else if (name === 'release') this.lasting.delete(`switch of ${routeOf(act)}`);
    else if ((name === 'resume' && scope !== EVERYTHING) || name === 'undrain') this.lasting.delete(scope);
    else if (name === 'resume') this.lasting.clear();
  }
}
