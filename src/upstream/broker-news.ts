/** What an operator should hear of a broker, and in which words. */

/** Where it is said. */
export interface Told {
  info(line: string): void;
  warn(line: string): void;
}

/** How long it was down, and what that has cost. */
export interface Outage {
  ms: number;
  /** Attempts to connect. */
  failures: number;
  /** Logins. */
  refused: number;
  why: string;
}

export type BrokerNews = { name: string } & (
  | { is: 'down'; why: string }
  | ({ is: 'up' } & Outage)
  /** It was down, and is named no more: it is heard of no more. */
  | { is: 'gone' }
  /** Its upstreams end: a name does not stand for it any more. */
  | { is: 'left' }
  /** Something that it does not do, said once. */
  | { is: 'odd'; text: string }
);

/** 0.3 s, 12 s, 5 min: how long something takes, or has taken. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** Says it; nothing where there is nothing to be said. */
export function say(news: BrokerNews, log: Told): void {
  const line = lineOf(news);
  if (line !== null) log[news.is === 'left' ? 'info' : 'warn'](line);
}

/** The line of the log. */
export function lineOf(news: BrokerNews): string | null {
  switch (news.is) {
    case 'down':
      return `Broker ${news.name} is down: ${news.why}`;
    case 'up': {
      const { ms, failures, refused, why } = news;
      const meanwhile = `after ${duration(ms)} and ${failures} failed attempts, ${refused.toLocaleString('en')} logins refused`;
      return `Broker ${news.name} is up again ${meanwhile} (${why})`;
    }
    case 'odd':
      return `Broker ${news.name} ${news.text}`;
    case 'left':
      return `Broker ${news.name} is gone: its name stands for others now`;
    case 'gone':
      return null;
  }
}
