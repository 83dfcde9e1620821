/** The places where clients come in: those of the settings, or sockets that were handed over. */
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from 'pino';
import { type ListenerSettings, listenersOf, NO_PLACE } from '../config/listeners.ts';
import type { Config } from '../config/options.ts';
import { listenFailure } from '../exit.ts';
import type { Arrival } from '../io/arrival.ts';
import { bareSockets } from '../io/bare-socket.ts';
import type { Stats } from '../stats.ts';
import { Introductions } from './introductions.ts';
import { BACKLOG, Listener, type Source } from './listener.ts';

/** A listening socket handed over by systemd: `amqp`, `amqps`, `http`, `admin`, or the name of a section [listen NAME]. */
export interface GivenSocket {
  name: string;
  fd: number;
  /** It comes from the main process of several workers, which has opened it; of a Unix socket it knows the path. */
  own?: { path: string | null };
}

/** Nothing that clients could come in by. */
export class NoListener extends Error {}

/** A listener that could not be opened, and its settings. */
export class ListenError extends Error {
  readonly listener: ListenerSettings;
  /** Its sockets were handed over. */
  readonly given: boolean;

  constructor(cause: Error, listener: ListenerSettings, given: boolean) {
    super(cause.message, { cause });
    this.listener = listener;
    this.given = given;
  }
}

interface ListenersContext {
  readonly config: Config;
  readonly log: Logger;
  readonly stats: Stats;
  /** Whether one more may come, besides `waiting` others; it is counted if not. */
  hasRoom(waiting: number): boolean;
  /** A client has connected. */
  accept(arrival: Arrival): void;
}

/** The sockets of [listen] itself. */
export const isDefault = ({ name }: { name: string }): boolean => name === 'amqp' || name === 'amqps';

const sourceOf = (given: readonly GivenSocket[]): Source => {
  if (given.length === 0) return 'opened';
  return given.some(({ own }) => own === undefined) ? 'given' : 'inherited';
};

export class Listeners {
  readonly introductions: Introductions;
  private readonly context: ListenersContext;
  private list: Listener[] = [];
  private given: readonly GivenSocket[] = [];
  /** Whether it says where it listens, and what is wrong with that. */
  tells = true;
  /** Where those listened that a reload has ended. */
  private readonly former: AddressInfo[] = [];

  constructor(context: ListenersContext) {
    this.context = context;
    this.introductions = new Introductions(context);
  }

  get log(): Logger {
    return this.context.log;
  }

  /** What is the same for all workers is said by one of them. */
  warn(text: string): void {
    this.log[this.tells ? 'warn' : 'debug'](text);
  }

  hasRoom(): boolean {
    return this.context.hasRoom(this.introductions.count);
  }

  accept(arrival: Arrival): void {
    this.context.accept(arrival);
  }

  /** Listens; rejects with ListenError or NoListener. `given` sockets win over the addresses configured. */
  async listen(given: readonly GivenSocket[], tells: boolean): Promise<void> {
    this.given = given;
    this.tells = tells;
    if (!bareSockets && tells)
      this.log.info('Clients are served over net.Socket, which costs more: the runtime is not the one known');
    for (const settings of listenersOf(this.context.config)) await this.open(settings);
    if (this.list.length === 0)
      throw new NoListener(
        `no client could come in: ${NO_PLACE}, and the service manager hands over no socket. Set one of them`,
      );
  }

  private async open(settings: ListenerSettings): Promise<void> {
    const { place } = settings;
    const mine = this.given.filter(({ name }) => name === settings.name);
    const elsewhere = isDefault(settings) && this.given.some(isDefault);
    if (mine.length === 0 && (elsewhere || (isDefault(settings) && place === null))) return;
    try {
      if (mine.length === 0 && place === null)
        throw new Error(
          `it has neither port nor socket, and the service manager hands over no socket named ${settings.name}`,
        );
      const listener = new Listener(settings, this, sourceOf(mine));
      this.list.push(listener);
      try {
        if (mine.length > 0) for (const { fd, own } of mine) await listener.listenOn(fd, own?.path ?? null);
        else await listener.listen(place!);
      } catch (error) {
        listener.close();
        this.list = this.list.filter(one => one !== listener);
        throw error;
      }
    } catch (error) {
      throw new ListenError(error as Error, settings, mine.length > 0);
    }
  }

  /** Whether a socket of this process is connected to one of these. */
  accepts({ remoteAddress, remotePort, localAddress }: Socket): boolean {
    return [...this.former, ...this.list.flatMap(({ addresses }) => addresses)].some(({ address, port }) => {
      if (port !== remotePort) return false;
      // an own address of this machine is reached from itself; all of 127.0.0.0/8 are own addresses
      const own = remoteAddress === localAddress || remoteAddress?.startsWith('127.') === true;
      return address === remoteAddress || ((address === '0.0.0.0' || address === '::') && own);
    });
  }

  /** One more was handed over, for a section that the settings name from now on. */
  adopt(socket: GivenSocket): void {
    this.given = [...this.given, socket];
  }

  /** Takes over the settings: sections that are new or moved listen there from now on, those that have gone do so no more. */
  reload(tells: boolean): void {
    this.tells = tells;
    const wanted = listenersOf(this.context.config);
    this.list = this.list.filter(listener => {
      const settings = wanted.find(({ name }) => name === listener.settings.name);
      if (settings !== undefined && (isDefault(settings) || listener.fits(settings))) {
        listener.reload(settings);
        return true;
      }
      this.former.push(...listener.addresses);
      // closed as well: their numbers may be those of other files soon
      this.given = this.given.filter(({ name }) => name !== listener.settings.name);
      listener.close();
      return false;
    });
    for (const settings of wanted) {
      const there = this.list.some(listener => listener.settings.name === settings.name);
      if (there || isDefault(settings)) continue;
      this.open(settings).catch((error: ListenError) =>
        this.warn(`[${settings.heading}] does not listen: ${listenFailure(error).text}`),
      );
    }
    if (this.list.length === 0) this.warn(`No client can come in any more: ${NO_PLACE}`);
  }

  /** Closes them; who has connected already is taken in before, where the kernel would hang up on him. */
  async drain(): Promise<void> {
    const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
    for (const listener of this.list) if (listener.given) listener.close();
    const own = this.list.filter(({ given }) => !given);
    const accepted = (): number => own.reduce((sum, listener) => sum + listener.accepted, 0);
    const most = accepted() + BACKLOG;
    await turn(); // what has brought the signal is over
    for (let before = -1; before < accepted() && before < most; await turn()) before = accepted();
    this.close();
  }

  close(): void {
    for (const listener of this.list) listener.close();
  }
}
