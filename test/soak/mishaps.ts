/** What happens to a proxy and its broker in the course of years, in minutes. */
import { settingsFile, writeSettings } from '../support/fixture.ts';
import { Losses } from '../support/losses.ts';
import type { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import { Relay } from '../support/relay.ts';

/** Milliseconds after which a lost connection has been noticed by everybody. */
const AFTERMATH_MS = 3000;

export class Mishaps {
  /** The settings that the proxy reads. */
  readonly file: string;
  /** How often each has happened. */
  readonly counts: Record<string, number> = {};
  /** Clients may be told that their connection is lost up to here, on the clock of performance.now(). */
  private lostUntil = 0;
  private readonly broker: RabbitMQ;
  private readonly settings: string[];
  private readonly names: string[];
  /** Two ways to the broker, which the proxy takes for two brokers. */
  private readonly ways: Relay[];
  /** Where both ways meet. */
  private readonly losses: Losses;
  private way = 0;
  private reloads = 0;

  private constructor(
    broker: RabbitMQ,
    losses: Losses,
    ways: Relay[],
    settings: string[],
    without: string[],
  ) {
    this.broker = broker;
    this.losses = losses;
    this.ways = ways;
    this.settings = settings;
    // a broker takes its time to start: most of it is left for the others
    this.names = Object.keys(this.kinds)
      .filter(name => !without.includes(name))
      .flatMap(name => Array(name.endsWith('ed broker') ? 1 : 3).fill(name));
    this.file = settingsFile(...this.lines());
  }

  /** `without` are names of mishaps that do not happen. */
  static async between(broker: RabbitMQ, settings: string[], without: string[]): Promise<Mishaps> {
    const losses = await Losses.before(broker.port);
    const { port } = losses.relay;
    const ways = await Promise.all([Relay.start(port), Relay.start(port)]);
    return new Mishaps(broker, losses, ways, settings, without);
  }

  private lines(): string[] {
    return [
      `upstream = ${this.ways[this.way].url}`,
      `max_clients = ${10_000 + this.reloads}`,
      ...this.settings,
    ];
  }

  /** Whether a client that came at `since` may have been told that its connection is lost. */
  excuse(since: number): boolean {
    return this.lostUntil > since;
  }

  /** One mishap, from beginning to end. */
  async happen(proxy: AmqProxy, random: (below: number) => number): Promise<void> {
    const name = this.names[random(this.names.length)];
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    await this.kinds[name](proxy, random);
  }

  private readonly kinds: Record<
    string,
    (proxy: AmqProxy, random: (below: number) => number) => Promise<void>
  > = {
    reload: proxy => this.reload(proxy),
    'another broker': proxy => {
      this.way = 1 - this.way;
      return this.reload(proxy);
    },
    'another broker, and back at once': async proxy => {
      this.way = 1 - this.way;
      const first = this.reload(proxy);
      await sleep(1);
      this.way = 1 - this.way;
      await Promise.all([first, this.reload(proxy)]);
    },
    'a frozen network': async (_proxy, random) => {
      for (const way of this.ways) way.stop();
      await sleep(random(1500));
      for (const way of this.ways) way.go();
    },
    'a memory alarm': async (_proxy, random) => {
      await this.broker.alarm(true);
      await sleep(random(1000));
      await this.broker.alarm(false);
    },
    'alarms one after the other': async (_proxy, random) => {
      for (let n = 0; n < 10; n++) {
        await this.broker.alarm(n % 2 === 0);
        await sleep(random(30));
      }
    },
    'upstreams lost at some frame': (_proxy, random) =>
      this.lose(async () => {
        for (let n = 0; n < 5; n++)
          this.losses.arm({
            of: random(3) === 0 ? 'next' : 'any',
            from: random(2) === 0 ? 'proxy' : 'broker',
            frames: random(500),
          });
        await sleep(random(1000));
        this.losses.disarm();
      }),
    'a cut network': () =>
      this.lose(async () => {
        for (const way of this.ways) way.cut();
      }),
    'a restarted broker': () =>
      this.lose(async () => {
        await this.broker.halt();
        await this.broker.run();
      }),
    'a killed broker': () =>
      this.lose(async () => {
        await this.broker.kill();
        await this.broker.run();
      }),
    'connections closed by an operator': () =>
      this.lose(async () => void (await this.broker.ctl('close_all_connections', 'soak'))),
  };

  private async reload(proxy: AmqProxy): Promise<void> {
    const number = ++this.reloads;
    writeSettings(this.file, ...this.lines());
    proxy.signal('SIGHUP');
    // a later one may take its place
    await until('the reload', () => proxy.log.includes(`-> ${10_000 + number}`) || this.reloads > number);
  }

  private async lose(how: () => Promise<void>): Promise<void> {
    this.lostUntil = Number.POSITIVE_INFINITY;
    await how();
    this.lostUntil = performance.now() + AFTERMATH_MS;
  }

  async end(): Promise<void> {
    for (const way of this.ways) await way.end();
    await this.losses.end();
  }
}
