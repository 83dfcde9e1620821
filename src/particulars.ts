/** What --version --verbose says: what it runs on, and which of its parts have to do without something. For reports of faults. */
import { bareSockets } from './io/bare-socket.ts';
import { journalAddon } from './journal.ts';
import { notifyAddon } from './service/systemd.ts';
import { VERSION } from './version.ts';

/** What is used, or what stands in for an addon that cannot be loaded, and why. */
function addon(load: () => unknown, name: string, otherwise: string): string {
  try {
    load();
    return name;
  } catch (error) {
    return `${otherwise}: ${(error as Error).message.split('\n')[0]}`;
  }
}

function clients(): string {
  if (bareSockets) return "the runtime's own handles";
  const why =
    process.env.AMQPROXY_NET_SOCKETS === '1'
      ? 'AMQPROXY_NET_SOCKETS is set'
      : 'the runtime is not the one known';
  return `net.Socket, which costs more: ${why}`;
}

export function particulars(): string {
  const { node, openssl } = process.versions;
  const rows: [name: string, what: string][] = [
    ['runtime', `node ${node}, ${process.platform} ${process.arch}`],
    ['TLS', `OpenSSL ${openssl}`],
    ['clients', clients()],
    ['journal', addon(journalAddon, 'journal.node', 'lines with a priority on standard output')],
    ['notifications', addon(notifyAddon, 'sd-notify', 'systemd-notify(1)')],
  ];
  return [`amqproxy ${VERSION}`, ...rows.map(([name, what]) => `${`${name}:`.padEnd(15)}${what}`)].join('\n');
}
