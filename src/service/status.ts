/** The line of `systemctl status`: what is there, what goes on, and what is wrong; short enough for a terminal. */
import type { Proxy } from '../proxy/proxy.ts';
import { count } from '../words.ts';
import type { Rates } from './stats-line.ts';

const few = (n: number): string => (n === 0 || n >= 100 ? String(Math.round(n)) : n.toFixed(1));

/** What an operator should look at, the worst first. */
export function troubles({ registry, routes }: Proxy, refused: number): string[] {
  const list: string[] = [];
  for (const { name, drained, downSince } of routes.all.flatMap(({ dialer }) => [...dialer.brokers]))
    if (drained) list.push(`${name} drained`);
    else if (downSince !== null) {
      const since = new Date(Date.now() - (performance.now() - downSince.since));
      list.push(`${name} down since ${since.toTimeString().slice(0, 5)}: ${downSince.why}`);
    }
  if (registry.paused) list.push('paused');
  let waiting = 0;
  let oldest = Number.POSITIVE_INFINITY;
  let blocked = 0;
  for (const pool of registry.pools) {
    waiting += pool.waiters.length;
    oldest = Math.min(oldest, pool.waitsSince);
    for (const upstream of pool.upstreams) if (upstream.blocked !== null) blocked++;
  }
  if (waiting > 0) {
    const longest = (performance.now() - oldest) / 1000;
    list.push(`${count(waiting, 'client')} waiting, ${longest.toFixed(1)} s`);
  }
  if (blocked > 0) list.push(`${count(blocked, 'upstream')} blocked`);
  if (refused > 0) list.push(`${refused} refused`);
  return list;
}

export function statusLine(proxy: Proxy, { logins, messagesIn, messagesOut, refused }: Rates): string {
  const { stats } = proxy;
  const { upstreamsBusy: busy, clientsApart: apart } = stats;
  const load = busy + apart === 0 ? '' : ` (${busy} busy, ${count(apart, 'client')} apart)`;
  const facts = [
    `${count(stats.clients, 'client')}, ${count(stats.upstreams, 'upstream')}${load}, ${few(logins)} logins/s, ${few(messagesIn)} msg/s in, ${few(messagesOut)} out`,
    ...troubles(proxy, refused),
  ];
  return facts.join('; ');
}
