/** Splits a body for a peer with a smaller frame_max (AMQP 0-9-1 section 4.2.6.2). */
import { FRAME_BODY, FRAME_END } from './frame.ts';

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
