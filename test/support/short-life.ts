/** A web request's connection: logs in, publishes, and hangs up when its close has been answered. */
import * as f from '../differential/frames.ts';
import { RawClient } from './raw-client.ts';

/** What has become of it: `served`, or what went wrong. */
export async function shortLife(port: number, queue: string): Promise<string> {
  let client: RawClient | undefined;
  try {
    client = await RawClient.start(port);
    await client.ask(f.channelOpen(1), 'channel.open-ok');
    client.send(f.publish(1, queue, Buffer.from('hello')));
    await client.ask(f.channelClose(1), 'channel.close-ok');
    await client.ask(f.connectionClose(), 'connection.close-ok');
    return 'served';
  } catch (error) {
    return (error as Error).message;
  } finally {
    client?.destroy();
  }
}
