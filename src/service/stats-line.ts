/**
 * The stats sentence: what happened in a span of time, every stats_period in the log unless nothing did; on a terminal as `N clients    N upstreams`, kept current in place.
 */
import type { Logger } from 'pino';
import type { Config } from '../config/options.ts';
import { statusLine } from '../log.ts';
import type { Buffers } from '../proxy/proxy.ts';
import type { Counted } from '../stats.ts';
import { count } from '../words.ts';

const LIVE_MS = 1000;
const STATUS_MS = 5000;

/** What the sentence is about: one process, or all workers together. */
export interface Watched {
  readonly config: Pick<Config, 'statsPeriod' | 'logFormat'>;
  readonly stats: Counted;
  readonly buffers: Buffers;
}

const rate = (n: number, seconds: number): string => (seconds > 0 ? (n / seconds).toFixed(1) : '0.0');
const ms = (seconds: number): string => (seconds * 1000).toFixed(1);

/** 1234567 → "1.2 MB" (powers of 1000). */
function bytes(n: number): string {
  if (n < 1000) return `${Math.round(n)} B`;
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  return `${(n / 1000 ** power).toFixed(1)} ${'_kMGT'[power]}B`;
}

interface Counters {
  at: number;
  logins: number;
  reused: number;
  leases: number;
  messagesIn: number;
  messagesOut: number;
  bytesIn: number;
  bytesOut: number;
  refused: Map<string, number>;
}

const counters = (stats: Counted): Counters => ({
  at: performance.now(),
  logins: stats.logins,
  reused: stats.loginsReused,
  leases: stats.leases,
  messagesIn: stats.messagesIn,
  messagesOut: stats.messagesOut,
  bytesIn: stats.clientTraffic.bytesIn,
  bytesOut: stats.clientTraffic.bytesOut,
  refused: new Map(stats.refused),
});

export interface Rates {
  logins: number;
  messagesIn: number;
  messagesOut: number;
  refused: number;
}

/** A span of time that ends with each sentence; the next one begins there. */
export class Span {
  private readonly proxy: Watched;
  private last: Counters;

  constructor(proxy: Watched) {
    this.proxy = proxy;
    this.last = counters(proxy.stats);
  }

  /** What goes on each second, and how many were refused; a new span begins. */
  rates(): Rates {
    const { last } = this;
    const now = counters(this.proxy.stats);
    this.last = now;
    const seconds = Math.max(0.001, (now.at - last.at) / 1000);
    const sum = ({ refused }: Counters): number => [...refused.values()].reduce((a, b) => a + b, 0);
    return {
      logins: (now.logins - last.logins) / seconds,
      messagesIn: (now.messagesIn - last.messagesIn) / seconds,
      messagesOut: (now.messagesOut - last.messagesOut) / seconds,
      refused: sum(now) - sum(last),
    };
  }

  /** Nothing has happened in it so far: no login, lease, message or refusal. */
  get isIdle(): boolean {
    const { last } = this;
    const now = counters(this.proxy.stats);
    const same = (of: 'logins' | 'leases' | 'messagesIn' | 'messagesOut'): boolean => now[of] === last[of];
    return (
      same('logins') &&
      same('leases') &&
      same('messagesIn') &&
      same('messagesOut') &&
      [...now.refused].every(([why, n]) => n === last.refused.get(why))
    );
  }

