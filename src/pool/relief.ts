/**
 * Has those who fill an upstream of a pool get one of their own, before their neighbours feel it, and those whose upstream is
 * somebody's leave it. Looks once in a tick; nothing waits for it, and nothing fails for it: where no more upstreams can be
 * had, the least busy is taken.
 */
import type { Tenant } from '../upstream/carrier.ts';
import type { Lease } from '../upstream/lease.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { isCrowded, relieve, type Share } from './placement.ts';

/** Milliseconds between two attempts to get one more, when the last one gave none; doubled. */
const AGAIN_MS = 1000;
const AGAIN_MAX_MS = 60_000;

/** Bytes in a tick that no handshake and hardly a client needs: so idle is one that nobody uses now and then. */
const IDLE = 2048;

/** The pool. */
interface Relieved {
  readonly upstreams: readonly Upstream[];
  readonly alarm: boolean;
  /** Clients that are logged in. */
  readonly clients: number;
  /** Whether it may have one more. */
  mayGrow(): boolean;
  /** Opens so many more, besides those that others wait for. */
  grow(by: number): void;
}

export class Relief {
  private readonly pool: Relieved;
  /** Upstreams that would be used at once. */
  private wanted = 0;
  /** One more was wanted in the last tick. */
  private asked = false;
  /** Since the last look somebody has had to do with one that is crowded. */
  private missed = false;
  private askedAt = 0;
  private patience = 0;

  constructor(pool: Relieved) {
    this.pool = pool;
  }

  /** One more is wanted if the upstream of a lease was the least busy of those that others are better off without. */
  lent({ upstream, peer }: Lease): void {
    if (isCrowded(upstream) && upstream !== peer.channels.tenancy.home) this.missed = true;
  }

  /** There is one more: whoever was to have it need not wait for the next tick. */
  grown(): void {
    this.patience = 0;
    if (!this.asked || this.pool.alarm) return;
    this.part();
    this.wanted = 0;
  }

  /** `now` as of the coarse clock. */
  tick(now: number): void {
    this.judge(now);
    if (!this.pool.alarm) this.part();
    this.asked = this.wanted > 0;
    if (this.asked) this.grow(now);
    this.wanted = 0;
    this.missed = false;
  }

  /** Parts those who are on busy upstreams; if all upstreams are crowded, one more is there before anybody else needs it. */
  private part(): void {
    const { upstreams, clients } = this.pool;
    let crowded = false;
    let apart = 0;
    for (const upstream of upstreams) {
      const { load } = upstream.channels;
      if (load.busy && isShared(upstream)) this.relieve(upstream);
      if (isCrowded(upstream)) crowded = true;
      apart += load.tenants;
    }
    if ((this.missed || (crowded && clients > apart)) && !upstreams.some(isCalm)) this.wanted ||= 1;
  }

  private judge(now: number): void {
    const { upstreams } = this.pool;
    let much = false;
    for (const { channels } of upstreams) {
      channels.load.measure();
      if (channels.load.much || channels.load.busy) much = true;
    }
    if (!much) {
      for (const { channels } of upstreams) if (channels.load.busy) channels.load.judge(0, now);
      return;
    }
    for (const upstream of upstreams) {
      const { load } = upstream.channels;
      load.judge(load.much ? this.usual(upstream) : 0, now);
      if (upstream.busy > 0 && upstream.holder === null) load.probe();
    }
  }

  /**
   * Milliseconds that a barrier takes if nothing is in its way: as long as on an upstream to the same broker that has little to
   * do, for the broker itself may be slow. If there is none, the quickest ever counts, where there is somebody to blame.
   */
  private usual(upstream: Upstream): number {
    let least = Number.POSITIVE_INFINITY;
    for (const other of this.pool.upstreams) {
      const { load } = other.channels;
      if (other.address === upstream.address && !load.much && !isCrowded(other))
        least = Math.min(least, load.wait);
    }
    if (least < Number.POSITIVE_INFINITY) return least;
    const { fillers, keeper } = relieve(sharesOf(upstream, crowdOf(upstream)));
    return fillers.length > 0 || keeper >= 0 ? upstream.barriers.best : Number.POSITIVE_INFINITY;
  }

  private relieve(upstream: Upstream): void {
    const { load } = upstream.channels;
    const all = crowdOf(upstream);
    const crowd = all.filter(tenant => !tenant.departs(upstream));
    const { keeper, fillers, others } = relieve(sharesOf(upstream, crowd));
    if (keeper >= 0) crowd[keeper].settle(upstream);
    let staying = fillers.length + (keeper >= 0 ? 1 : 0);
    for (const i of fillers)
      if (this.move(crowd[i], upstream, staying, keeper < 0)) {
        staying--;
        load.relieved();
      }
    // who leaves a crowd is let go, with what waits because of them, before the rest of it is divided
    if (others.length === 0 || (keeper < 0 && (crowd.length < all.length || !load.lasts))) return;
    if (this.pool.upstreams.some(isCalm)) {
      for (const i of others) crowd[i].leave(upstream);
      load.relieved();
    } else this.wanted ||= 1;
  }

  /** Gives a client that fills an upstream another one; false when there is none. */
  private move(tenant: Tenant, from: Upstream, staying: number, neighbours: boolean): boolean {
    // what no confirm proves would be overtaken on its way through another node of a cluster
    const anywhere = tenant.provesAll(from);
    const places = this.pool.upstreams.filter(
      upstream => upstream !== from && isShared(upstream) && (anywhere || upstream.address === from.address),
    );
    let place = places.find(
      upstream =>
        upstream.busy === 0 &&
        upstream.namedFor === '' &&
        upstream.channels.load.pace < IDLE &&
        !isCrowded(upstream),
    );
    if (place === undefined) {
      this.wanted++;
      if (this.pool.mayGrow()) return false;
      const taken = (upstream: Upstream): number => upstream.channels.load.tenants;
      place = places
        .filter(upstream => taken(upstream) > 0 && (neighbours || taken(upstream) + 1 < staying))
        .sort((a, b) => taken(a) - taken(b))[0];
    }
    if (place === undefined) return false;
    tenant.settle(place);
    return true;
  }

  private grow(now: number): void {
    if (now - this.askedAt < this.patience || !this.pool.mayGrow()) return;
    this.askedAt = now;
    this.patience = Math.min(AGAIN_MAX_MS, Math.max(AGAIN_MS, this.patience * 2));
    this.pool.grow(this.wanted);
  }
}

/** It may have leases of many clients. */
export const isShared = ({ holder, retired, unsettled, state, blocked }: Upstream): boolean =>
  holder === null && !retired && !unsettled && state === 'live' && blocked === null;

/** Nobody waits there. */
const isCalm = (upstream: Upstream): boolean => isShared(upstream) && !isCrowded(upstream);

const sharesOf = (upstream: Upstream, crowd: Tenant[]): Share[] =>
  crowd.map(tenant => ({
    pace: tenant.pace,
    settled: tenant.home === upstream,
    fixed: tenant.fixedOn(upstream),
  }));

/** The clients that have leases there. */
function crowdOf({ channels }: Upstream): Tenant[] {
  const crowd = new Set<Tenant>();
  for (const { lease, state } of channels)
    if (lease !== null && state === 'leased' && lease.purpose !== 'consume')
      crowd.add(lease.peer.channels.tenancy);
  return [...crowd];
}
