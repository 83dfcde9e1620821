/** What all workers show as one. */
import type { Config } from '../config/options.ts';
import type { Row } from '../console/history.ts';
import type { LiveView } from '../console/rows.ts';
import type { Buffers } from '../proxy/proxy.ts';
import type { Standing } from '../service/status.ts';

/** How the values of a column become one; `most` and `least` are of numbers, `first` what is not alike is left at. */
type Way = 'sum' | 'most' | 'least';

/** Views of which each worker has rows about the same things: by what they are the same, and how columns become one. */
const SAME: Partial<Record<LiveView, { by: string[]; ways: Record<string, Way>; states: string[] }>> = {
  pools: {
    by: ['id', 'route'],
    ways: {
      clients: 'sum',
      waiting: 'sum',
      longest_wait: 'most',
      upstreams: 'sum',
      shared: 'sum',
      private: 'sum',
      busy: 'sum',
      leased: 'sum',
      parked: 'sum',
      logins_rate: 'sum',
      leases_rate: 'sum',
      published_rate: 'sum',
      delivered_rate: 'sum',
      refused: 'sum',
    },
    states: ['paused', 'blocked', 'ok', 'no upstream'],
  },
  brokers: {
    by: ['id', 'route'],
    ways: {
      for: 'most',
      upstreams: 'sum',
      leased: 'sum',
      blocked: 'sum',
      barrier: 'most',
      dials: 'sum',
      dialed: 'least',
      failures: 'sum',
    },
    states: ['drained', 'down', 'up', 'unknown'],
  },
};

/** Whether the rows of all workers are about the same things. */
export const ofAll = (view: LiveView): boolean => SAME[view] !== undefined;

const WAYS: Record<Way, (a: number, b: number) => number> = {
  sum: (a, b) => a + b,
  most: Math.max,
  // 0 is never
  least: (a, b) => (a === 0 || b === 0 ? a + b : Math.min(a, b)),
};

/** The rows of all workers as those of one. */
export function merged(view: LiveView, rows: readonly Row[]): Row[] {
  const same = SAME[view];
  if (same === undefined)
    return view === 'events'
      ? [...rows].sort((a, b) => (String(a.time) < String(b.time) ? -1 : 1)).slice(-1000)
      : [...rows];
  const byKey = new Map<string, Row>();
  for (const { worker: _, ...row } of rows) {
    const key = same.by.map(column => String(row[column])).join('\0');
    const one = byKey.get(key);
    if (one === undefined) {
      byKey.set(key, row);
      continue;
    }
    for (const [column, way] of Object.entries(same.ways))
      one[column] = WAYS[way](Number(one[column]), Number(row[column]));
    one.state = same.states.find(state => state === one.state || state === row.state) ?? one.state;
    if (row.why) one.why ||= row.why;
  }
  return [...byKey.values()];
}

export function mergedStanding(standings: readonly Standing[]): Standing {
  const brokers = new Map<string, Standing['brokers'][number]>();
  for (const broker of standings.flatMap(({ brokers }) => brokers)) {
    const known = brokers.get(broker.name);
    // the worst that one of them knows of
    if (known === undefined || broker.drained || (known.down === null && !known.drained))
      brokers.set(broker.name, broker);
  }
  const sum = (of: (standing: Standing) => number): number => standings.reduce((n, one) => n + of(one), 0);
  return {
    brokers: [...brokers.values()],
    paused: standings.some(({ paused }) => paused),
    waiting: sum(({ waiting }) => waiting),
    longestWait: Math.max(0, ...standings.map(({ longestWait }) => longestWait)),
    blocked: sum(({ blocked }) => blocked),
  };
}

export function mergedBuffers(all: readonly Buffers[], config: Config): Buffers {
  const fill = (kind: keyof Buffers, limit: number): Buffers[typeof kind] => ({
    total: all.reduce((n, buffers) => n + buffers[kind].total, 0),
    largest: Math.max(0, ...all.map(buffers => buffers[kind].largest)),
    limit,
  });
  return {
    client_buffer: fill('client_buffer', config.clientBuffer),
    upstream_buffer: fill('upstream_buffer', config.upstreamBuffer),
    message_buffer: fill('message_buffer', config.messageBuffer),
  };
}

/** Whether those who take each route would be served: where all workers can. */
export function mergedRoutes(all: readonly ReadonlyMap<string, boolean>[]): Map<string, boolean> {
  const routes = new Map<string, boolean>();
  for (const one of all)
    for (const [name, ready] of one) routes.set(name, ready && (routes.get(name) ?? true));
  return routes;
}
