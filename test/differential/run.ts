/** One run of one case against one port; gives the transcript of all its clients, without what is random. */
import { randomBytes } from 'node:crypto';
import { type LoginOptions, RawClient } from '../support/raw-client.ts';
import { Actor, CaseEnd } from './client.ts';
import { channelOpen, connectionCloseOk, remove, removeExchange } from './frames.ts';

export type Case = (run: Run) => Promise<void>;

/** A case's name, camelCase, as words. */
export const sentence = (name: string): string =>
  name.replace(/[A-Z]+(?![a-z])|[A-Z]|\d+/g, part => ` ${part.toLowerCase()}`);

export class Run {
  readonly port: number;
  /** How long nothing must come before something counts as over, in milliseconds. */
  readonly quietMs: number;
  private readonly prefix = `d${randomBytes(4).toString('hex')}`;
  private readonly names = new Set<string>();
  private readonly actors: Actor[] = [];

  constructor(port: number, quietMs: number) {
    this.port = port;
    this.quietMs = quietMs;
  }

  /** A queue or exchange name of this run's own; the same length in every run. Removed afterwards. */
  name(what: string): string {
    const name = `${this.prefix}.${what}`;
    this.names.add(name);
    return name;
  }

  /** A client that has connected, and sent nothing. */
  async dial(label = 'client'): Promise<Actor> {
    const actor = await Actor.dial(this.port, label);
    this.actors.push(actor);
    return actor;
  }

  /** A client that has logged in, with channel 1 open unless `channel` is 0. */
  async client(options: LoginOptions & { label?: string; channel?: number } = {}): Promise<Actor> {
    const actor = await this.dial(options.label);
    const answer = await actor.login(options);
    if (answer?.name !== 'connection.open-ok') throw new CaseEnd();
    actor.forget();
    if (options.channel !== 0) await actor.open(options.channel ?? 1);
    return actor;
  }

  /** Runs a case. */
  async play(act: Case): Promise<string[]> {
    try {
      await act(this);
    } catch (error) {
      if (!(error instanceof CaseEnd)) throw error;
    } finally {
      for (const actor of this.actors) if (!actor.closedByUs) await actor.quiet(this.quietMs);
      for (const actor of this.actors) {
        actor.closedByUs = true;
        actor.socket.destroy();
      }
    }
    return this.normalised(this.actors.flatMap(actor => actor.transcript()));
  }

  private normalised(lines: string[]): string[] {
    const seen = new Map<string, string>();
    const number = (kind: string) => (made: string) => {
      let shown = seen.get(made);
      if (shown === undefined) {
        shown = `${kind}#${[...seen.values()].filter(value => value.startsWith(kind)).length + 1}`;
        seen.set(made, shown);
      }
      return shown;
    };
    return lines.map(line =>
      line
        .replaceAll(this.prefix, 'd')
        .replace(/amq\.gen-[\w-]{16,}/g, number('amq.gen'))
        .replace(/amq\.ctag-[\w-]{16,}/g, number('amq.ctag'))
        .replace(/amq\.rabbitmq\.reply-to\.[\w+/=.-]+/g, number('reply-to'))
        .replace(/<\d+\.\d+\.\d+>/g, '<pid>'),
    );
  }

  /** Removes what the case declared, straight at the broker. */
  async cleanUp(brokerPort: number): Promise<void> {
    if (this.names.size === 0) return;
    const admin = await RawClient.start(brokerPort);
    await admin.open(1);
    for (const name of this.names) admin.send(remove(1, name), removeExchange(1, name));
    for (const _ of this.names)
      await admin.next(frame => frame.name === 'exchange.delete-ok', 5).catch(() => null);
    admin.destroy();
  }
}

/**
 * A case that sends frames on a connection with channel 1 open, then opens channel 1999 to see whether the connection
 * lives. A connection.close is answered; unless `lingers`, the socket must then end.
 */
export const offence =
  (frames: (run: Run) => Buffer[], lingers = false): Case =>
  async run => {
    const client = await run.client();
    client.send(...frames(run));
    await client.quiet(run.quietMs);
    client.send(channelOpen(1999));
    const answer = await client.wait('connection.close|channel.open-ok');
    if (answer.name === 'channel.open-ok') return;
    client.send(connectionCloseOk());
    if (!lingers) await client.over();
  };
