/**
 * Looks after brokers that have fallen silent as a whole, as a machine does that hangs. An upstream by itself notices when an
 * answer is due; who only consumes, or waits for confirms, is owed none. So a broker of which nothing is heard is asked over
 * one upstream; when the answer is late, over all; and when it is given up there, it is everywhere.
 */
import type { Pool } from '../pool/pool.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** Milliseconds between two looks, and without a byte from a broker that has work to do, before it is asked. */
const LOOK_MS = 500;
const QUIET_MS = 1000;
/** Milliseconds without a byte on any upstream after which those that are late are given up together. */
const DEAD_MS = 5000;

type Watched = Pick<Upstream, 'address' | 'state' | 'blocked' | 'busy' | 'holder' | 'transport' | 'silence'>;

/** One look at all upstreams of a broker; `now` as of the coarse clock. */
export function watch(upstreams: readonly Watched[], now: number): void {
  const heard = Math.max(...upstreams.map(({ transport }) => transport.heartbeat.lastRead));
  const late = upstreams.some(({ silence }) => silence.suspect);
  // one connection may be dead, as where a firewall has forgotten it, and the broker alive
  const dead = now - heard > DEAD_MS && upstreams.some(({ silence }) => silence.over);
  if (late) {
    for (const { silence } of upstreams) {
      silence.ask();
      if (dead) silence.giveUpTogether();
    }
    return;
  }
  if (!upstreams.some(({ busy, holder }) => busy > 0 || holder !== null)) return;
  if (now - heard > QUIET_MS)
    (upstreams.find(({ transport }) => transport.out.pending === 0) ?? upstreams[0]).silence.ask();
}

export class Sentinel {
  private last = 0;

  maintain(now: number, pools: Iterable<Pool>): void {
    if (now - this.last < LOOK_MS) return;
    this.last = now;
    const byRoute = new Map<object, Map<string, Upstream[]>>();
    for (const { way, upstreams } of pools) {
      let brokers = byRoute.get(way.route);
      if (brokers === undefined) byRoute.set(way.route, (brokers = new Map()));
      for (const upstream of upstreams) {
        if (upstream.state !== 'live' || upstream.blocked !== null) continue;
        const there = brokers.get(upstream.address);
        if (there === undefined) brokers.set(upstream.address, [upstream]);
        else there.push(upstream);
      }
    }
    for (const brokers of byRoute.values()) for (const upstreams of brokers.values()) watch(upstreams, now);
  }
}
