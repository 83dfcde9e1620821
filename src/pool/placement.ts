/**
 * Which upstream of a pool a lease goes to, and who leaves one that is busy: pure functions. One ranks upstreams for what a
 * lease is wanted for, the other divides a crowd.
 */
import type { Purpose } from '../upstream/lease.ts';

/** What is looked at in an upstream. */
export interface Placeable {
  /** The broker does not read it, because of an alarm. */
  readonly blocked: string | null;
  /** It carries consumers only, as long as it is in use. */
  readonly consuming: boolean;
  /** Channels in use. */
  readonly busy: number;
  /** The broker owes it an answer and is silent, or is about to end it. */
  readonly suspect: boolean;
  readonly channels: {
    readonly load: {
      /** Who comes waits behind the bytes of others. */
      readonly busy: boolean;
      /** Clients that have it for what they publish. */
      readonly tenants: number;
      /** Bytes that went out in the last tick. */
      readonly pace: number;
    };
  };
}

/** What a lease is wanted for. */
export interface Want {
  readonly purpose: Purpose;
  /** The upstream that the client has for what it publishes. */
  readonly home: object | null;
  /** Some upstream of the pool is blocked. */
  readonly alarm: boolean;
}

/** As good as can be: no other need be looked at. */
export const BEST = 0;
/** As good as a new one. */
export const GOOD = 1;
/** Up to one more than this it is taken at once, but one more upstream is wanted … */
const CROWDED = 2;
/** … and from here on one is opened first, if it may be. */
export const UNFIT = 3;

/** Bytes in a tick at which one busy upstream is taken for half as good as one with nothing to do. */
const HALF_PACE = 16 * 1024 * 1024;

/** Whether others are better off elsewhere. */
export const isCrowded = ({ channels: { load } }: Pick<Placeable, 'channels'>): boolean =>
  load.busy || load.tenants > 0;

/**
 * How well an upstream suits; lower is better.
 *
 * Consumers share upstreams with consumers only, and who does not publish gets one that the broker has not blocked: they go
 * on during an alarm. A publisher gets a blocked one if there is one, so that it blocks no other. One that is silent, or about
 * to end, is the last choice. Without an alarm, who fills an upstream goes to the one it has for that, and all others avoid those
 * that are busy or somebody's; where there are no others, the least busy is taken.
 */
export function rank(upstream: Placeable, { purpose, home, alarm }: Want): number {
  if (upstream.suspect) return 6;
  const fits = upstream.busy === 0 || upstream.consuming === (purpose === 'consume');
  if (!fits) return 5;
  if (alarm) return rankInAlarm(upstream, purpose);
  if (upstream === home) return BEST;
  if (isCrowded(upstream)) return CROWDED + crowding(upstream.channels.load);
  return home === null ? BEST : GOOD;
}

function rankInAlarm(upstream: Placeable, purpose: Purpose): number {
  if (purpose !== 'publish') return upstream.blocked === null ? BEST : 4;
  if (upstream.blocked !== null) return BEST;
  return upstream.busy === 0 ? GOOD : UNFIT;
}

/** From 0, to 1 exclusive: by how many have it, then by what goes over it. */
function crowding({ tenants, pace }: Placeable['channels']['load']): number {
  const crowd = tenants + pace / (pace + HALF_PACE);
  return crowd / (crowd + 1);
}

// ---- who leaves a busy upstream

/** One of the clients that have leases on it. */
export interface Share {
  /** What it has sent in the last tick. */
  readonly pace: number;
  /** It has this upstream for what it publishes. */
  readonly settled: boolean;
  /** Something that it does there keeps it there. */
  readonly fixed: boolean;
}

export interface Division {
  /** Stays, and has the upstream for itself; -1 for nobody. */
  keeper: number;
  /** They fill it, too: each is better off on one of its own, the busiest first. */
  fillers: number[];
  /** They go where it is not busy. */
  others: number[];
}

/** Who does a quarter of what the busiest does, and is no mere part of a crowd, fills an upstream as it does. */
const FILLS_OF_MOST = 1 / 4;
const FILLS_OF_ALL = 1 / 32;
/** What it does at least in a tick: some forty small messages a second. */
const FILLS = 32 * 1024;

/** More others than these are more to move than one who fills it, even if they do nothing now: each channel is opened anew. */
const FEW = 8;

/** Divides the clients of a busy upstream. */
export function relieve(crowd: readonly Share[]): Division {
  const all = crowd.reduce((sum, { pace }) => sum + pace, 0);
  const most = crowd.reduce((max, { pace }) => Math.max(max, pace), 0);
  const fills = ({ pace }: Share): boolean =>
    pace >= FILLS && pace >= most * FILLS_OF_MOST && pace >= all * FILLS_OF_ALL;
  const order = crowd.map((_, i) => i).sort((a, b) => crowd[b].pace - crowd[a].pace);
  const fillers = order.filter(i => fills(crowd[i]));
  const others = order.filter(i => !fills(crowd[i]));
  // all alike, and many: half of them is half of the load
  if (fillers.length === 0) return { keeper: -1, fillers: [], others: others.filter((_, i) => i % 2 === 1) };
  const stays = fillers.find(i => crowd[i].fixed) ?? fillers.find(i => crowd[i].settled);
  // where others are at work it is less to move those who fill it
  const shared = others.length > FEW || others.some(i => crowd[i].pace > 0);
  const keeper = stays ?? (shared ? -1 : fillers[0]);
  return {
    keeper,
    fillers: fillers.filter(i => i !== keeper && !crowd[i].fixed),
    others: keeper < 0 ? [] : others,
  };
}
