/**
 * max_clients, divided among the workers by need: each has room for those who are there, for those who wait there as far as
 * that goes, and for an even part of those who may still come. What one has and another needs goes over to that one; together
 * they never have more than the limit.
 */
import { evenly, part } from '../share.ts';
import { ANSWER_MS, within } from './link.ts';
import type { Member } from './member.ts';

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** What a worker has use for: clients that are there, and those that wait for room. */
export interface Need {
  readonly admitted: number;
  readonly waiting: number;
}

/** Parts for those who need so much: what is left is divided evenly. */
export function divided(limit: number, needs: readonly Need[]): number[] {
  let spare = Math.max(0, limit - sum(needs.map(({ admitted }) => admitted)));
  const parts = needs.map(({ admitted, waiting }) => {
    const granted = Math.min(waiting, spare);
    spare -= granted;
    return admitted + granted;
  });
  return parts.map((clients, i) => clients + evenly(spare, i, parts.length));
}

/** Whether somebody could have room for who waits, or has less than half the room that would be fair, or all have more than there is. */
export function unfair(limit: number, needs: readonly Need[], has: readonly number[]): boolean {
  const fair = divided(limit, needs);
  return (
    sum(has) > limit ||
    needs.some(
      ({ admitted, waiting }, i) =>
        (has[i] - admitted) * 2 < fair[i] - admitted || (waiting > 0 && has[i] < fair[i]),
    )
  );
}

const NOBODY: Need = { admitted: 0, waiting: 0 };

export class Allotment {
  /** What each has. */
  private readonly parts = new Map<Member, number>();
  private balancing = false;
  /** It was to be looked at while it was being divided. */
  private missed = false;

  /** For one that starts, in a place of so many: of what nobody has an even part. */
  begin(member: Member, limit: number, count: number): number {
    const free = Math.max(0, limit - sum([...this.parts.values()]));
    const clients = Math.min(free, part(limit, member.index, count));
    if (limit > 0) this.parts.set(member, clients);
    return clients;
  }

  end(member: Member): void {
    this.parts.delete(member);
  }

  /**
   * Divides anew among `count` workers where that is needed; the parts of those that are to come back are left. True if it is to
   * be looked at again: somebody has reported meanwhile.
   */
  async balance(limit: number, members: readonly Member[], count: number): Promise<boolean> {
    if (limit === 0) return false;
    if (this.balancing) {
      this.missed = true;
      return false;
    }
    // where there was no limit until now each takes an even part by itself
    for (const member of members)
      if (!this.parts.has(member)) this.parts.set(member, part(limit, member.index, count));
    const absent = Array.from({ length: count - members.length }, () => NOBODY);
    const needs = [...members.map(({ report }) => report ?? NOBODY), ...absent];
    const fair = divided(limit, needs);
    const has = (): number[] => members.map(member => this.parts.get(member) ?? 0);
    if (!unfair(limit, needs, [...has(), ...fair.slice(members.length)])) return false;
    this.balancing = true;
    this.missed = false;
    const allot = async (member: Member, clients: number): Promise<void> => {
      if (!this.parts.has(member)) return; // it has ended
      const most = Math.max(clients, this.parts.get(member)!);
      this.parts.set(member, most);
      // nobody knows what one has that does not answer: the more of both
      const kept = await within(ANSWER_MS, member.link.ask('allot', clients)).catch(() => most);
      if (this.parts.has(member)) this.parts.set(member, kept);
    };
    try {
      // nobody gets what another may still use
      for (const [i, member] of members.entries()) if (fair[i] < has()[i]) await allot(member, fair[i]);
      for (const [i, member] of members.entries()) {
        const free = limit - sum([...this.parts.values()]);
        const more = Math.min(free, fair[i] - has()[i]);
        if (more > 0) await allot(member, has()[i] + more);
      }
    } finally {
      this.balancing = false;
    }
    return this.missed;
  }
}
