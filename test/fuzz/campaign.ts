/**
 * A fuzz campaign: scripts of frames from clients of the proxy while a canary beside them publishes, is confirmed and
 * consumes. The canary must notice nothing, the proxy must not fail, leak or grow.
 */
import fc from 'fast-check';
import { connectionCloseOk } from '../differential/frames.ts';
import { Canary } from '../support/canary.ts';
import { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sleep } from '../support/rabbitmq.ts';
import { RawClient } from '../support/raw-client.ts';
import { encode, type Step, script } from './generator.ts';

export interface CampaignOptions {
  seed: number;
  /** Scripts to run at most. */
  runs: number;
  /** Seconds to run at most. */
  seconds: number;
  /** INI lines for the proxy. */
  args?: string[];
}

export interface Campaign {
  scripts: number;
  /** Frames and other pieces of bytes that were sent. */
  steps: number;
  /** What the canary or the proxy has to complain of; null when all is well. */
  failure: string | null;
  /** The longest time a message of the canary took, in milliseconds. */
  worst: number;
  /** The proxy's resident memory at the beginning and the end, in bytes. */
  rss: [number, number];
}

const MiB = 1024 * 1024;
/** Scripts after which the proxy is warm. */
const WARM = 200;
/** What the proxy may keep, beyond what it had once warm. */
const GROWTH = 64 * MiB;

/** Plays one script on a connection of its own. */
async function play(port: number, steps: Step[]): Promise<void> {
  const client = await RawClient.start(port);
  try {
    client.method(1, 'channel.open', Buffer.from([0]));
    client.method(2, 'channel.open', Buffer.from([0]));
    for (const step of steps) {
      if (client.ended) break;
      if (step.kind === 'wait') await sleep(step.ms);
      else if (step.kind === 'end') {
        if (step.how === 'die') return;
        client.method(0, 'connection.close', Buffer.from([0, 200, 0, 0, 0, 0, 0]));
        break;
      } else client.send(encode(step));
    }
    // gives the broker and the proxy a moment to object, and answers their close
    await client.next(frame => frame.name === 'connection.close', 0.03).catch(() => null);
    if (!client.ended) client.send(connectionCloseOk());
  } finally {
    client.destroy();
  }
}

export async function campaign(broker: RabbitMQ, options: CampaignOptions): Promise<Campaign> {
  const proxy = await AmqProxy.withMetrics(broker.url, ['--log-level', 'warn', ...(options.args ?? [])]);
  const result: Campaign = { scripts: 0, steps: 0, failure: null, worst: 0, rss: [0, 0] };
  const deadline = Date.now() + options.seconds * 1000;
  let canary = await Canary.start(proxy.port, `canary-fuzz-${process.pid}`);
  /** Plays a script; throws what went wrong. */
  const check = async (steps: Step[]): Promise<void> => {
    if (Date.now() > deadline) return;
    if (canary.complaints.length > 0) canary = await Canary.start(proxy.port, `canary-fuzz-${process.pid}`);
    result.scripts++;
    result.steps += steps.length;
    if (result.scripts === WARM) result.rss[0] = proxy.rss;
    await play(proxy.port, steps);
    const heard = canary.sung;
    for (let n = 0; n < 300 && canary.sung < heard + 2 && canary.complaints.length === 0; n++)
      await sleep(10);
    if (!proxy.running) throw new Error(`amqproxy has ended (${proxy.exitCode}):\n${proxy.log}`);
    const { complaints } = canary;
    if (complaints.length > 0 || canary.sung < heard + 2) {
      await canary.stop();
      throw new Error(`the canary: ${complaints.join('; ') || 'silent'}`);
    }
  };
  try {
    const outcome = await fc.check(fc.asyncProperty(script, check), {
      seed: options.seed,
      numRuns: options.runs,
      interruptAfterTimeLimit: options.seconds * 1000,
      endOnFailure: false,
    });
    if (outcome.failed && outcome.counterexample !== null)
      result.failure = `seed ${outcome.seed} path ${outcome.counterexamplePath}\n${(outcome.errorInstance as Error)?.message}\n${JSON.stringify(outcome.counterexample[0])}`;
    result.worst = canary.worst;
    await canary.stop();
    if (result.failure === null && proxy.running)
      await proxy.left().catch((error: Error) => {
        result.failure = error.message;
      });
    result.rss[1] = proxy.running ? proxy.rss : 0;
    if (result.failure === null && result.rss[0] > 0 && result.rss[1] > result.rss[0] + GROWTH)
      result.failure = `the proxy has grown from ${result.rss[0] / MiB} to ${result.rss[1] / MiB} MiB`;
    if (result.failure === null && /uncaught|TypeError|RangeError/i.test(proxy.log))
      result.failure = proxy.log;
  } finally {
    await proxy.stop();
  }
  return result;
}
