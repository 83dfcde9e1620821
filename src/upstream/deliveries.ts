/** Deliveries that lie whole in what was read: each is taken at once, not frame by frame. */
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEAD,
  FRAME_HEADER,
  FRAME_METHOD,
  frameAfter,
  setChannel,
  uint16,
  uint32,
} from '../amqp/frame.ts';
import { M } from '../amqp/methods.ts';
import type { MessageSink } from '../amqp/scanner.ts';
import type { UpstreamChannel } from './channel.ts';
import { delivered, type Receiver } from './channel-methods.ts';

/** Of a header frame, up to the size of the body. */
const BEFORE_SIZE = FRAME_HEAD + 4;

export class Deliveries implements MessageSink {
  private readonly upstream: Receiver;
  private readonly channels: { get(number: number): UpstreamChannel | undefined };

  constructor(upstream: Receiver, channels: { get(number: number): UpstreamChannel | undefined }) {
    this.upstream = upstream;
    this.channels = channels;
  }

  messages(buf: Buffer, at: number, end: number, maxBody: number): number {
    let to = at;
    for (;;) {
      const next = this.take(buf, to, end, maxBody);
      if (next === 0) return to;
      to = next;
    }
  }

  /** Where the delivery at `at` ends, if it is a whole one with just one body frame and for somebody; else 0. */
  private take(buf: Buffer, at: number, end: number, maxBody: number): number {
    if (
      end - at < 3 * FRAME_HEAD ||
      buf[at] !== FRAME_METHOD ||
      uint32(buf, at + FRAME_HEAD) !== M.BASIC_DELIVER
    )
      return 0;
    const header = frameAfter(buf, at);
    if (header + 3 * FRAME_HEAD > end || buf[header] !== FRAME_HEADER || buf[header - 1] !== FRAME_END)
      return 0;
    const body = frameAfter(buf, header);
    if (body + FRAME_HEAD > end || buf[body] !== FRAME_BODY || buf[body - 1] !== FRAME_END) return 0;
    const size = uint32(buf, body + 3);
    const stop = frameAfter(buf, body);
    if (size > maxBody || stop > end || buf[stop - 1] !== FRAME_END) return 0;
    if (uint32(buf, header + BEFORE_SIZE + 4) !== size || uint32(buf, header + BEFORE_SIZE) !== 0) return 0;
    const number = uint16(buf, at + 1);
    if (uint16(buf, header + 1) !== number || uint16(buf, body + 1) !== number) return 0;
    const channel = this.channels.get(number);
    if (channel === undefined || !channel.opened) return 0;
    const { lease } = channel;
    if (lease === null || size > lease.peer.framePayload) return 0;
    delivered(this.upstream, channel, buf, at);
    setChannel(buf, header, lease.id);
    setChannel(buf, body, lease.id);
    this.upstream.delivery.frame(lease, buf, at, stop);
    return stop;
  }
}
