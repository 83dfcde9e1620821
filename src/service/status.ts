/** The line of `systemctl status`: what is there, what goes on, and what is wrong; short enough for a terminal. */
import type { Proxy } from '../proxy/proxy.ts';
import type { Counted } from '../stats.ts';
import { count } from '../words.ts';
import type { Rates } from './stats-line.ts';

const few = (n: number): string => (n === 0 || n >= 100 ? String(Math.round(n)) : n.toFixed(1));

/** How things stand that an operator may have to look at. */
export interface Standing {
  /** `since` by the wall clock, in milliseconds. */
  brokers: { name: string; drained: boolean; down: { since: number; why: string } | null }[];
  paused: boolean;
  waiting: number;
  /** Seconds. */
  longestWait: number;
  /** Upstreams. */
  blocked: number;
}

export function standingOf({ registry, routes }: Proxy): Standing {
  const now = performance.now();
  const brokers = routes.all
    .flatMap(({ dialer }) => [...dialer.brokers])
    .map(({ name, drained, downSince }) => ({
      name,
      drained,
      down: downSince && { since: Date.now() - (now - downSince.since), why: downSince.why },
    }));
  const standing = { brokers, paused: registry.paused, waiting: 0, longestWait: 0, blocked: 0 };
  for (const { waiters, waitsSince, upstreams } of registry.pools) {
    standing.waiting += waiters.length;
    if (waiters.length > 0) standing.longestWait = Math.max(standing.longestWait, (now - waitsSince) / 1000);
    for (const upstream of upstreams) if (upstream.blocked !== null) standing.blocked++;
  }
  return standing;
}

/** What an operator should look at, the worst first. */
function troubles({ brokers, paused, waiting, longestWait, blocked }: Standing, refused: number): string[] {
  const list: string[] = [];
  for (const { name, drained, down } of brokers)
    if (drained) list.push(`${name} drained`);
    else if (down !== null)
      list.push(`${name} down since ${new Date(down.since).toTimeString().slice(0, 5)}: ${down.why}`);
  if (paused) list.push('paused');
  if (waiting > 0) list.push(`${count(waiting, 'client')} waiting, ${longestWait.toFixed(1)} s`);
  if (blocked > 0) list.push(`${count(blocked, 'upstream')} blocked`);
  if (refused > 0) list.push(`${refused} refused`);
  return list;
}

interface Told {
  readonly stats: Counted;
  readonly standing: Standing;
  readonly remarks: readonly string[];
}

export function statusLine(
  { stats, standing, remarks }: Told,
  { logins, messagesIn, messagesOut, refused }: Rates,
): string {
  const { upstreamsBusy: busy, clientsApart: apart } = stats;
  const load = busy + apart === 0 ? '' : ` (${busy} busy, ${count(apart, 'client')} apart)`;
  const facts = [
    `${count(stats.clients, 'client')}, ${count(stats.upstreams, 'upstream')}${load}, ${few(logins)} logins/s, ${few(messagesIn)} msg/s in, ${few(messagesOut)} out`,
    ...remarks,
    ...troubles(standing, refused),
  ];
  return facts.join('; ');
}
