/**
 * A fuzz campaign's surroundings: a broker behind a network that fails, the proxy, and clients beside those that play: a canary
 * that publishes, is confirmed and consumes, a witness that keeps count of what was promised, and guests that come again and
 * again and do what is lawful. They must notice nothing but losses of upstreams: the canary of its own, the others of any.
 */
import { randomizer, visit } from '../support/acts.ts';
import { Again } from '../support/again.ts';
import { Canary } from '../support/canary.ts';
import { Authority } from '../support/certs.ts';
import { queueName, settingsFile } from '../support/fixture.ts';
import { Losses } from '../support/losses.ts';
import { freePort } from '../support/ports.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { inVain } from '../support/raw-client.ts';
import { Visitors } from '../support/visitors.ts';
import { Witness } from '../support/witness.ts';
import type { Action } from './generator.ts';
import { play, type Stage } from './player.ts';
import type { Script } from './steps.ts';

/** What a campaign's proxy and broker are like, and who is there. */
export interface Setting {
  seed: number;
  /** INI lines for the proxy's [main]. */
  settings?: string[];
  /** The broker's channel_max; 0 for no limit. */
  channelMax?: number;
  without?: Action[];
}

/** Descriptors that it may have open at the end and had not at the beginning: that of the metrics, some of the runtime's. */
const DESCRIPTORS = 4;
/** Channels that may be parked in the end: some more than were ever leased at a time. */
const PARKED = 300;
/** Seconds that the settings below give a handshake, and the proxy a little more. */
const HANDSHAKE_S = 2;
/** Lawful clients, and the milliseconds between two stays of one. */
const GUESTS = 3;
const GUEST_MS = 20;
/** Nothing waits longer than a campaign's patience. */
const BASE = [
  'log_level = warn',
  'lease_timeout = 3',
  `handshake_timeout = ${HANDSHAKE_S}`,
  'idle_connection_timeout = 3',
];

let born = 0;

export class Theatre {
  readonly stage: Stage;
  readonly proxy: AmqProxy;
  private readonly broker: RabbitMQ;
  private readonly setting: Setting;
  private readonly closeMeansDone: boolean;
  private readonly descriptors: number;
  private canary!: Canary;
  private witness!: Witness;
  private guests: Again[] = [];
  private queue = '';
  private last: Promise<void> = Promise.resolve();
  worst = 0;

  private constructor(stage: Stage, proxy: AmqProxy, broker: RabbitMQ, setting: Setting) {
    this.stage = stage;
    this.proxy = proxy;
    this.broker = broker;
    this.setting = setting;
    this.closeMeansDone = !setting.settings?.includes('close = instant');
    this.descriptors = proxy.descriptors;
  }

  static async open(broker: RabbitMQ, setting: Setting): Promise<Theatre> {
    const { settings = [], channelMax = 2047 } = setting;
    await broker.ctl('eval', `application:set_env(rabbit, channel_max, ${channelMax}).`);
    const losses = await Losses.before(broker.port);
    const { cert, key } = new Authority().sign('fuzz', 'IP:127.0.0.1');
    const tlsPort = await freePort();
    const listen = ['[listen]', `tls_port = ${tlsPort}`, `tls_cert = ${cert}`, `tls_key = ${key}`];
    const file = settingsFile(...BASE, ...settings, ...listen);
    const proxy = await AmqProxy.withMetrics(losses.relay.url, ['-c', file]);
    const visitors = new Visitors(tlsPort, HANDSHAKE_S + 8);
    const stage = { port: proxy.port, tlsPort, channelMax, losses, broker, visitors };
    const theatre = new Theatre(stage, proxy, broker, setting);
    await theatre.hatch();
    theatre.call();
    if (!setting.without?.includes('guests')) theatre.invite();
    return theatre;
  }

  /** A canary begins to sing. */
  private async hatch(): Promise<void> {
    const { losses, port } = this.stage;
    this.queue = `canary-fuzz-${process.pid}-${++born}-`;
    losses.watch(this.queue);
    for (;;) {
      const since = performance.now();
      try {
        this.canary = await Canary.start(port, this.queue);
        return;
      } catch (error) {
        const { message } = error as Error;
        if (!losses.excuse(since) || inVain(message)) throw error;
        await sleep(50);
      }
    }
  }

