/** Something done again and again beside a test, until it fails without an excuse or is stopped. */
import { sleep } from './rabbitmq.ts';
import { inVain } from './raw-client.ts';

/** Whether who came at this time (performance.now) may have been told that a connection is lost. */
export type Excuse = (since: number) => boolean;

export class Again {
  /** How often it was begun. */
  rounds = 0;
  /** What went wrong; null while nothing has. */
  complaint: string | null = null;
  private readonly act: (round: number) => Promise<void>;
  private readonly excuse: Excuse;
  private readonly pause: number;
  private running = true;
  private readonly done: Promise<void>;

  /** `pause` milliseconds lie between two times. */
  constructor(act: (round: number) => Promise<void>, excuse: Excuse, pause: number) {
    this.act = act;
    this.excuse = excuse;
    this.pause = pause;
    this.done = this.run();
  }

  private async run(): Promise<void> {
    while (this.running && this.complaint === null) {
      const since = performance.now();
      try {
        await this.act(this.rounds++);
      } catch (error) {
        const { message } = error as Error;
        // who waits in vain has no excuse
        if (inVain(message) || !this.excuse(since)) this.complaint = message;
      }
      await sleep(this.pause);
    }
  }

  /** Resolves when the last one has ended. */
  stop(): Promise<void> {
    this.running = false;
    return this.done;
  }
}
