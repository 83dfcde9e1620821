/** Ports for the brokers and proxies of tests, a port for one of them only: whatever else runs tests on this machine. */
import { createServer, type Server } from 'node:net';

/** Below those that the kernel gives to clients (32768 and up): nobody gets one of these by accident. */
const FIRST = 10_000;
const LAST = 32_699;
/** Ports that a process takes at a time. */
const BLOCK = 100;
const BLOCKS = (LAST - FIRST + 1) / BLOCK;

/** Resolves to the server when it listens, to null when somebody else does. */
const listen = (...where: [string] | [number, string]): Promise<Server | null> =>
  new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen(...(where as [number, string]), () => resolve(server));
  });

/** A block is taken by who listens on its name, a socket without a file: the kernel gives it back when the process ends. */
async function takeBlock(): Promise<number> {
  const start = Math.floor(Math.random() * BLOCKS);
  for (let n = 0; n < BLOCKS; n++) {
    const block = (start + n) % BLOCKS;
    const holder = await listen(`\0amqproxy-test-ports-${block}`);
    if (holder === null) continue;
    holder.unref();
    return FIRST + block * BLOCK;
  }
  throw new Error('all ports for tests are taken');
}

let next = 0;
let end = 0;
let last: Promise<unknown> = Promise.resolve();

/** A port nobody listens on, and nobody else is given. */
export function freePort(): Promise<number> {
  const port = last.then(async () => {
    for (;;) {
      if (next === end) {
        next = await takeBlock();
        end = next + BLOCK;
      }
      const port = next++;
      // something that runs no tests may have it
      const server = await listen(port, '0.0.0.0');
      if (server === null) continue;
      await new Promise(resolve => server.close(resolve));
      return port;
    }
  });
  last = port.catch(() => {});
  return port;
}
