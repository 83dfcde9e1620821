/** Unix sockets as files: who made one and is gone has left it behind. */
import { chmodSync, chownSync, readFileSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';

/** Whether somebody listens on a socket file; one that was left behind refuses. */
const isAlive = (path: string): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });

/** Listens there, in the place of a socket that nobody serves any more. */
export async function inItsPlace(path: string, listen: () => Promise<void>): Promise<void> {
  try {
    await listen();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || (await isAlive(path))) throw error;
    unlinkSync(path);
    await listen();
  }
}

interface File {
  readonly path: string;
  readonly mode: number;
  /** Empty: that of the process. */
  readonly group: string;
}

/** The same, with a file of this mode and group; the socket is bound before `listen` waits for anything. */
export async function asFile({ path, mode, group }: File, listen: () => Promise<void>): Promise<void> {
  // nobody for the moment between bind and chmod
  await inItsPlace(path, async () => {
    const mask = process.umask(0o177);
    const listening = listen();
    process.umask(mask);
    await listening;
  });
  if (group !== '') chownSync(path, process.getuid!(), groupId(group));
  chmodSync(path, mode);
}

/** The number of a group. @throws Error where there is none of this name. */
function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find(line => line.startsWith(`${group}:`));
  if (line === undefined) throw new Error(`there is no group ${group}`);
  return Number(line.split(':')[2]);
}
