/**
 * Journal entries with real fields (`journalctl AMQPROXY_POOL=app@/`), by journald's native protocol
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an entry to a unix socket. Node's core cannot send one, so a
 * 50-line addon (journal.c) does; where it was not built, the same lines go to stdout with a `<N>` prefix.
 * Not used: sd-notify's journalPrint (text as format string), `logger --journald` (a process for every line).
 */
import { existsSync, fstatSync } from 'node:fs';
import { createRequire } from 'node:module';

const SOCKET = '/run/systemd/journal/socket';
const PREFIX = 'AMQPROXY_';

interface Addon {
  sendDatagram(path: string, bytes: Buffer): number;
}

/** Sends one entry; false where it could not be sent at once, and the caller writes it to stdout instead. */
export type SendEntry = (priority: number, message: string, facts: Record<string, unknown>) => boolean;

/** One field: `NAME=value`, or with the length in front where the value has line breaks. */
function field(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')]);
}

/** The bytes of an entry. A fact `user` becomes AMQPROXY_USER; user and vhost together also AMQPROXY_POOL=user@vhost. */
export function entry(priority: number, message: string, facts: Record<string, unknown>): Buffer {
  const fields = [
    field('PRIORITY', String(priority)),
    field('SYSLOG_IDENTIFIER', 'amqproxy'),
    field('MESSAGE', message),
  ];
  if (facts.user !== undefined && facts.vhost !== undefined)
    fields.push(field(`${PREFIX}POOL`, `${facts.user}@${facts.vhost}`));
  for (const [name, value] of Object.entries(facts))
    if (value !== undefined && value !== null)
      fields.push(
        field(
          PREFIX +
            name
              .replace(/[^a-zA-Z0-9]/g, '_')
              .toUpperCase()
              .slice(0, 48),
          String(value),
        ),
      );
  return Buffer.concat(fields);
}

/** Whether stdout goes to the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5)). */
export function stdoutIsJournal(env: NodeJS.ProcessEnv = process.env): boolean {
  if (!env.JOURNAL_STREAM) return false;
  try {
    const { dev, ino } = fstatSync(1);
    return env.JOURNAL_STREAM === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** @throws where it was not built, or for another system. */
export const journalAddon = (): Addon => createRequire(import.meta.url)('./journal.node') as Addon;

/** The way to the journal, or null where there is none: no journald on stdout, no addon. */
export function openJournal(): SendEntry | null {
  if (!stdoutIsJournal() || !existsSync(SOCKET)) return null;
  let addon: Addon;
  try {
    addon = journalAddon();
  } catch {
    return null;
  }
  return (priority, message, facts) => addon.sendDatagram(SOCKET, entry(priority, message, facts)) === 0;
}
