/** Delivery tags: 64 bits on the wire, handled as safe integers (2^53 is 28 years at ten million a second). */
export const readTag = (buf: Buffer, at: number): number =>
  (((buf[at] << 24) | (buf[at + 1] << 16) | (buf[at + 2] << 8) | buf[at + 3]) >>> 0) * 0x100000000 +
  (((buf[at + 4] << 24) | (buf[at + 5] << 16) | (buf[at + 6] << 8) | buf[at + 7]) >>> 0);

export function writeTag(buf: Buffer, at: number, tag: number): void {
  buf.writeUInt32BE(Math.floor(tag / 0x100000000) >>> 0, at);
  buf.writeUInt32BE(tag >>> 0, at + 4);
}
