/**
 * A fuzz campaign: scripts of frames from clients of the proxy, of losses of upstreams, alarms and visitors of the TLS listener.
 * Nobody beside may notice (see `theatre.ts`), every client gets an answer or an end; the proxy must not fail, leak or grow.
 */
import fc from 'fast-check';
import { type RabbitMQ, sleep } from '../support/rabbitmq.ts';
import { scripts } from './generator.ts';
import type { Script } from './steps.ts';
import { type Setting, Theatre } from './theatre.ts';

export interface CampaignOptions extends Setting {
  /** Scripts to run at most. */
  runs: number;
  /** Seconds to run at most. */
  seconds: number;
  /** Where a failure was found: only that script is played, and smaller ones. */
  path?: string | undefined;
}

export interface Campaign {
  scripts: number;
  /** Frames and other pieces of bytes that were sent, and events. */
  steps: number;
  /** Upstreams that were lost. */
  losses: number;
  /** What anybody has to complain of; null when all is well. */
  failure: string | null;
  /** Where it was found; null when it showed in the end only. */
  path: string | null;
  /** The longest time a message of the canary took, in milliseconds. */
  worst: number;
  /** The proxy's resident memory at the beginning and the end, in bytes. */
  rss: [number, number];
}

const MiB = 1024 * 1024;
/** Scripts after which the proxy is warm. */
const WARM = 200;
/** What the proxy may keep beyond what it had once warm; the runtime gives its young objects about half of it in the first minutes. */
const GROWTH = 128 * MiB;

export async function campaign(broker: RabbitMQ, options: CampaignOptions): Promise<Campaign> {
  const theatre = await Theatre.open(broker, options);
  const { proxy, stage } = theatre;
  const result: Campaign = {
    scripts: 0,
    steps: 0,
    losses: 0,
    failure: null,
    path: null,
    worst: 0,
    rss: [0, 0],
  };
  const deadline = Date.now() + options.seconds * 1000;
  const check = async (script: Script): Promise<void> => {
    // a proxy that has ended would fail every smaller script, too; the clock of those who run scripts has to go on
    if (Date.now() > deadline || !proxy.running) return sleep(1);
    result.scripts++;
    result.steps += script.steps.length;
    if (result.scripts === WARM) result.rss[0] = proxy.rss;
    await theatre.perform(script);
  };
  try {
    const outcome = await fc.check(fc.asyncProperty(scripts(options.without), check), {
      seed: options.seed,
      numRuns: options.runs,
      interruptAfterTimeLimit: options.seconds * 1000,
      endOnFailure: false,
      ...(options.path ? { path: options.path } : {}),
    });
    if (outcome.failed && outcome.counterexample !== null) {
      result.path = outcome.counterexamplePath;
      result.failure = `${(outcome.errorInstance as Error)?.message}\n${JSON.stringify(outcome.counterexample[0])}`;
    }
    result.worst = theatre.worst;
    result.losses = stage.losses.count;
    const left = await theatre.close();
    result.failure ??= left;
    result.rss[1] = proxy.running ? proxy.rss : 0;
    if (result.failure === null && result.rss[0] > 0 && result.rss[1] > result.rss[0] + GROWTH)
      result.failure = `the proxy has grown from ${result.rss[0] / MiB} to ${result.rss[1] / MiB} MiB`;
  } finally {
    await theatre.demolish();
  }
  return result;
}