  private readonly excuse = (since: number): boolean => this.stage.losses.excuse(since);

  private call(): void {
    this.witness = new Witness(this.stage.port, `witness-fuzz-${process.pid}-${++born}`, {
      excuse: this.excuse,
      closeMeansDone: this.closeMeansDone,
    });
  }

  /** Lawful clients come again and again. */
  private invite(): void {
    this.guests = Array.from({ length: GUESTS }, (_, number) => {
      const random = randomizer(this.setting.seed + number);
      let queue = queueName('guest');
      const stay = async (): Promise<void> => {
        queue = await visit(this.stage.port, queue, random);
      };
      return new Again(stay, this.excuse, GUEST_MS);
    });
  }

  /** What one of them has to say. */
  private get rebuke(): string | null {
    const guest = this.guests.find(({ complaint }) => complaint !== null);
    return guest === undefined ? null : `a guest: ${guest.complaint}`;
  }

  /** Who has complained is replaced. */
  private async recover(): Promise<void> {
    if (this.canary.complaints.length > 0) {
      await this.canary.stop();
      await this.hatch();
    }
    if (this.witness.complaint !== null) this.call();
    if (this.rebuke !== null) {
      await Promise.all(this.guests.map(guest => guest.stop()));
      this.invite();
    }
  }

  /** Plays a script; throws what went wrong. */
  perform(script: Script): Promise<void> {
    const act = this.act(script);
    this.last = act.catch(() => {});
    return act;
  }

  private async act(script: Script): Promise<void> {
    await this.recover();
    const { canary, queue } = this;
    const since = performance.now();
    await play(this.stage, script);
    const heard = canary.sung;
    for (let n = 0; n < 300 && canary.sung < heard + 2 && canary.complaints.length === 0; n++)
      await sleep(10);
    this.worst = Math.max(this.worst, canary.worst);
    if (!this.proxy.running)
      throw new Error(`amqproxy has ended (${this.proxy.exitCode}):\n${this.proxy.log.slice(-4000)}`);
    const [complaint = canary.sung < heard + 2 ? 'silent' : undefined] = canary.complaints;
    // told of the loss of its own upstream, and not left to wait
    const excused =
      complaint !== undefined && !complaint.includes('within') && this.stage.losses.lost(queue, since);
    if (complaint !== undefined && !excused) throw new Error(`the canary: ${complaint}`);
    if (this.witness.complaint !== null) throw new Error(`the witness: ${this.witness.complaint}`);
    if (this.rebuke !== null) throw new Error(this.rebuke);
  }

  /** Everybody leaves; what is wrong in the end. */
  async close(): Promise<string | null> {
    await this.last; // when its time is up, a campaign does not wait for it
    await this.canary.stop();
    await Promise.all(this.guests.map(guest => guest.stop()));
    const complaints = (await this.witness.stop(this.broker)).map(what => `the witness: ${what}`);
    if (this.rebuke !== null) complaints.push(this.rebuke);
    complaints.push(...(await this.stage.visitors.gone()));
    const { proxy } = this;
    if (!proxy.running) return null;
    await proxy.left().catch((error: Error) => complaints.push(error.message));
    const parked = await proxy.metric('channels_parked');
    if (parked > PARKED) complaints.push(`${parked} channels are parked`);
    const upstreams = async (): Promise<boolean> => (await proxy.metric('upstream_connections')) === 0;
    await until('idle upstreams to be closed', upstreams, 20).catch(error => complaints.push(error.message));
    const most = this.descriptors + DESCRIPTORS;
    await until('descriptors', () => proxy.descriptors <= most, 10).catch(() =>
      complaints.push(`the proxy has ${proxy.descriptors} descriptors, and had ${this.descriptors}`),
    );
    if (/uncaught|TypeError|RangeError/i.test(proxy.log)) complaints.push(proxy.log.slice(-4000));
    return complaints.length > 0 ? complaints.join('\n') : null;
  }

  async demolish(): Promise<void> {
    await this.proxy.stop();
    await this.stage.losses.end();
    await this.broker.alarm(false);
  }
}
