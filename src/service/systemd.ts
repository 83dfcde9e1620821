/**
 * The service manager: notifications (sd_notify(3)), the watchdog, sockets handed over (sd_listen_fds(3)).
 * Without NOTIFY_SOCKET all of it does nothing and says nothing.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import type { GivenSocket } from '../proxy/listeners.ts';
import { EX, ServiceError } from './errors.ts';

/** What is used of npm's sd-notify. Its journalPrint and log are not: they pass text on as a format string. */
interface SdNotify {
  sendState(state: string): void;
}

/** @throws where it was not built, or for another system. */
export const notifyAddon = (): SdNotify => createRequire(import.meta.url)('sd-notify') as SdNotify;

/** First descriptor that the service manager hands over (SD_LISTEN_FDS_START). */
const FIRST_FD = 3;
/** While draining: the stop timeout is pushed this far ahead, this often. */
const EXTEND_MS = 30_000;
const EXTEND_EVERY_MS = 10_000;

export class Systemd {
  private readonly send: (state: string) => void;
  /** Resolves when all that was sent has arrived. */
  readonly sent: () => Promise<void>;
  private readonly watchdogMs: number;
  private watchdog: NodeJS.Timeout | null = null;
  private extend: NodeJS.Timeout | null = null;
  private lastStatus = '';
  private alive = (): boolean => true;

  /** `load` gives the addon, where a service manager listens; `tool` sends where it cannot be had. */
  constructor(
    log: Logger,
    env: NodeJS.ProcessEnv = process.env,
    load: () => SdNotify = notifyAddon,
    tool: (state: string) => Promise<void> = systemdNotify,
  ) {
    const sender = env.NOTIFY_SOCKET ? senderFor(log, load, tool) : NOBODY;
    this.send = sender.send;
    this.sent = sender.sent;
    // the interval is ours only if it was set for this process
    const mine = env.WATCHDOG_PID === undefined || env.WATCHDOG_PID === String(process.pid);
    const usec = Number(env.WATCHDOG_USEC);
    this.watchdogMs = env.NOTIFY_SOCKET && mine && usec > 0 ? usec / 1000 : 0;
  }

  /** The service takes clients (again, after a reload). The first call starts the watchdog, fed while all is `alive`. */
  ready(alive = this.alive): void {
    this.alive = alive;
    this.send('READY=1');
    if (this.watchdogMs > 0 && this.watchdog === null) {
      const feed = (): void => {
        if (alive()) this.send('WATCHDOG=1');
      };
      // sent from the check phase, after a poll for I/O: proof that timers and sockets are both served
      this.watchdog = setInterval(() => setImmediate(feed), this.watchdogMs / 2);
      this.watchdog.unref();
    }
  }

  /** One line for `systemctl status`; sent only when it has changed. */
  status(text: string): void {
    const line = text.replace(/\s+/g, ' ');
    if (line === this.lastStatus) return;
    this.lastStatus = line;
    this.send(`STATUS=${line}`);
  }

  /** A reload begins; `ready` ends it. The time stamp is what Type=notify-reload (systemd 253) asks for. */
  reloading(): void {
    this.send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** The drain begins: systemd's stop timeout counts only once there is no progress any more (the process hangs). */
  stopping(): void {
    const more = `EXTEND_TIMEOUT_USEC=${EXTEND_MS * 1000}`;
    this.send(`STOPPING=1\n${more}`);
    this.extend ??= setInterval(() => this.alive() && this.send(more), EXTEND_EVERY_MS);
    this.extend.unref();
  }

  stop(): void {
    if (this.watchdog) clearInterval(this.watchdog);
    if (this.extend) clearInterval(this.extend);
  }
}

interface Sender {
  send(state: string): void;
  sent(): Promise<void>;
}

const NOBODY: Sender = { send() {}, async sent() {} };

function senderFor(log: Logger, load: () => SdNotify, tool: (state: string) => Promise<void>): Sender {
  try {
    const addon = load();
    return { send: state => addon.sendState(state), async sent() {} };
  } catch (error) {
    const why = (error as Error).message.split('\n')[0];
    log.warn(`sd-notify cannot be loaded, systemd-notify(1) tells the service manager instead: ${why}`);
    return byTool(log, tool);
  }
}

/** Sends by a tool, one after the other: they shall arrive in their order. */
function byTool(log: Logger, tool: (state: string) => Promise<void>): Sender {
  let last = Promise.resolve();
  let works = true;
  return {
    send(state) {
      last = last
        .then(() => tool(state))
        .catch((error: Error) => {
          if (works)
            log.error(
              `systemd-notify cannot be run: ${error.message.split('\n')[0]}. Use Type=exec without WatchdogSec=`,
            );
          works = false;
        });
    },
    sent: () => last,
  };
}

/** systemd-notify(1), a child: the unit has NotifyAccess=all. It sends no text but its arguments. */
const systemdNotify = async (state: string): Promise<void> => {
  await promisify(execFile)('systemd-notify', state.split('\n'));
};

/** Names a socket may have (FileDescriptorName=), and what is served on it. A socket without a name is called as its unit. */
const ROLES: Record<string, string> = {
  amqp: 'amqp',
  'amqproxy.socket': 'amqp',
  unknown: 'amqp',
  amqps: 'amqps',
  http: 'http',
  admin: 'admin',
};

/**
 * The sockets handed over to this process (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), named by their role.
 * The variables are taken out of `env`, as sd_listen_fds(3) asks, so that no child takes them for its own.
 * `sections`: the names of sections [listen NAME], for which sockets may be, too.
 * @throws ServiceError for a name nobody knows.
 */
export function listenFds(
  env: NodeJS.ProcessEnv = process.env,
  sections: readonly string[] = [],
): GivenSocket[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  delete env.LISTEN_PID;
  delete env.LISTEN_FDS;
  delete env.LISTEN_FDNAMES;
  if (LISTEN_PID !== String(process.pid)) return [];
  const count = Number(LISTEN_FDS);
  if (!Number.isInteger(count) || count <= 0) return [];
  const names = LISTEN_FDNAMES ? LISTEN_FDNAMES.split(':') : [];
  return Array.from({ length: count }, (_, i) => {
    const given = names[i] || 'unknown';
    const name = Object.hasOwn(ROLES, given) ? ROLES[given] : sections.find(one => one === given);
    if (name === undefined)
      throw new ServiceError(
        EX.CONFIG,
        `the service manager handed over a socket named "${given}": known are amqp, amqps, http and admin, and sections [listen NAME] of the settings. Mend FileDescriptorName= in the socket unit`,
      );
    return { name, fd: FIRST_FD + i };
  });
}
