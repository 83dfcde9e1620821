/** What a listener's address stands for. */

/** Listens there; `localhost` is 127.0.0.1 and, on the same port and where there is one, ::1. `listen` gives the port. */
export async function onEach(
  host: string,
  port: number,
  listen: (host: string, port: number) => number | Promise<number>,
): Promise<void> {
  if (host !== 'localhost') {
    await listen(host, port);
    return;
  }
  const bound = await listen('127.0.0.1', port);
  try {
    await listen('::1', bound);
  } catch (error) {
    if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code!)) throw error;
  }
}
