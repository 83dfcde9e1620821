/** PROXY headers, as load balancers send them. */
import { isIPv6 } from 'node:net';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** Version 1. */
export const v1 = (address: string, port: number): Buffer =>
  isIPv6(address)
    ? Buffer.from(`PROXY TCP6 ${address} ::1 ${port} 5673\r\n`)
    : Buffer.from(`PROXY TCP4 ${address} 127.0.0.1 ${port} 5673\r\n`);

/** Version 2; command 0 is LOCAL, 1 PROXY; family 0x11 IPv4, 0x21 IPv6. */
export function v2(command: number, family: number, rest: Buffer): Buffer {
  const head = Buffer.from([0x20 | command, family, rest.length >>> 8, rest.length & 255]);
  return Buffer.concat([SIGNATURE, head, rest]);
}

const ports = (port: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(port);
  bytes.writeUInt16BE(5673, 2);
  return bytes;
};

export const inet = (address: string, port: number): Buffer =>
  Buffer.concat([Buffer.from(address.split('.').map(Number)), Buffer.from([127, 0, 0, 1]), ports(port)]);

/** The address as 32 hexadecimal digits. */
export const inet6 = (address: string, port: number): Buffer =>
  Buffer.concat([Buffer.from(address, 'hex'), Buffer.alloc(16), ports(port)]);
