/** What the main process and its workers say to one another. */
import type { Config } from '../config/options.ts';
import type { Request, StepName } from '../console/acts.ts';
import type { Row } from '../console/history.ts';
import type { LiveView } from '../console/rows.ts';
import type { Failure } from '../exit.ts';
import type { GivenSocket } from '../proxy/listeners.ts';
import type { Buffers } from '../proxy/proxy.ts';
import type { Standing } from '../service/status.ts';
import type { BrokerNews } from '../upstream/broker-news.ts';
import type { Tally } from './tally.ts';

/** What a worker starts with. */
export interface Order {
  /** Of the main process: its files may have been replaced since it was started. */
  version: string;
  /** From 0. */
  index: number;
  count: number;
  config: Config;
  sockets: GivenSocket[];
  /** Its part of max_clients, if that is a limit. */
  clients: number;
  /** It says where all listen, and what is wrong with that. */
  tells: boolean;
  /** Somebody may ask for metrics. */
  measured: boolean;
  /** The numbers of clients and upstreams that were given out in its place. */
  made: Made;
  /** The console's acts that still hold. */
  orders: [StepName, Act][];
}

export interface Made {
  clients: number;
  upstreams: number;
}

export type Act = Pick<Request, 'args' | 'options'>;

/** How a worker is: told every second, and when something of it cannot wait. */
export interface Report {
  tally: Tally;
  /** Clients that have one of the places that max_clients bounds. */
  admitted: number;
  /** Clients that wait for room, which another worker may have. */
  waiting: number;
  buffers: Buffers;
  standing: Standing;
  ready: boolean;
  routes: Map<string, boolean>;
  made: Made;
}

/** What a worker is asked, with what, and what it answers. */
export interface Asks {
  start: [argument: Order, answer: null];
  configure: [argument: { config: Config; tells: boolean }, answer: null];
  /** One more listening socket, whose handle comes with it, for a section that it is told of afterwards. */
  adopt: [argument: Omit<GivenSocket, 'fd'>, answer: null];
  /** Its part of max_clients; the answer is what it keeps, which is more where there are more. */
  allot: [argument: number, answer: number];
  /** As JSON: what prom-client gives and takes. */
  metrics: [argument: null, answer: string];
  /** Rows come in parts; the answer is how many were left out because of the limit. */
  rows: [argument: { view: LiveView; filters: readonly string[]; limit: number }, answer: number];
  act: [argument: { name: StepName; act: Act }, answer: unknown];
  /** It ends when it has answered. */
  drain: [argument: null, answer: null];
}
export type AskName = keyof Asks;
export type With<K extends AskName> = Asks[K][0];
export type Answer<K extends AskName> = Asks[K][1];

export type ToWorker =
  | { [K in AskName]: { id: number; ask: K; with: With<K> } }[AskName]
  /** Nobody waits for this answer any more. */
  | { cancel: number }
  /** The end, at once. */
  | { abort: true };

export type ToMain =
  | { report: Report }
  | { broker: BrokerNews }
  | { id: number; part: Row[] }
  | { id: number; answer: unknown }
  /** An operator's wish that is not done; `absent`: what it names is not here. */
  | { id: number; refusal: string; absent: boolean }
  | { id: number; failure: Failure };
