/** Unix sockets as files: who made one and is gone has left it behind. */
import { unlinkSync } from 'node:fs';
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
