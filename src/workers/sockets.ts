/**
 * The listening sockets of all workers: bound here, or handed over, and inherited, so that they outlive every worker. Each has
 * one of its own for an address, among which the kernel divides those who connect: of one for all, the worker that is awake
 * would take whoever comes at the same moment. What is handed over, and a Unix socket, is one for all.
 */
import { lookup } from 'node:dns/promises';
import { BoundSocket, isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { type ListenerSettings, listenersOf, NO_PLACE, type Place } from '../config/listeners.ts';
import type { Config, NamedSection } from '../config/options.ts';
import { onEach } from '../io/localhost.ts';
import { asFile } from '../io/unix-socket.ts';
import { type GivenSocket, isDefault, ListenError, NoListener } from '../proxy/listeners.ts';

declare module 'node:net' {
  interface BoundSocketOptions {
    /** Of a Unix socket: the runtime has it, its types not yet. */
    path?: string;
  }
}

interface Held {
  readonly name: string;
  /** One for all, or one for each. */
  readonly sockets: readonly GivenSocket[];
  /** None: it was handed over, and stays as long as the process. */
  readonly bound: readonly BoundSocket[];
  readonly place: Place | null;
}

export class Sockets {
  private readonly given: readonly GivenSocket[];
  private readonly workers: number;
  private held: Held[] = [];

  constructor(given: readonly GivenSocket[], workers: number) {
    this.given = given;
    this.workers = workers;
  }

  /** Binds what is not handed over; rejects with ListenError or NoListener. */
  async open(config: Config): Promise<void> {
    for (const settings of listenersOf(config)) {
      const { name, place } = settings;
      const mine = this.given.filter(socket => socket.name === name);
      this.held.push(...mine.map(({ fd }) => ({ name, sockets: [{ name, fd }], bound: [], place: null })));
      const elsewhere = isDefault(settings) && this.given.some(isDefault);
      if (mine.length > 0 || place === null || elsewhere) continue;
      try {
        await this.bind(settings, place);
      } catch (error) {
        this.close();
        throw error;
      }
    }
    if (this.held.length === 0)
      throw new NoListener(
        `no client could come in: ${NO_PLACE}, and the service manager hands over no socket. Set one of them`,
      );
  }

  private async bind(settings: ListenerSettings, place: Place): Promise<void> {
    try {
      await this.bindAt(settings.name, place);
    } catch (error) {
      throw new ListenError(error as Error, settings, false);
    }
  }

  private async bindAt(name: string, place: Place): Promise<void> {
    const hold = (bound: BoundSocket[], path: string | null): void => {
      const sockets = bound.map(one => ({ name, fd: one.fd(), own: { path } }));
      this.held.push({ name, sockets, bound, place });
    };
    if ('path' in place) {
      const { path } = place;
      await asFile(place, async () => hold([new BoundSocket({ path })], path));
      return;
    }
    await onEach(place.host, place.port, async (host, port) => {
      const address = isIP(host) > 0 ? host : (await lookup(host)).address;
      const bound = this.forEach(address, port);
      hold(bound, null);
      return bound[0].address().port;
    });
  }

  /** A socket for each worker, of a port where nobody else listens: another proxy could share it, too. */
  private forEach(host: string, port: number): BoundSocket[] {
    const first = new BoundSocket({ host, port });
    try {
      const { port: found } = first.address();
      const one = (): BoundSocket => new BoundSocket({ host, port: found, reusePort: true });
      return Array.from({ length: this.workers }, one);
    } finally {
      first.close();
    }
  }

  /** Sections, and addresses of them, that listen. */
  get count(): number {
    return this.held.length;
  }

  /** For a worker: its descriptors here. */
  of(worker: number): readonly GivenSocket[] {
    return this.held.map(({ sockets }) => sockets[worker % sockets.length]);
  }

  has({ name }: Pick<NamedSection, 'name'>): boolean {
    return this.held.some(one => one.name === name);
  }

  /**
   * A reload has ended sections [listen NAME], or they are to listen elsewhere: they are not here from now on. To be called is
   * what closes them: who connects there is refused once the workers have closed theirs.
   */
  leave(config: Config): () => void {
    const wanted = listenersOf(config);
    const stays = ({ name, bound, place }: Held): boolean => {
      const settings = wanted.find(one => one.name === name);
      if (settings === undefined) return false;
      return bound.length === 0 || isDefault(settings) || isDeepStrictEqual(place, settings.place);
    };
    const left = this.held.filter(one => !stays(one));
    this.held = this.held.filter(stays);
    return () => left.forEach(close);
  }

  /** Binds those of sections [listen NAME] that have none here; gives what cannot be had. */
  async openMore(config: Config): Promise<ListenError[]> {
    const failures: ListenError[] = [];
    for (const settings of listenersOf(config)) {
      const { place } = settings;
      if (isDefault(settings) || this.has(settings) || place === null) continue;
      await this.bind(settings, place).catch((error: ListenError) => failures.push(error));
    }
    return failures;
  }

  close(): void {
    this.held.forEach(close);
    this.held = [];
  }
}

function close({ bound }: Held): void {
  for (const one of bound) one.close();
}
