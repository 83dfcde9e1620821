/** What the metrics with labels count, as rows: one for each pool that has metrics of its own, and `other`. */
import type { Proxy } from '../proxy/proxy.ts';
import type { PoolTotals } from '../stats.ts';

export type Row = Record<string, string | number>;

export interface Rows {
  pools(): Row[];
}

export const poolLabels = ({ user, vhost }: Row): Record<string, string> => ({
  user: String(user),
  vhost: String(vhost),
});

const empty = (totals: PoolTotals): Row => ({
  user: totals.user,
  vhost: totals.vhost,
  clients: 0,
  waiting: 0,
  longest_wait: 0,
  shared: 0,
  private: 0,
  leased: 0,
  logins: totals.logins,
  logins_reused: totals.loginsReused,
  leases: totals.leases,
  published: totals.published,
  delivered: totals.delivered,
  refused: totals.refused,
});

function pools({ stats, registry, clientList }: Proxy): Row[] {
  const rows = new Map<PoolTotals, Row>();
  const rowOf = (totals: PoolTotals): Row => {
    let row = rows.get(totals);
    if (row === undefined) rows.set(totals, (row = empty(totals)));
    return row;
  };
  const add = (row: Row, key: string, n: number): void => {
    row[key] = Number(row[key]) + n;
  };
  for (const totals of stats.totals) rowOf(totals);
  for (const pool of registry.pools) {
    const row = rowOf(stats.totals.known(pool.user, pool.vhost));
    add(row, 'clients', pool.clients);
    add(row, 'waiting', pool.waiters.length);
    const wait = pool.waiters.length === 0 ? 0 : (performance.now() - pool.waitsSince) / 1000;
    row.longest_wait = Math.max(Number(row.longest_wait), wait);
    for (const { holder, channels } of pool.upstreams) {
      add(row, holder === null ? 'shared' : 'private', 1);
      add(row, 'leased', channels.census.leased);
    }
  }
  for (const client of clientList) {
    const { totals } = client.stay;
    if (totals === null) continue;
    const row = rowOf(totals);
    add(row, 'published', client.publisher.published);
    add(row, 'delivered', client.delivered);
  }
  return [...rows.values()];
}

/** All rows are counted once for all metrics of one answer. */
export function labelRows(proxy: Proxy): Rows {
  const once = (make: (proxy: Proxy) => Row[]): (() => Row[]) => {
    let rows: Row[] | null = null;
    return () => {
      if (rows === null) {
        rows = make(proxy);
        setImmediate(() => {
          rows = null;
        });
      }
      return rows;
    };
  };
  return { pools: once(pools) };
}
