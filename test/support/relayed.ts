/** What tests of losses share: a proxy of their own that reaches the broker by a relay which sees frames. */
import * as f from '../differential/frames.ts';
import { peopledBroker, proxyOnly, settingsFile } from './fixture.ts';
import { FrameRelay, type Link } from './frame-relay.ts';
import { AmqProxy } from './proxy.ts';
import type { RabbitMQ } from './rabbitmq.ts';
import { type Frame, type LoginOptions, RawClient } from './raw-client.ts';

/** What the proxy may ask of the broker to learn whether it has handled everything before. */
const isBarrier = ({ name }: Frame): boolean => name === 'channel.flow' || name === 'channel.close';

export class Relayed {
  broker!: RabbitMQ;
  relay!: FrameRelay;
  proxy!: AmqProxy;
  private readonly clients: RawClient[] = [];

  async begin(settings: string[]): Promise<void> {
    this.broker = await peopledBroker();
    this.relay = await FrameRelay.start(this.broker.port);
    this.proxy = await AmqProxy.withMetrics(this.relay.url, ['-c', settingsFile(...settings)]);
  }

  /** The clients hang up, and the network is well again. */
  tidy(): void {
    this.relay?.release();
    for (const client of this.clients.splice(0)) client.destroy();
  }

  async finish(): Promise<void> {
    await this.proxy?.stop();
    await this.relay?.end();
  }

  /** A client that has connected, and sent nothing; gone after the test. */
  async connect(): Promise<RawClient> {
    const client = await RawClient.connect(this.proxy.port);
    this.clients.push(client);
    return client;
  }

  /** A client that has logged in; gone after the test. */
  async login(options: LoginOptions = {}): Promise<RawClient> {
    const client = await RawClient.start(this.proxy.port, options);
    this.clients.push(client);
    return client;
  }

  /** A client with channel 1 open that has declared a durable queue there (nothing of it is lost with a connection). */
  async client(queue: string, options: LoginOptions = {}): Promise<RawClient> {
    const client = await this.login(options);
    await client.open(1);
    await client.call(f.declare(1, queue, f.DURABLE), 'queue.declare-ok');
    return client;
  }

  /**
   * From now on nothing of the proxy reaches the broker. Resolves when the proxy asks for a barrier; `then` is done to the
   * link by which it does, and what comes after that passes.
   */
  atBarrier(then: (link: Link) => void): Promise<void> {
    return new Promise(resolve => {
      this.relay.fromProxy = (frame, link) => {
        if (isBarrier(frame)) {
          this.relay.fromProxy = null;
          then(link);
          resolve();
        }
        return 'drop';
      };
    });
  }

  /** The same, but all is held up, from the first frame on until the relay's `release`. */
  heldAtBarrier(): Promise<void> {
    return new Promise(resolve => {
      this.relay.fromProxy = frame => {
        if (isBarrier(frame)) resolve();
        return 'hold';
      };
    });
  }
}

/** Registers the hooks of a suite that needs such a proxy, with these settings; `anew` for each of its tests. */
export function relayed(settings: string[] = [], anew = false): Relayed {
  const to = new Relayed();
  before(function () {
    proxyOnly(this);
    return anew ? undefined : to.begin(settings);
  });
  if (anew) beforeEach(() => to.begin(settings));
  afterEach(async () => {
    to.tidy();
    if (anew) await to.finish();
  });
  if (!anew) after(() => to.finish());
  return to;
}