  /** Facts in a fixed order: clients, logins, leases, upstreams, traffic from and to clients, waits (median/p99), buffers (all, and the fullest of what it may hold), refusals. */
  sentence(): string {
    const { proxy, last } = this;
    const { stats } = proxy;
    const now = counters(stats);
    this.last = now;
    const seconds = (now.at - last.at) / 1000;
    const logins = now.logins - last.logins;
    const reused = logins === 0 ? 100 : ((now.reused - last.reused) / logins) * 100;
    const refused = [...now.refused]
      .map(([why, n]) => [why, n - (last.refused.get(why) ?? 0)] as const)
      .filter(([, n]) => n > 0)
      .map(([why, n]) => `${why}=${n}`);
    const buffers = Object.entries(proxy.buffers).map(
      ([name, { total, largest, limit }]) => `${name} ${bytes(total)} (${bytes(largest)} of ${bytes(limit)})`,
    );
    return (
      `${count(stats.clients, 'client')} (peak ${stats.clientsPeak}), ${rate(logins, seconds)} logins/s, ${reused.toFixed(1)}% reused, ` +
      `${rate(now.leases - last.leases, seconds)} leases/s, ${stats.channelsParked} parked, ` +
      `${count(stats.upstreams, 'upstream')} (${stats.upstreamsShared} shared, ${stats.upstreamsPrivate} private), ` +
      `${stats.upstreamsBusy} busy, ${count(stats.clientsApart, 'client')} apart, ` +
      `in ${rate(now.messagesIn - last.messagesIn, seconds)} msg/s ${bytes((now.bytesIn - last.bytesIn) / seconds || 0)}/s, ` +
      `out ${rate(now.messagesOut - last.messagesOut, seconds)} msg/s ${bytes((now.bytesOut - last.bytesOut) / seconds || 0)}/s, ` +
      `lease wait ${ms(stats.leaseWaitSeconds.quantile(0.5))}/${ms(stats.leaseWaitSeconds.quantile(0.99))} ms, ` +
      `barrier ${ms(stats.barrierSeconds.quantile(0.5))}/${ms(stats.barrierSeconds.quantile(0.99))} ms, ` +
      buffers.join(', ') +
      (refused.length > 0 ? `, refused ${refused.join(' ')}` : '')
    );
  }
}

export class StatsLine {
  private readonly proxy: Watched;
  private readonly log: Logger;
  private readonly logged: Span;
  private timers: NodeJS.Timeout[] = [];
  /** The last line said that nothing happens. */
  private toldIdle = false;

  constructor(proxy: Watched, log: Logger) {
    this.proxy = proxy;
    this.log = log;
    this.logged = new Span(proxy);
  }

  /** Starts the timers, or starts them anew with a changed stats_period. `status` is told every 5 s what goes on. */
  start(status?: (rates: Rates) => void): void {
    this.stop();
    const { statsPeriod, logFormat } = this.proxy.config;
    if (statsPeriod > 0) this.every(statsPeriod * 1000, () => this.write());
    if (status) {
      const span = new Span(this.proxy);
      status(span.rates());
      this.every(STATUS_MS, () => status(span.rates()));
    }
    if (process.stdout.isTTY && logFormat !== 'json') this.every(LIVE_MS, () => this.showLive());
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
  }

  private every(milliseconds: number, task: () => void): void {
    this.timers.push(setInterval(task, milliseconds).unref());
  }

  /** The line in the log; the waits of the next one are its own. */
  write(): void {
    const { stats } = this.proxy;
    const idle = this.logged.isIdle;
    if (idle && this.toldIdle) return;
    this.toldIdle = idle;
    if (idle) {
      const { clients, upstreams } = stats;
      const text = `stats: idle, ${count(clients, 'client')}, ${count(upstreams, 'upstream')}; the next line when something happens`;
      this.log.info({ journal: { clients, upstreams, parked: stats.channelsParked }, each: true }, text);
      return;
    }
    this.log.info(
      {
        journal: { clients: stats.clients, upstreams: stats.upstreams, parked: stats.channelsParked },
        each: true,
      },
      `stats: ${this.logged.sentence()}`,
    );
    stats.leaseWaitSeconds.clear();
    stats.barrierSeconds.clear();
  }

  private showLive(): void {
    const { clients, upstreams } = this.proxy.stats;
    process.stdout.write(`\r\x1b[K${count(clients, 'client')}    ${count(upstreams, 'upstream')}`);
    statusLine.shown = true;
  }
}
