/** Bytes of a socket that its peer's machine has not acknowledged, by the kernel's list of sockets. */
import { readFileSync } from 'node:fs';
import type { Wire } from './wire.ts';

const hexPort = (port = 0): string => port.toString(16).toUpperCase().padStart(4, '0');

/** Reads the whole list: for the rare case in which it matters. 0 where there is none. */
export function unacked({ localPort, remotePort }: Wire): number {
  const ends = new RegExp(
    `^ *\\d+: [0-9A-F]+:${hexPort(localPort)} [0-9A-F]+:${hexPort(remotePort)} [0-9A-F]+ ([0-9A-F]+):`,
    'm',
  );
  for (const list of ['/proc/net/tcp', '/proc/net/tcp6'])
    try {
      const found = ends.exec(readFileSync(list, 'latin1'));
      if (found !== null) return Number.parseInt(found[1], 16);
    } catch {
      // no such list here
    }
  return 0;
}
