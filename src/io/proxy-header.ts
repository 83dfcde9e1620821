/**
 * The header of the PROXY protocol, by which a load balancer says whom it forwards: version 1 (a line) and 2 (binary), as in
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. Pure: bytes in, what they say out.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** What the bytes read so far are. */
export type Introduction =
  /** Not decided yet. */
  | 'more'
  /** No PROXY header. */
  | 'none'
  | { wrong: string }
  | {
      /** Bytes it takes. */
      length: number;
      /** Whom it names; null for the load balancer itself, or somebody without an address. */
      from: { address: string; port: number } | null;
    };

const V1 = Buffer.from('PROXY ');
const V1_MAX = 107;
const V2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_HEAD = 16;
/** Addresses and TLVs of version 2: no load balancer sends more. */
const V2_MAX = 4096;

/** Octets of the addresses and ports by family (AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX). */
const V2_ADDRESSES = [0, 12, 36, 216];

const startsLike = (bytes: Buffer, begin: Buffer): boolean => {
  const length = Math.min(bytes.length, begin.length);
  return bytes.subarray(0, length).equals(begin.subarray(0, length));
};

/** Whether these bytes are the beginning of a PROXY header, as far as they go. */
export const looksIntroduced = (bytes: Buffer): boolean =>
  bytes.length > 0 && (startsLike(bytes, V1) || startsLike(bytes, V2));

export function readIntroduction(bytes: Buffer): Introduction {
  if (bytes.length === 0) return 'more';
  if (!looksIntroduced(bytes)) return 'none';
  if (startsLike(bytes, V2)) return bytes.length < V2_HEAD ? 'more' : readV2(bytes);
  return bytes.length < V1.length ? 'more' : readV1(bytes);
}

function readV1(bytes: Buffer): Introduction {
  const end = bytes.subarray(0, V1_MAX).indexOf('\n');
  if (end < 0) return bytes.length < V1_MAX ? 'more' : { wrong: `its line is longer than ${V1_MAX} octets` };
  const line = bytes.toString('latin1', 0, end);
  if (!line.endsWith('\r')) return { wrong: 'its line does not end with CR LF' };
  const [, family, address, to, port, toPort, ...more] = line.slice(0, -1).split(' ');
  const length = end + 1;
  if (family === 'UNKNOWN') return { length, from: null };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : null;
  if (isAddress === null) return { wrong: 'it is neither for TCP4 nor TCP6' };
  const isPort = (text = ''): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65535;
  if (!isAddress(address) || !isAddress(to) || !isPort(port) || !isPort(toPort) || more.length > 0)
    return { wrong: 'its addresses or ports are none' };
  return { length, from: { address, port: Number(port) } };
}

function readV2(bytes: Buffer): Introduction {
  const [version, command] = [bytes[12] >>> 4, bytes[12] & 15];
  const [family, transport] = [bytes[13] >>> 4, bytes[13] & 15];
  const size = bytes.readUInt16BE(14);
  if (version !== 2 || command > 1) return { wrong: 'its version or command is unknown' };
  if (size > V2_MAX) return { wrong: `it is longer than ${V2_MAX} octets` };
  const length = V2_HEAD + size;
  if (command === 1) {
    if (family >= V2_ADDRESSES.length || transport > 2) return { wrong: 'its family is unknown' };
    if (transport === 2) return { wrong: 'it is for datagrams' };
    if (size < V2_ADDRESSES[family]) return { wrong: 'it is too short for its addresses' };
  }
  if (bytes.length < length) return 'more';
  if (command === 0 || transport === 0) return { length, from: null };
  if (family === 1)
    return {
      length,
      from: { address: bytes.subarray(16, 20).join('.'), port: bytes.readUInt16BE(24) },
    };
  if (family === 2) return { length, from: { address: ipv6(bytes), port: bytes.readUInt16BE(48) } };
  return { length, from: null };
}

function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + 2 * i).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
