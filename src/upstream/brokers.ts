/** What is known of each broker, by its address: whether it could be reached last time, since when, and why not. */

export interface Broker {
  readonly address: string;
  state: 'unknown' | 'up' | 'down';
  /** Milliseconds of the wall clock since which it is in that state. */
  since: number;
  /** Why it could not be reached last time; empty when it could. */
  why: string;
  /** Failed attempts to reach it. */
  failures: number;
  /** The wall clock, when it was dialed last, and how many seconds that took; 0 for never. */
  dialedAt: number;
  dialSeconds: number;
  /** By the operator's wish it gets no new upstreams. */
  drained: boolean;
}

export class Brokers implements Iterable<Broker> {
  private readonly byAddress = new Map<string, Broker>();

  of(address: string): Broker {
    let broker = this.byAddress.get(address);
    if (broker === undefined) {
      broker = {
        address,
        state: 'unknown',
        since: Date.now(),
        why: '',
        failures: 0,
        dialedAt: 0,
        dialSeconds: 0,
        drained: false,
      };
      this.byAddress.set(address, broker);
    }
    return broker;
  }

  *[Symbol.iterator](): Iterator<Broker> {
    yield* this.byAddress.values();
  }

  /** It was dialed, from `began` (wall clock) on; `why` it could not be reached, null when it could. */
  dialed(address: string, began: number, why: string | null): void {
    const broker = this.of(address);
    const state = why === null ? 'up' : 'down';
    if (broker.state !== state) broker.since = Date.now();
    broker.state = state;
    broker.why = why ?? '';
    if (why !== null) broker.failures++;
    broker.dialedAt = began;
    broker.dialSeconds = (Date.now() - began) / 1000;
  }

  /** Forgets those that are named no more. */
  keep(addresses: string[]): void {
    for (const address of [...this.byAddress.keys()])
      if (!addresses.includes(address)) this.byAddress.delete(address);
    for (const address of addresses) this.of(address);
  }
}
