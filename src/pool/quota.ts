/**
 * How many channels the broker lets a user open. RabbitMQ ends the whole connection of the one that opens one too many
 * (`rabbitmqctl set_user_limits`), so the number is learned from that, and kept from then on.
 */
import { type CloseReason, reason } from '../amqp/errors.ts';
import { M } from '../amqp/methods.ts';

/** rabbit_reader: create_channel. */
const CHANNELS = /number of channels opened for user .* maximum allowed user limit of \((\d+)\)/;
/** rabbit_reader: is_over_node_channel_limit, is_over_vhost_connection_limit and the like. */
const CONNECTIONS = /connection limit \((\d+)\) is reached/;

/** Milliseconds for which the broker still counts a channel or connection that it has closed (rabbit_channel_tracking is told later). */
export const SETTLE_MS = 50;

/** The broker refuses a connection because there are as many as it allows. */
export const isConnectionLimit = (why: CloseReason): boolean => CONNECTIONS.test(why.text);

/** It is the connections of the user that it counts, rather than those to the vhost. */
export const countsUser = (why: CloseReason): boolean => /user connection limit/.test(why.text);

export class ChannelQuota {
  private readonly user: string;
  /** Channels that are open, or count as open at the broker. */
  private open = 0;
  /** Channels that have ended, but still count. */
  settling = 0;
  private limit = Number.POSITIVE_INFINITY;

  constructor(user: string) {
    this.user = user;
  }

  get learned(): boolean {
    return this.limit !== Number.POSITIVE_INFINITY;
  }

  get full(): boolean {
    return this.open >= this.limit;
  }

  /** So many channels were opened, or have ended (less than 0); `freed` is called when those count no more. */
  change(by: number, freed: () => void): void {
    if (by > 0 || !this.learned) {
      this.open += by;
      return;
    }
    this.settling -= by;
    setTimeout(() => {
      this.settling += by;
      this.open += by;
      freed();
    }, SETTLE_MS);
  }

  /** `n` channels count with another from now on: their pool takes another way. */
  handOver(n: number, to: ChannelQuota): void {
    this.open -= n;
    to.open += n;
  }

  /** An upstream was closed by the broker: whether this limit was the reason, which it is kept to from now on. */
  learn(why: CloseReason | null): boolean {
    const match = why === null ? null : CHANNELS.exec(why.text);
    if (match === null) return false;
    this.limit = Number(match[1]);
    return true;
  }

  /** It may have been changed at the broker. */
  forget(): void {
    this.limit = Number.POSITIVE_INFINITY;
  }

  /** The broker's words for one too many. */
  get refusal(): CloseReason {
    return reason(
      'NOT_ALLOWED',
      `number of channels opened for user '${this.user}' has reached the maximum allowed user limit of (${this.limit})`,
      M.CHANNEL_OPEN,
    );
  }
}
