/** What `--check-config --connect` finds out: who answers at each address of each broker, as far as its greeting. */
import type { Config } from './config/options.ts';
import { heading, sectionsOf, settingsIn } from './config/sections.ts';
import { Stats } from './stats.ts';
import { Barriers } from './upstream/barriers.ts';
import { connectTo } from './upstream/connect.ts';
import { type Endpoint, Names } from './upstream/names.ts';
import { BrokerProfile } from './upstream/profile.ts';

async function look(endpoint: Endpoint, config: Config): Promise<{ ok: boolean; text: string }> {
  const profile = new BrokerProfile(0);
  const began = performance.now();
  try {
    const barriers = new Barriers(() => {});
    const stats = new Stats();
    const no = (): boolean => false;
    const upstream = await connectTo(endpoint, { config, profile, barriers, stats, leaves: no, isSelf: no });
    upstream.destroy();
    const ms = Math.round(performance.now() - began);
    return { ok: true, text: `${endpoint.name}: ${profile.product}${endpoint.tls ? ', TLS' : ''}, ${ms} ms` };
  } catch (error) {
    return { ok: false, text: `${endpoint.name}: ${(error as Error).message}` };
  }
}

/** One line for each address; `ok` when a client could log in at one of them, on each route. */
export async function connectAll(config: Config): Promise<{ ok: boolean; lines: string[] }> {
  const main = await connectBrokers(config);
  const routes = sectionsOf(config, 'route').map(section =>
    connectBrokers(settingsIn(config, section), `[${heading(section)}] `),
  );
  const all = [main, ...(await Promise.all(routes))];
  return { ok: all.every(({ ok }) => ok), lines: all.flatMap(({ lines }) => lines) };
}

/** Those of one route; `ok` also where there are none. */
export async function connectBrokers(config: Config, label = ''): Promise<{ ok: boolean; lines: string[] }> {
  const names = new Names();
  const { upstream } = config;
  await names.refresh(upstream);
  const found = await Promise.all(names.endpoints(upstream).map(endpoint => look(endpoint, config)));
  return {
    ok: upstream.length === 0 || found.some(({ ok }) => ok),
    lines: found.map(({ text }) => label + text),
  };
}
