/** What a client is not given for ever: to log in, to be heard, to read, and to keep leases that it does not use. */
import type { Config } from '../config/options.ts';
import type { Transport } from '../io/transport.ts';
import type { ClientChannels } from './channels.ts';
import type { Ending } from './ending.ts';

/** Milliseconds of silence after which a client's clean leases are given back. */
const IDLE_LEASE_MS = 1500;

interface TimeoutsContext {
  readonly transport: Transport;
  readonly config: Config;
  readonly ending: Ending;
  /** It has the word in a handshake that is not over. */
  readonly isExpected: boolean;
  /** A frame of it has to wait. */
  readonly isWaiting: boolean;
}

export class Timeouts {
  private readonly client: TimeoutsContext;
  private readonly channels: ClientChannels;
  private readonly acceptedAt: number;

  /** `now` as of the coarse clock. */
  constructor(client: TimeoutsContext, channels: ClientChannels, now: number) {
    this.client = client;
    this.channels = channels;
    this.acceptedAt = now;
  }

  /** `now` as of the coarse clock. */
  check(now: number): void {
    const { transport, config, ending, isExpected, isWaiting } = this.client;
    if (!transport.tick(now)) {
      ending.cut('heartbeat', `no heartbeat for ${transport.heartbeat.interval * 2} s`);
      return;
    }
    if (transport.lingering) return;
    if (ending.state === 'handshake') {
      if (isExpected && now - this.acceptedAt > config.handshakeTimeout * 1000) ending.tooSlow();
      return;
    }
    if (config.sendTimeout > 0 && transport.stuckFor(now) > config.sendTimeout * 1000) {
      ending.cut('send_timeout', `it has read nothing for ${config.sendTimeout} s (send_timeout)`);
      return;
    }
    if (ending.state !== 'running') return;
    this.channels.maintain(now);
    if (!isWaiting && now - transport.heartbeat.lastRead >= IDLE_LEASE_MS) this.channels.releaseIdle();
  }
}
