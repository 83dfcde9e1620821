/** The last lines of the log with their facts, in memory: what `amqproxy show events` shows. */

/** A record of the log. */
export type Event = Record<string, unknown>;

export class Events {
  private readonly ring: Event[] = [];
  private readonly size: number;
  private next = 0;

  constructor(size: number) {
    this.size = size;
  }

  add(event: Event): void {
    this.ring[this.next] = event;
    this.next = (this.next + 1) % this.size;
  }

  /** From the oldest to the newest. */
  *[Symbol.iterator](): Iterator<Event> {
    const { ring, next } = this;
    for (let i = 0; i < ring.length; i++) yield ring[(next + i) % ring.length];
  }
}

export const events = new Events(1000);
