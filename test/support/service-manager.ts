/** A service manager's ear: what a process sends to NOTIFY_SOCKET (sd_notify(3)). */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { atExit, tempDir } from './cleanup.ts';
import { until } from './rabbitmq.ts';

const LISTEN = `
import os, socket, sys
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.bind(sys.argv[1])
print('listens', flush=True)
while True: print(ear.recv(65536).decode(), flush=True)
`;

export class ServiceManager {
  readonly socket = join(tempDir('notify'), 'socket');
  private readonly child: ChildProcess;
  private readonly gone: () => void;
  heard = '';

  private constructor() {
    this.child = spawn('python3', ['-c', LISTEN, this.socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.gone = atExit(() => this.child.kill('SIGKILL'));
    this.child.stdout!.on('data', text => {
      this.heard += text;
    });
  }

  static async start(): Promise<ServiceManager> {
    const manager = new ServiceManager();
    await until('the service manager to listen', () => manager.heard.includes('listens'));
    return manager;
  }

  /** How often it was told that. */
  count(state: string): number {
    return this.heard.split('\n').filter(line => line === state).length;
  }

  stop(): void {
    this.child.kill('SIGKILL');
    this.gone();
  }
}
