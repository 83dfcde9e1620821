/** A publisher at full speed, to no queue: as fast as it is read. */
import * as f from '../differential/frames.ts';
import { dial, RawClient } from './raw-client.ts';

const CHUNK = Buffer.concat(Array.from({ length: 64 }, () => f.publish(1, 'nowhere', 'x'.repeat(1024))));

export class Flood extends RawClient {
  private flowing = true;

  static async begin(port: number): Promise<Flood> {
    const flood = new Flood(await dial(port));
    await flood.login();
    await flood.open(1);
    flood.socket.on('drain', () => flood.flow());
    flood.flow();
    return flood;
  }

  private flow(): void {
    while (this.flowing && !this.ended && this.socket.write(CHUNK));
  }

  /** It is silent from now on, but stays. */
  stop(): void {
    this.flowing = false;
  }

  /** It floods on. */
  go(): void {
    this.flowing = true;
    this.flow();
  }
}
