/** The control socket: who may write to its file may see and do everything. */
import { chmodSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { inItsPlace } from '../io/unix-socket.ts';
import { EX, ServiceError } from '../service/errors.ts';
import { inWords } from '../words.ts';
import type { Console } from './server.ts';

const MODE = 0o660;

/** Where the console listens: a path, a descriptor that was handed over, or nowhere. */
export type Place = { path: string; wanted: boolean } | { fd: number } | null;

export function consolePlace(
  setting: string,
  given: number | null,
  env: NodeJS.ProcessEnv = process.env,
): Place {
  if (given !== null) return { fd: given };
  if (setting === '') return null;
  if (setting !== 'auto') return { path: setting, wanted: true };
  const dir = env.RUNTIME_DIRECTORY?.split(':')[0];
  return dir ? { path: join(dir, 'admin.sock'), wanted: false } : null;
}

// ---- who is at the other end

interface Addon {
  /** User, group and process at the other end of a Unix socket, as the kernel knows them (SO_PEERCRED). */
  peerCredentials(fd: number): [uid: number, gid: number, pid: number] | null;
}

function loadAddon(): Addon | null {
  try {
    const addon = createRequire(import.meta.url)('../journal.node') as Partial<Addon>;
    return addon.peerCredentials === undefined ? null : (addon as Addon);
  } catch {
    return null;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Who asks: what the kernel says; without the addon, what they say themselves. */
function whoIs(addon: Addon | null, socket: Socket, told: string | undefined): string {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: number } };
  const name = told === undefined ? '' : decoded(told).slice(0, 64);
  const credentials = addon?.peerCredentials(handle?.fd ?? -1) ?? null;
  if (credentials === null) return `${name || 'somebody'} (as told)`;
  const [uid, , pid] = credentials;
  return `uid ${uid} pid ${pid}${name ? ` (${name}, as told)` : ''}`;
}

function serve(console: Console, log: Logger): Server {
  const addon = loadAddon();
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 16_384 }, (request, response) => {
    request.resume();
    const told = request.headers['x-amqproxy-user'];
    const who = whoIs(addon, request.socket, typeof told === 'string' ? told : undefined);
    const answer = async (): Promise<void> => {
      if (request.method === 'POST') await console.act(request, response, who);
      else if (request.method !== 'GET' && request.method !== 'HEAD')
        console.sendJson(response, 405, { error: 'only GET, HEAD and POST' });
      else if (!(await console.read(request, response)))
        console.sendJson(response, 404, { error: 'there is /show/WHAT to GET, and acts to POST' });
    };
    answer().catch((error: Error) => {
      log.error(`Console ${request.url} failed: ${error.message}`);
      response.destroy();
    });
  });
  server.maxConnections = 50;
  return server;
}

const listen = (server: Server, where: { path: string } | { fd: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    // nobody else for the moment between bind and chmod
    const mask = process.umask(0o177);
    try {
      server.listen(where, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });

/** @throws ServiceError where the socket that the settings name cannot be had. */
export async function openConsole(console: Console, place: Place, log: Logger): Promise<void> {
  if (place === null) return;
  const server = serve(console, log);
  try {
    if ('fd' in place) await listen(server, place);
    else {
      await inItsPlace(place.path, () => listen(server, place));
      chmodSync(place.path, MODE);
      process.on('exit', () => {
        try {
          unlinkSync(place.path);
        } catch {
          // it is gone already
        }
      });
    }
    log.info(`Console listening on ${'path' in place ? place.path : 'the socket handed over'}`);
  } catch (error) {
    const why = `the console cannot listen on ${'path' in place ? place.path : `fd ${place.fd}`}: ${inWords(error as Error)}`;
    if ('path' in place && !place.wanted) log.warn(`${why}. Until the next start there is none`);
    else throw new ServiceError(EX.CONFIG, `${why}. Mend socket in [admin], or leave it empty for none`);
  }
}
