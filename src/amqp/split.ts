/** Splits a body for a peer with a smaller frame_max (AMQP 0-9-1 section 4.2.6.2). */
import { own } from '../memory.ts';
import { FRAME_BODY, FRAME_END, FRAME_HEAD, FRAME_OVERHEAD } from './frame.ts';

export function splitBody(channel: number, body: Buffer, maxPayload: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += maxPayload) {
    const size = Math.min(maxPayload, body.length - at);
    const frame = Buffer.allocUnsafe(size + 8);
    frame[0] = FRAME_BODY;
    frame.writeUInt16BE(channel, 1);
    frame.writeUInt32BE(size, 3);
    body.copy(frame, 7, at, at + size);
    frame[size + 7] = FRAME_END;
    pieces.push(frame);
  }
  return pieces;
}

/** A stream of frames, in pieces of any size, for a peer with a smaller frame_max than their sender's. */
export class FrameSplitter {
  private readonly maxPayload: number;
  private rest: Buffer = Buffer.alloc(0);

  constructor(frameMax: number) {
    this.maxPayload = frameMax - FRAME_OVERHEAD;
  }

  /** Takes borrowed bytes; gives the frames that are whole now, the body frames among them no larger than the peer takes. */
  split(piece: Buffer): Buffer[] {
    const bytes = this.rest.length > 0 ? Buffer.concat([this.rest, piece]) : piece;
    const whole: Buffer[] = [];
    let at = 0;
    let start = 0; // of the frames that can go as they are
    while (bytes.length - at >= FRAME_HEAD) {
      const size = bytes.readUInt32BE(at + 3);
      const end = at + size + FRAME_OVERHEAD;
      if (end > bytes.length) break;
      if (bytes[at] === FRAME_BODY && size > this.maxPayload) {
        if (at > start) whole.push(bytes.subarray(start, at));
        const body = bytes.subarray(at + FRAME_HEAD, end - 1);
        whole.push(...splitBody(bytes.readUInt16BE(at + 1), body, this.maxPayload));
        start = end;
      }
      at = end;
    }
    if (at > start) whole.push(bytes.subarray(start, at));
    this.rest = own(bytes.subarray(at));
    return whole;
  }
}
