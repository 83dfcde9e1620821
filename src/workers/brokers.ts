/** What all workers tell of brokers as one: each of them meets every broker by itself, and one line says it. */
import { type BrokerNews, type Outage, say, type Told } from '../upstream/broker-news.ts';

interface Down {
  since: number;
  /** How many of a worker's routes know it as down, of those that have not said that it is up again. */
  knownBy: Map<number, number>;
  /** What those have counted that have; null before that. */
  told: Outage | null;
}

export class Brokers {
  private readonly log: Told;
  private readonly down = new Map<string, Down>();
  /** What each worker tells once: who has told it since it was said. */
  private readonly said = new Map<string, Set<number>>();

  constructor(log: Told) {
    this.log = log;
  }

  heard(worker: number, news: BrokerNews): void {
    const { name } = news;
    switch (news.is) {
      case 'odd':
      case 'left':
        this.sayOnce(worker, news);
        return;
      case 'down':
        if (!this.down.has(name)) {
          this.down.set(name, { since: performance.now(), knownBy: new Map(), told: null });
          say(news, this.log);
        }
        this.count(name, worker, 1);
        return;
      case 'up':
        this.add(name, news);
        this.count(name, worker, -1);
        return;
      case 'gone':
        this.count(name, worker, -1);
    }
  }

  /** A worker has ended, and what it knew with it. */
  lose(worker: number): void {
    for (const [name, { knownBy }] of [...this.down]) this.count(name, worker, -(knownBy.get(worker) ?? 0));
  }

  private sayOnce(worker: number, news: BrokerNews): void {
    const what = `${news.is} ${news.name}`;
    const told = this.said.get(what);
    if (told !== undefined && !told.has(worker)) {
      told.add(worker);
      return;
    }
    say(news, this.log);
    this.said.set(what, new Set([worker]));
  }

  private add(name: string, { failures, refused, why }: Outage): void {
    const down = this.down.get(name);
    if (down === undefined) return;
    const { told, since } = down;
    down.told = {
      ms: performance.now() - since,
      failures: failures + (told?.failures ?? 0),
      refused: refused + (told?.refused ?? 0),
      why,
    };
  }

  /** It is up again when nobody knows it as down, and somebody has seen it. */
  private count(name: string, worker: number, by: number): void {
    const down = this.down.get(name);
    if (down === undefined) return;
    const n = (down.knownBy.get(worker) ?? 0) + by;
    if (n > 0) down.knownBy.set(worker, n);
    else down.knownBy.delete(worker);
    if (down.knownBy.size > 0) return;
    this.down.delete(name);
    if (down.told !== null) say({ name, is: 'up', ...down.told }, this.log);
  }
}
