/** All routes that are in force: that of [main], and one for each [route NAME]. */
import type { Config, NamedSection } from '../config/options.ts';
import { routeFor, routesOf } from '../config/routes.ts';
import { sectionsOf, settingsIn } from '../config/sections.ts';
import { type Offer, offerOf } from '../upstream/profile.ts';
import { Route, type RouteOwner } from './route.ts';

export class Routes {
  private config: Config;
  private readonly owner: RouteOwner;
  readonly main: Route;
  private byName = new Map<string, Route>();

  constructor(config: Config, owner: RouteOwner) {
    this.config = config;
    this.owner = owner;
    this.main = new Route('main', config, owner);
    this.byName = this.make(config);
  }

  private make(config: Config): Map<string, Route> {
    return new Map(
      sectionsOf(config, 'route').map(section => {
        const { name } = section;
        return [name, this.byName.get(name) ?? new Route(name, settingsIn(config, section), this.owner)];
      }),
    );
  }

  get all(): Route[] {
    return [this.main, ...this.byName.values()];
  }

  /** Those that lead to brokers. */
  get leading(): Route[] {
    return this.all.filter(({ leads }) => leads);
  }

  named(name: string): Route | undefined {
    return name === 'main' ? this.main : this.byName.get(name);
  }

  /** That by which clients are greeted, before anything is known of them. */
  get greeting(): Route {
    return this.main.leads ? this.main : this.leading[0];
  }

  private of(section: NamedSection | null): Route {
    return section === null ? this.main : this.byName.get(section.name)!;
  }

  to(user: string, vhost: string): Route {
    return this.byName.size === 0 ? this.main : this.of(routeFor(this.config, user, vhost));
  }

  /** The one that this user takes to whatever vhost; null when it hangs on the vhost, or there is none. */
  certain(user: string): Route | null {
    if (this.byName.size === 0) return this.main;
    const [section, ...others] = routesOf(this.config, user);
    const route = this.of(section);
    return others.length === 0 && route.leads ? route : null;
  }

  /** What a user is offered whose vhost is not known yet: what all the brokers can do that may be meant. */
  offer(user: string): Offer {
    const routes = routesOf(this.config, user).map(section => this.of(section));
    return offerOf(routes.filter(({ leads }) => leads).map(({ profile }) => profile));
  }

  /** Takes other settings. Gives the routes whose brokers have changed, which are not new. */
  configure(config: Config): Route[] {
    const before = this.all;
    this.config = config;
    const changed = this.main.configure(config) ? [this.main] : [];
    this.byName = this.make(config);
    const known = new Set(before);
    for (const section of sectionsOf(config, 'route')) {
      const route = this.byName.get(section.name)!;
      if (!known.has(route)) route.begin();
      else if (route.configure(settingsIn(config, section))) changed.push(route);
    }
    const now = new Set(this.all);
    for (const route of before) if (!now.has(route)) route.close();
    return changed;
  }
}
