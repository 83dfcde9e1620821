/** Connections to brokers, from before the dial to their end: as many as max_upstreams_total allows, in all and by route. */
import { share } from '../share.ts';

interface Route {
  readonly config: { readonly maxUpstreamsTotal: number };
}

export class Places<R extends Route> {
  private total = 0;
  private readonly byRoute = new Map<R, number>();

  /** Where there is no place for one more on this route: everywhere (null), or there only; undefined when there is one. */
  full(route: R, max: number): R | null | undefined {
    if (max > 0 && this.total >= share.of(max)) return null;
    const maxUpstreamsTotal = share.of(route.config.maxUpstreamsTotal);
    return maxUpstreamsTotal > 0 && this.taken(route) >= maxUpstreamsTotal ? route : undefined;
  }

  private taken(route: R): number {
    return this.byRoute.get(route) ?? 0;
  }

  take(route: R): void {
    this.total++;
    this.byRoute.set(route, this.taken(route) + 1);
  }

  release(route: R): void {
    this.total--;
    const left = this.taken(route) - 1;
    if (left > 0) this.byRoute.set(route, left);
    else this.byRoute.delete(route);
  }
}
