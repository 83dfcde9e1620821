/** The broker's methods on an upstream's channels: what each means for the channel and its lease. */
import type { CloseReason } from '../amqp/errors.ts';
import * as frames from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import { readTag, writeTag } from '../amqp/tag.ts';
import type { Stats } from '../stats.ts';
import type { Answers } from './answers.ts';
import type { UpstreamChannel } from './channel.ts';
import type { Delivery } from './delivery.ts';
import type { Lease } from './lease.ts';

/** The upstream, as far as its channels' methods go. */
export interface Receiver {
  readonly stats: Stats;
  readonly delivery: Delivery;
  readonly answers: Answers;
}

/** Handles a method on a channel; true when it goes on to the client. */
export function channelMethod(
  upstream: Receiver,
  channel: UpstreamChannel,
  buf: Buffer,
  at: number,
): boolean {
  const { lease } = channel;
  const key = buf.readUInt32BE(at + 7);
  if (!channel.opened && key !== M.CHANNEL_OPEN_OK) return false;
  switch (key) {
    case M.BASIC_DELIVER:
      delivered(upstream, channel, buf, at);
      return true;
    case M.BASIC_GET_OK:
      countDelivery(upstream, channel);
      if (lease !== null) renumberDelivery(lease, buf, at + 11);
      break;
    case M.BASIC_RETURN:
      upstream.stats.messagesReturned++;
      channel.dropping = lease === null;
      return true;
    case M.BASIC_ACK:
    case M.BASIC_NACK: {
      const tag = readTag(buf, at + 11);
      channel.confirms?.confirm(tag, (buf[at + 19] & 1) !== 0);
      if (key === M.BASIC_NACK) channel.refuses = true;
      if (lease === null) return false;
      lease.confirmsCame();
      if (!lease.holder.confirm) return false;
      if (lease.confirmBase !== 0 && tag !== 0) {
        if (tag <= lease.confirmBase) return false; // an earlier lease's
        writeTag(buf, at + 11, tag - lease.confirmBase);
      }
      return true;
    }
    case M.CHANNEL_OPEN_OK:
      channel.openAnswered();
      return false;
    case M.CHANNEL_FLOW_OK:
      if (!channel.flowAnswered()) return false;
      break;
    case M.BASIC_QOS_OK:
      if (channel.swallowQosOk === 0) break;
      channel.swallowQosOk--;
      return false;
    case M.QUEUE_DECLARE_OK:
      lease?.holder.queueDeclared(lease, buf.subarray(at + 11, at + 12 + buf[at + 11]));
      break;
    case M.BASIC_CONSUME_OK:
      lease?.holder.consumerStarted(frames.readShortstr(buf, at + 11));
      break;
    case M.BASIC_CANCEL:
      lease?.holder.consumerCancelled(frames.readShortstr(buf, at + 11));
      return lease?.peer.cancelNotify ?? false;
    case M.CHANNEL_CLOSE:
      upstream.delivery.sendRun();
      channel.closedByBroker(clientWords(lease, frames.readClose(buf, at + 11)));
      return false;
    case M.CHANNEL_CLOSE_OK:
      upstream.delivery.sendRun();
      channel.closeAnswered();
      return false;
  }
  lease?.answered();
  return true;
}

/** basic.deliver at buf[at] has come. */
export function delivered(upstream: Receiver, channel: UpstreamChannel, buf: Buffer, at: number): void {
  countDelivery(upstream, channel);
  if (channel.lease !== null) renumberDelivery(channel.lease, buf, at + 12 + buf[at + 11]);
}

function countDelivery(upstream: Receiver, channel: UpstreamChannel): void {
  const { lease } = channel;
  channel.delivered++;
  upstream.delivery.delivered++;
  upstream.stats.messagesOut++;
  channel.dropping = lease === null;
  if (lease !== null) lease.peer.delivered++;
}

/** Gives the delivery tag at `tagAt` the number that the client knows. */
function renumberDelivery({ deliveryBase }: Lease, buf: Buffer, tagAt: number): void {
  if (deliveryBase === 0) return;
  const tag = readTag(buf, tagAt);
  // LavinMQ's answers to direct reply-to are all number 1
  if (tag > deliveryBase) writeTag(buf, tagAt, tag - deliveryBase);
}

/** The broker's reason with a delivery tag in it as the client knows it. */
function clientWords(lease: Lease | null, why: CloseReason): CloseReason {
  if (lease === null || lease.deliveryBase === 0) return why;
  const text = why.text.replace(
    /(unknown delivery tag )(\d+)/,
    (_all, words: string, tag: string) => words + String(Number(tag) - lease.deliveryBase),
  );
  return { ...why, text };
}
