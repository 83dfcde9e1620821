/** `make fuzz`: campaigns with new seeds for MINUTES, a report, and the seed of whatever fails. */
import { exitOnSignals } from '../support/cleanup.ts';
import { RabbitMQ } from '../support/rabbitmq.ts';
import { campaign } from './campaign.ts';
import { ACTIONS, type Action } from './generator.ts';

/** Settings that a campaign's proxy may have, by its seed. */
const SETTINGS = [
  [],
  ['consumers = shared'],
  ['message_buffer = 4KiB'],
  ['consumers = shared', 'message_buffer = 4KiB', 'client_buffer = 64KiB'],
  ['pool_mode = session'],
  ['consumers = shared', 'close = instant'],
  ['max_upstream_channels = 4'],
];

const minutes = Number(process.env.MINUTES ?? 5);
const deadline = Date.now() + minutes * 60_000;
const { AT: path } = process.env;
const without = (process.env.WITHOUT ?? '').split(',').filter(name => name !== '') as Action[];
for (const name of without)
  if (!ACTIONS.includes(name)) throw new Error(`WITHOUT=${name}: there are ${ACTIONS.join(' ')}`);
let seed = Number(process.env.SEED ?? Date.now() % 0x7fffffff);
let scripts = 0;
let steps = 0;
let failures = 0;

exitOnSignals();
const broker = await RabbitMQ.start();
try {
  while (Date.now() < deadline) {
    const seconds = Math.min(60, Math.ceil((deadline - Date.now()) / 1000));
    const settings = SETTINGS[seed % SETTINGS.length];
    const channelMax = seed % 2 === 0 ? 2047 : 0;
    const result = await campaign(broker, {
      seed,
      runs: 1_000_000,
      seconds,
      path,
      settings,
      channelMax,
      without,
    });
    scripts += result.scripts;
    steps += result.steps;
    const [before, after] = result.rss.map(bytes => `${Math.round(bytes / 1048576)} MiB`);
    console.log(
      `seed ${seed}, ${settings.join(', ') || 'as installed'}: ${result.scripts} scripts, ${result.steps} steps, ` +
        `${result.losses} upstreams lost, canary's slowest message ${Math.round(result.worst)} ms, memory ${before} to ${after}`,
    );
    if (result.failure !== null) {
      failures++;
      const again = [`SEED=${seed}`, ...(without.length > 0 ? [`WITHOUT=${without}`] : [])];
      if (result.path !== null) again.push(`AT=${result.path}`);
      console.log(`FAILED (again with: make fuzz ${again.join(' ')})\n${result.failure}`);
    }
    // that place is this seed's
    if (path) break;
    seed = (seed + 1) % 0x7fffffff;
  }
} finally {
  await broker.stop();
}
console.log(`${scripts} scripts of ${steps} steps, ${failures} failures`);
process.exitCode = failures > 0 ? 1 : 0;
