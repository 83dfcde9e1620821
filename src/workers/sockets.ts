/** The listening sockets of all workers: bound here, or handed over, and inherited by each, so that they outlive every one. */
import { lookup } from 'node:dns/promises';
import { BoundSocket, isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { type ListenerSettings, listenersOf, NO_PLACE, type Place } from '../config/listeners.ts';
import type { Config, NamedSection } from '../config/options.ts';
import { asFile } from '../io/unix-socket.ts';
import { type GivenSocket, isDefault, ListenError, NoListener } from '../proxy/listeners.ts';

declare module 'node:net' {
  interface BoundSocketOptions {
    /** Of a Unix socket: the runtime has it, its types not yet. */
    path?: string;
  }
}

interface Held {
  readonly socket: GivenSocket;
  /** Null: it was handed over, and stays as long as the process. */
  readonly bound: BoundSocket | null;
  readonly place: Place | null;
}

export class Sockets {
  private readonly given: readonly GivenSocket[];
  private held: Held[] = [];

  constructor(given: readonly GivenSocket[]) {
    this.given = given;
  }

  /** Binds what is not handed over; rejects with ListenError or NoListener. */
  async open(config: Config): Promise<void> {
    for (const settings of listenersOf(config)) {
      const { name, place } = settings;
      const mine = this.given.filter(socket => socket.name === name);
      this.held.push(...mine.map(socket => ({ socket, bound: null, place: null })));
      const elsewhere = isDefault(settings) && this.given.some(isDefault);
      if (mine.length > 0 || place === null || elsewhere) continue;
      try {
        await this.bind(settings, place);
      } catch (error) {
        this.close();
        throw new ListenError(error as Error, settings, false);
      }
    }
    if (this.held.length === 0)
      throw new NoListener(
        `no client could come in: ${NO_PLACE}, and the service manager hands over no socket. Set one of them`,
      );
  }

  private async bind({ name }: ListenerSettings, place: Place): Promise<void> {
    const hold = (bound: BoundSocket, path: string | null): void => {
      this.held.push({ socket: { name, fd: bound.fd(), own: { path } }, bound, place });
    };
    if ('path' in place) {
      const { path } = place;
      await asFile(place, async () => hold(new BoundSocket({ path }), path));
      return;
    }
    const { host, port } = place;
    if (host !== 'localhost') {
      const address = isIP(host) > 0 ? host : (await lookup(host)).address;
      return hold(new BoundSocket({ host: address, port }), null);
    }
    const v4 = new BoundSocket({ host: '127.0.0.1', port });
    hold(v4, null);
    try {
      hold(new BoundSocket({ host: '::1', port: v4.address().port }), null);
    } catch (error) {
      if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code!)) throw error;
    }
  }

  /** For workers: their descriptors here. */
  get all(): readonly GivenSocket[] {
    return this.held.map(({ socket }) => socket);
  }

  /** Those of a section [listen NAME] that has none here, or is to listen elsewhere now. */
  lacks({ name, place }: ListenerSettings): boolean {
    const mine = this.held.filter(({ socket }) => socket.name === name);
    return !mine.some(one => one.bound === null || isDeepStrictEqual(one.place, place));
  }

  has({ name }: NamedSection): boolean {
    return this.held.some(({ socket }) => socket.name === name);
  }

  /** A reload has ended sections: who connects there is refused once the workers have closed theirs. */
  closeAllBut(config: Config): void {
    const names = listenersOf(config).map(({ name }) => name);
    for (const { socket, bound } of this.held) if (!names.includes(socket.name)) bound?.close();
    this.held = this.held.filter(({ socket }) => names.includes(socket.name));
  }

  close(): void {
    for (const { bound } of this.held) bound?.close();
    this.held = [];
  }
}
