/**
 * How a client's channels come to upstream channels and leave them: lazy binding, release with a barrier, promotion to a
 * private upstream, and what happens when an upstream is lost.
 */
import type { Logger } from 'pino';
import { Confirms } from '../amqp/confirms.ts';
import { type CloseReason, reason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { FrameScanner, type Verdict } from '../amqp/scanner.ts';
import type { Config } from '../config/options.ts';
import type { Denial, Pool, Use } from '../pool/pool.ts';
import type { Stats } from '../stats.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { UpstreamChannel } from '../upstream/upstream-channel.ts';
import type { Client, ClientContext } from './client.ts';
import { BODY, type ClientChannel, METHOD } from './client-channel.ts';
import type { Offence } from './offences.ts';

/** Why a client's socket is not read for now. */
export const PAUSE = { SCAN: 1, OUTPUT: 2, UPSTREAM: 4 } as const;

/** Milliseconds of silence after which a client's clean leases are given back. */
const IDLE_LEASE_MS = 1500;

const LOST: CloseReason = reason('CONNECTION_FORCED', 'the connection to the broker was lost');

export abstract class ClientLeases extends FrameScanner {
  readonly context: ClientContext;
  readonly channels: (ClientChannel | undefined)[] = [];
  pool: Pool | null = null;
  /** The upstream this client has for itself. */
  private: Upstream | null = null;
  /** The private upstream carries something that only its end undoes. */
  spent = false;
  /** A consumer of this client is on a shared upstream. */
  sharedConsumer = false;
  protected stopWaiting: (() => void) | null = null;
  private promoting = false;
  /** Bytes of incomplete messages, in all channels: those held back and those that their headers announce. */
  reservedBytes = 0;

  constructor(context: ClientContext) {
    super();
    this.context = context;
  }

  get config(): Config {
    return this.context.config;
  }

  get stats(): Stats {
    return this.context.stats;
  }

  get log(): Logger {
    return this.context.log;
  }

  abstract readonly state: Client['state'];
  abstract readonly facts: object;
  abstract readonly out: Client['out'];
  abstract readonly heartbeat: Client['heartbeat'];
  abstract sendClose(why: CloseReason): void;
  abstract offend(why: Offence): Verdict;
  protected abstract pause(why: number): void;
  protected abstract unpause(why: number): void;
  protected abstract publishesInto(upstream: Upstream): void;
  protected abstract resumeUpstream(): void;
  /** Sends the frames that have been scanned but not forwarded yet. */
  protected abstract sendRun(): void;

  /** Takes up scanning where it stopped. */
  protected goOn(): void {
    this.unpause(PAUSE.SCAN);
    this.resumeScan();
    if (this.isStopped) this.pause(PAUSE.SCAN);
  }

  uses(upstream: Upstream): boolean {
    if (this.private === upstream) return true;
    for (const channel of this.channels) if (channel?.up?.upstream === upstream) return true;
    return false;
  }

  // ---- binding

  /** Gives the channel an upstream channel. False when it must be waited for: the scanner is to offer the frame again. */
  protected bind(channel: ClientChannel, use: Use, confirm = channel.confirm): boolean {
    if (channel.up !== null) {
      if (this.private === null || channel.up.upstream === this.private || channel.rooted) return true;
      this.move(channel, () => {}); // it was in the middle of a message when the client was promoted
      return false;
    }
    // a run may begin in the middle of a frame whose first part has gone: channel.open must not land inside it
    this.sendRun();
    const pool = this.pool!;
    channel.use = use;
    if (this.private !== null) {
      const up = this.private.takeChannel(confirm, Number.POSITIVE_INFINITY);
      if (up === null) {
        this.offend(reason('NOT_ALLOWED', 'no channel is left on the private upstream'));
        return false;
      }
      this.bound(channel, up);
      return true;
    }
    const up = pool.leaseNow(confirm, use);
    if (up !== null) {
      this.bound(channel, up);
      return true;
    }
    let waiting = true;
    this.stopWaiting = pool.lease(confirm, use, outcome => {
      this.stopWaiting = null;
      const wasAsync = !waiting;
      waiting = false;
      if (!outcome.ok) {
        this.deny(outcome);
        return;
      }
      if (channel.state === 'closed' || this.state !== 'running') outcome.value.park(null);
      else this.bound(channel, outcome.value);
      if (wasAsync) this.goOn();
    });
    if (!waiting) {
      this.stopWaiting = null;
      return channel.up !== null;
    }
    waiting = false;
    return false;
  }

  private deny({ cause, why }: Denial): void {
    this.stats.refuse(cause);
    this.sendClose(why);
  }

  /** Binds a channel to an upstream for consumers: those are moved there that have another lease. */
  protected bindConsumer(channel: ClientChannel): boolean {
    if (this.private === null && channel.up !== null && channel.use !== 'consume') {
      this.leave(channel, () => {});
      if (channel.up !== null || channel.state !== 'open') return false;
    }
    return this.bind(channel, 'consume');
  }

  /** Lends an upstream channel and repeats on it what the client has set up. */
  private bound(channel: ClientChannel, up: UpstreamChannel): void {
    up.lend(channel, channel.published, channel.delivered);
    channel.up = up;
    channel.publishedHere = false;
    const { out } = up.upstream;
    if (channel.confirm && up.confirms === null) up.selectConfirms(channel.published);
    for (const qos of [channel.qos, channel.globalQos]) {
      if (qos === null) continue;
      const frame = Buffer.from(qos);
      frame.writeUInt16BE(up.id, 1);
      up.swallowQosOk++;
      up.qosSet = true;
      out.write(frame);
    }
  }

  /** Confirm.select on a channel: true when the proxy may answer at once, because the leased channel confirms already. */
  protected select(channel: ClientChannel): boolean {
    const up = channel.up!;
    channel.confirm = true;
    channel.published = 0;
    if (up.confirms !== null) {
      up.confirmBase = up.confirms.published;
      return true;
    }
    up.confirms = new Confirms();
    up.confirmBase = 0;
    return false;
  }

  // ---- release

  /** Ends the lease of a channel; `done` once the broker has handled everything, `why` when it closed the channel instead. */
  protected release(channel: ClientChannel, done: ((why: CloseReason | null) => void) | null): void {
    this.sendRun(); // what came before must reach the broker before the barrier does
    const { up } = channel;
    if (up === null) {
      done?.(null);
      return;
    }
    if (channel.streamed && channel.expect !== METHOD) {
      // half a message is on its way: only the end of the connection makes the broker forget it
      channel.up = null;
      up.lessee = null;
      up.upstream.destroy(null);
      done?.(null);
      return;
    }
    const settled = (why: CloseReason | null): void => {
      if (channel.up === up) channel.up = null;
      done?.(why);
    };
    if (up.state !== 'leased') {
      up.alsoWhenSettled(settled);
      return;
    }
    if (channel.dirty) up.close(settled);
    else up.park(settled);
  }

  /**
   * Ends all leases, then gives the private upstream back; `done` when all is settled, and until then late errors still
   * reach the client. Without `done` the client hears no more.
   */
  protected releaseAll(done: (() => void) | null): void {
    this.resumeUpstream();
    this.stopWaiting?.();
    this.stopWaiting = null;
    const { private: held, spent, pool } = this;
    this.private = null;
    const leaving = this.channels.filter(channel => channel !== undefined);
    if (done === null) this.channels.length = 0;
    let pending = 1;
    const one = (): void => {
      if (--pending > 0) return;
      if (held === null) done?.();
      else pool!.giveBack(held, spent, done);
    };
    for (const channel of leaving) {
      const { up } = channel;
      channel.state = done === null ? 'closed' : 'releasing';
      pending++;
      this.release(channel, one);
      this.dropHeld(channel);
      if (done === null && up !== null) up.lessee = null;
    }
    one();
  }

  /** Gives back what a quiet client does not need: its clean channels on shared upstreams. */
  protected releaseIdle(now: number): void {
    if (now - this.heartbeat.lastRead < IDLE_LEASE_MS || this.isStopped) return;
    for (const channel of this.channels) {
      if (channel === undefined || channel.state !== 'open' || !this.movable(channel)) continue;
      const { up } = channel;
      if (up === null || up.upstream.holder !== null || up.clientFlows > 0 || !up.confirmed) continue;
      this.move(channel, () => {});
    }
  }

  private movable(channel: ClientChannel): boolean {
    return !channel.dirty && channel.expect === METHOD && channel.held.bytes === 0;
  }

  /** Parks a channel's lease while the client keeps the channel; frames that come meanwhile wait. */
  private move(channel: ClientChannel, done: () => void): void {
    this.sendRun();
    const { up } = channel;
    if (up !== null) channel.delivered = up.deliveredHere;
    if (up !== null && up.upstream.blocked !== null && !channel.publishedHere && !channel.dirty) {
      // the broker reads nothing from this upstream for now, because of others' publishes: this client need not wait
      channel.up = null;
      up.park(null);
      done();
      return;
    }
    channel.state = 'moving';
    this.release(channel, () => {
      if (channel.state === 'moving') channel.state = 'open';
      done();
      if (this.isStopped && !this.promoting) this.goOn();
    });
  }

  // ---- promotion

  /**
   * Moves the client to a private upstream: its channels are parked as they prove clean, and bind again at their next use.
   * True when it has one; otherwise the scanner is to offer the frame again.
   */
  protected promote(): boolean {
    if (this.private !== null) return true;
    if (this.promoting) return false;
    this.promoting = true;
    this.stats.promotions++;
    let pending = 1;
    let sync = true;
    const moved = (): void => {
      if (--pending > 0 || this.state !== 'running') return;
      const pool = this.pool!;
      this.stopWaiting = pool.acquire(this as unknown as Client, outcome => {
        this.stopWaiting = null;
        this.promoting = false;
        if (!outcome.ok) {
          this.deny(outcome);
          return;
        }
        if (this.state !== 'running') {
          pool.giveBack(outcome.value, false);
          return;
        }
        this.private = outcome.value;
        if (!sync) this.goOn();
      });
      if (this.private !== null) this.stopWaiting = null;
    };
    for (const channel of this.channels) {
      if (channel === undefined || channel.up === null || channel.state !== 'open') continue;
      if (channel.expect !== METHOD) continue; // moves when its message is complete
      if (channel.rooted) continue;
      pending++;
      this.leave(channel, moved);
    }
    moved();
    sync = false;
    return this.private !== null;
  }

  /** Moves a channel once the broker has confirmed all that was published on it: confirms cannot follow it elsewhere. */
  private leave(channel: ClientChannel, done: () => void): void {
    const { up } = channel;
    const go = (): void => (channel.state === 'open' ? this.move(channel, done) : done());
    if (up === null || up.confirmed) go();
    else up.onConfirmed = go;
  }

  /** Forgets the incomplete message of a channel. */
  protected dropHeld(channel: ClientChannel): void {
    channel.held.drop();
    this.reserve(channel, 0);
  }

  /** Counts `bytes` for the incomplete message of a channel. */
  protected reserve(channel: ClientChannel, bytes: number): void {
    this.reservedBytes += bytes - channel.reserved;
    channel.reserved = bytes;
  }

  // ---- told by the upstream

  /** The broker closed a channel: so does the proxy, and waits for the client's close-ok. */
  channelClosedByBroker(channel: ClientChannel, why: CloseReason): void {
    channel.up = null;
    this.dropHeld(channel);
    // the rest of its message is still to come, and will be discarded; of its last frame the scanner takes care
    if (channel.expect === BODY && channel.bodyLeft === 0) channel.expect = METHOD;
    channel.lastQueue = null;
    if (this.channels[channel.id] !== channel) return;
    const crossing = channel.state === 'releasing';
    this.out.write(frames.channelClose(channel.id, why));
    channel.state = 'closing';
    if (crossing) this.out.write(frames.channelCloseOk(channel.id));
    if (this.isStopped && !this.promoting) this.goOn();
  }

  /** An upstream with a lease of this client is gone: what was under way is lost, and the client is told so. */
  upstreamLost(channel: ClientChannel, why: CloseReason | null): void {
    const { up } = channel;
    channel.up = null;
    if (up?.upstream === this.private) this.private = null;
    if (channel.state === 'moving' && !this.promoting) {
      channel.state = 'open'; // nothing was under way: it goes on elsewhere
      this.goOn();
      return;
    }
    this.lose(why);
  }

  /** The private upstream is gone. A client that has nothing there goes on with the shared ones. */
  holderLost(why: CloseReason | null): void {
    this.private = null;
    if (this.spent) this.lose(why);
  }

  private lose(why: CloseReason | null): void {
    if (this.state !== 'running' && this.state !== 'leaving') return;
    this.stats.refuse('upstream_lost');
    this.log.info(this.facts, `Client closed: ${why?.text ?? LOST.text}`);
    this.sendClose(why ?? LOST);
  }
}
