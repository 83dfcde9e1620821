/** A listening socket's own handle, which the runtime hands to another process. Its types do not say so: they know servers only. */
import type { SendHandle } from 'node:child_process';
import { Socket } from 'node:net';

/** For `send`: of a socket that is open here, and stays so. */
export function handleOf(fd: number): SendHandle {
  // never read, and never closed: the descriptor is another's
  const socket = new Socket({ fd, readable: false, writable: false });
  return (socket as unknown as { _handle: SendHandle })._handle;
}

/** The descriptor of a handle that has come: it is this process's from now on. */
export function descriptorOf(handle: unknown): number {
  return (handle as { readonly fd: number }).fd;
}
