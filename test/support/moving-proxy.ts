/**
 * A proxy in this process whose publishers are moved from upstream to upstream all the time, as they are when their upstreams
 * are busy, only much more often than load could make it happen.
 */
import { load } from '../../src/config/load.ts';
import { createLogger } from '../../src/log.ts';
import { Proxy } from '../../src/proxy/proxy.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import { freePort } from './ports.ts';
import { until } from './rabbitmq.ts';

/** Milliseconds between two moves of a client. */
const EVERY_MS = 20;

export class MovingProxy {
  readonly proxy: Proxy;
  readonly port: number;
  private timer: NodeJS.Timeout | null = null;

  private constructor(proxy: Proxy, port: number) {
    this.proxy = proxy;
    this.port = port;
  }

  static async start(upstream: string): Promise<MovingProxy> {
    const port = await freePort();
    const { config } = load({
      flags: { upstream, listenPort: String(port), listenAddress: '127.0.0.1', upstreamBuffer: '64KiB' },
    });
    const proxy = new Proxy(config, createLogger('error', 'json'));
    await proxy.listen();
    return new MovingProxy(proxy, port);
  }

  /** Channels that have gone to another upstream so far. */
  get moves(): number {
    return this.proxy.stats.moves;
  }

  private get upstreams(): Upstream[] {
    return [...this.proxy.registry.pools]
      .flatMap(pool => pool.upstreams)
      .filter(({ state, retired, holder }) => state === 'live' && !retired && holder === null);
  }

  /** Opens upstreams for those who are logged in, until there are so many. */
  async open(count: number): Promise<void> {
    for (const pool of this.proxy.registry.pools) pool.grow(count - this.upstreams.length);
    await until(`${count} upstreams`, () => this.upstreams.length >= count);
  }

  /** Has each client move to the next upstream, again and again, until `stop`. */
  move(): void {
    this.timer = setInterval(() => {
      const { upstreams } = this;
      if (upstreams.length < 2) return;
      for (const { channels, state } of this.proxy.clientList) {
        if (state !== 'running') continue;
        const at = upstreams.findIndex(({ name }) => name === channels.tenancy.home?.name);
        channels.tenancy.settle(upstreams[(at + 1) % upstreams.length]);
      }
    }, EVERY_MS);
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  end(): void {
    this.stop();
    this.proxy.abort();
  }
}
