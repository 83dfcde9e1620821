/** The consumers of one channel, by their tags. */
export class Consumers {
  private readonly tags = new Set<string>();
  /** The tags asked for with the basic.consume that wait for consume-ok; empty where the broker is to choose one. */
  private readonly asked: string[] = [];
  /** Those whose tags nobody will tell: chosen by the broker, without a consume-ok. */
  private unknown = 0;

  get any(): boolean {
    return this.tags.size > 0 || this.asked.includes('') || this.unknown > 0;
  }

  has(tag: string): boolean {
    return this.tags.has(tag);
  }

  /** The client asks for one; `nowait` has no consume-ok. */
  ask(tag: string, nowait: boolean): void {
    if (tag !== '') this.tags.add(tag);
    else if (nowait) this.unknown++;
    if (!nowait) this.asked.push(tag);
  }

  /** consume-ok came. */
  started(tag: string): void {
    if (this.asked.shift() === '') this.tags.add(tag);
  }

  /** Either side has cancelled it, or both have. */
  cancelled(tag: string): void {
    this.tags.delete(tag);
  }
}
