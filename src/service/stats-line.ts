/** The stats sentence: every stats_period in the log, and live on a terminal as `N clients    N upstreams`. */
import type { Logger } from 'pino';
import { statusLine } from '../log.ts';
import type { Proxy } from '../proxy.ts';

const LIVE_MS = 1000;

const rate = (n: number, seconds: number): string => (seconds > 0 ? (n / seconds).toFixed(1) : '0.0');
const ms = (seconds: number): string => (seconds * 1000).toFixed(1);

export class StatsLine {
  private readonly proxy: Proxy;
  private readonly log: Logger;
  private timer: NodeJS.Timeout | null = null;
  private live: NodeJS.Timeout | null = null;
  private last = {
    at: performance.now(),
    logins: 0,
    reused: 0,
    leases: 0,
    in: 0,
    out: 0,
    bytesIn: 0,
    bytesOut: 0,
  };

  constructor(proxy: Proxy, log: Logger) {
    this.proxy = proxy;
    this.log = log;
  }

  start(): void {
    this.stop();
    const { statsPeriod } = this.proxy.config;
    if (statsPeriod > 0) {
      this.timer = setInterval(() => this.log.info(this.sentence()), statsPeriod * 1000);
      this.timer.unref();
    }
    if (process.stdout.isTTY && this.proxy.config.logFormat !== 'json') {
      this.live = setInterval(() => this.showLive(), LIVE_MS);
      this.live.unref();
    }
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    if (this.live) clearInterval(this.live);
  }

  private showLive(): void {
    const { clientCount, upstreamCount } = this.proxy;
    process.stdout.write(`\r\x1b[K${clientCount} clients    ${upstreamCount} upstreams`);
    statusLine.shown = true;
  }

  /** What happened since the last line. */
  sentence(): string {
    const { proxy } = this;
    const { stats } = proxy;
    const now = {
      at: performance.now(),
      logins: stats.logins,
      reused: stats.loginsReused,
      leases: stats.leases,
      in: stats.messagesIn,
      out: stats.messagesOut,
      bytesIn: stats.clientBytesIn,
      bytesOut: stats.upstreamBytesIn,
    };
    const { last } = this;
    const seconds = (now.at - last.at) / 1000;
    const logins = now.logins - last.logins;
    const reused = logins === 0 ? 100 : ((now.reused - last.reused) / logins) * 100;
    this.last = now;
    let line =
      `stats: ${proxy.clientCount} clients (peak ${stats.clientsPeak}), ${rate(logins, seconds)} logins/s, ${reused.toFixed(1)}% reused, ` +
      `${rate(now.leases - last.leases, seconds)} leases/s, ${proxy.parkedCount} parked, ` +
      `${proxy.upstreamCount} upstreams (${proxy.sharedCount} shared, ${proxy.privateCount} private), ` +
      `in ${rate(now.in - last.in, seconds)} msg/s ${rate(now.bytesIn - last.bytesIn, seconds)} B/s, ` +
      `out ${rate(now.out - last.out, seconds)} msg/s ${rate(now.bytesOut - last.bytesOut, seconds)} B/s, ` +
      `lease wait ${ms(stats.leaseWaitSeconds.quantile(0.5))}/${ms(stats.leaseWaitSeconds.quantile(0.99))} ms, ` +
      `barrier ${ms(stats.barrierSeconds.quantile(0.5))}/${ms(stats.barrierSeconds.quantile(0.99))} ms`;
    stats.leaseWaitSeconds.clear();
    stats.barrierSeconds.clear();
    if (stats.refused.size > 0) {
      line += `, closed ${[...stats.refused].map(([why, n]) => `${why}=${n}`).join(' ')}`;
      stats.refused.clear();
    }
    return line;
  }
}
