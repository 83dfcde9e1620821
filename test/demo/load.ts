/** Connect-publish-close cycles with amqplib: what a short-lived web request does. */
import amqp from 'amqplib';

export interface Load {
  /** Cycles per second. */
  rate: number;
  /** Milliseconds one cycle took, from connect to closed. */
  median: number;
  p99: number;
}

/** Runs `cycles` short-lived clients against `url`, `concurrency` at a time; each publishes one message to `queue`. */
export async function shortLivedClients(
  url: string,
  queue: string,
  cycles: number,
  concurrency: number,
): Promise<Load> {
  const took: number[] = [];
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun++ < cycles) {
      const start = performance.now();
      const connection = await amqp.connect(url, { noDelay: true });
      const channel = await connection.createChannel();
      channel.sendToQueue(queue, Buffer.from('hello from a short-lived client'));
      await channel.close();
      await connection.close();
      took.push(performance.now() - start);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  const seconds = (performance.now() - start) / 1000;
  took.sort((a, b) => a - b);
  const percentile = (p: number): number => took[Math.min(took.length - 1, Math.floor(took.length * p))];
  return { rate: cycles / seconds, median: percentile(0.5), p99: percentile(0.99) };
}
