/** Which clients may come in: the list of those that are there, and the limits on them. */
import { type ReplyName, reason } from '../amqp/errors.ts';
import type { Client } from '../client/client.ts';
import type { Config } from '../config/options.ts';
import type { Denial } from '../pool/denial.ts';
import { share } from '../share.ts';
import type { Stats } from '../stats.ts';

interface AdmissionContext {
  readonly config: Config;
  readonly stats: Stats;
}

export class Admission {
  private readonly context: AdmissionContext;
  private readonly list: Client[] = [];
  /** Those that have been let in, and have not been told to go. */
  admitted = 0;
  private readonly clientsOfUser = new Map<string, number>();
  /** Those whose end is waited for. */
  private awaited: Set<Client> | null = null;
  private onGone: (() => void) | null = null;

  constructor(context: AdmissionContext) {
    this.context = context;
  }

  get clients(): readonly Client[] {
    return this.list;
  }

  /**
   * Whether one more connection may be taken at all, besides `waiting` that are no clients yet. It is told at connection.open
   * that it is one too many, like every refusal.
   */
  hasRoom(waiting = 0): boolean {
    const { maxClients } = this.context.config;
    const here = share.ofClients(maxClients);
    if (maxClients === 0 || this.list.length + waiting < here * 2 + 100) return true;
    // but not more than as many again may wait to be told
    this.context.stats.refuse('max_clients');
    return false;
  }

  add(client: Client): void {
    client.slot = this.list.length;
    this.list.push(client);
    this.count();
  }

  private count(): void {
    const { stats } = this.context;
    stats.clients = this.list.length;
    if (stats.clients > stats.clientsPeak) stats.clientsPeak = stats.clients;
  }

  remove(client: Client): void {
    // the last one takes its place: a Set would be made anew again and again, and its old tables keep clients in memory
    const last = this.list.pop()!;
    if (last !== client) {
      this.list[client.slot] = last;
      last.slot = client.slot;
    }
    this.count();
    if (this.awaited?.delete(client) && this.awaited.size === 0) this.onGone?.();
  }

  /** Why a client that opens its connection may not come in now, null if it may: then it takes a place, until it leaves. */
  admit(client: Client): Denial | null {
    const denial = this.denial(client);
    if (denial !== null) return denial;
    const { user } = client;
    this.admitted++;
    this.clientsOfUser.set(user, (this.clientsOfUser.get(user) ?? 0) + 1);
    client.admitted = true;
    return null;
  }

  /** It is served no more: its place is another's, however long it takes to hang up. */
  leave(client: Client): void {
    if (!client.admitted) return;
    client.admitted = false;
    this.admitted--;
    const left = this.clientsOfUser.get(client.user)! - 1;
    if (left > 0) this.clientsOfUser.set(client.user, left);
    else this.clientsOfUser.delete(client.user);
  }

  private denial({ user, transport }: Client): Denial | null {
    const { config } = this.context;
    const deny = (cause: string, code: ReplyName, text: string): Denial => ({
      cause,
      why: reason(code, text),
    });
    if (config.maxClients > 0 && this.admitted >= share.ofClients(config.maxClients))
      return deny(
        'max_clients',
        'NOT_ALLOWED',
        `amqproxy has max_clients (${config.maxClients}) clients already`,
      );
    if (
      config.maxClientsPerUser > 0 &&
      (this.clientsOfUser.get(user) ?? 0) >= share.of(config.maxClientsPerUser)
    )
      return deny(
        'max_clients_per_user',
        'NOT_ALLOWED',
        `user '${user}' has max_clients_per_user (${config.maxClientsPerUser}) clients already`,
      );
    if (this.isLocalOnly(user) && !transport.isLocal)
      return deny(
        'remote_guest',
        'ACCESS_REFUSED',
        `user '${user}' can only connect via localhost (${user === 'guest' ? 'allow_remote_guest' : 'loopback_users'})`,
      );
    return null;
  }

  /** The broker trusts this user from its own host only. */
  private isLocalOnly(user: string): boolean {
    const { loopbackUsers, allowRemoteGuest } = this.context.config;
    return loopbackUsers.includes(user) && !(user === 'guest' && allowRemoteGuest);
  }

  /** Resolves when none of these is there any more, or after that many seconds. */
  gone(clients: Iterable<Client>, seconds: number): Promise<void> {
    const awaited = new Set(clients);
    if (awaited.size === 0 || seconds === 0) return Promise.resolve();
    this.awaited = awaited;
    return new Promise(resolve => {
      const timer = Number.isFinite(seconds) ? setTimeout(() => this.onGone?.(), seconds * 1000) : null;
      this.onGone = () => {
        if (timer) clearTimeout(timer);
        this.awaited = null;
        this.onGone = null;
        resolve();
      };
    });
  }
}
