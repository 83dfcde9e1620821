/** Bytes on their way from a client to upstreams: the longest run of frames for one upstream goes to it as one slice. */
import type { Carrier } from '../upstream/carrier.ts';

interface RunsContext {
  /** The frame_max that client and proxy have agreed on. */
  readonly frameMax: number;
  readonly config: { readonly upstreamBuffer: number };
  upstreamFull(upstream: Carrier): void;
}

export class Runs {
  private readonly context: RunsContext;
  private to: Carrier | null = null;
  private buf: Buffer | null = null;
  private start = 0;
  private end = 0;

  constructor(context: RunsContext) {
    this.context = context;
  }

  /** Adds buf[start..end), whole frames or the middle of one, to what goes to an upstream. */
  forward(upstream: Carrier, buf: Buffer, start: number, end: number): void {
    if (this.to === upstream && this.end === start && this.buf === buf) {
      this.end = end;
      return;
    }
    this.send();
    this.to = upstream;
    this.buf = buf;
    this.start = start;
    this.end = end;
  }

  /** Sends what was added: before anything else is written to an upstream, and at the end of a chunk. */
  send(): void {
    const { to, context } = this;
    if (to === null) return;
    this.to = null;
    to.forward(this.buf!.subarray(this.start, this.end), context.frameMax);
    this.buf = null;
    if (to.out.pending > context.config.upstreamBuffer) context.upstreamFull(to);
  }
}
