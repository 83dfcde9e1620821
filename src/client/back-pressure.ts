/** Who is read no more because of whom: a client that publishes faster than its upstream takes, or does not read. */
import { PAUSE, type Transport } from '../io/transport.ts';
import type { Carrier } from '../upstream/carrier.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** What a client on a shared upstream may have waiting beyond client_buffer: one message got, of the largest size. */
const LARGEST_MESSAGE = 128 * 1024 * 1024;

interface BackPressureContext {
  readonly transport: Transport;
  readonly config: { readonly clientBuffer: number };
  /** The upstream that the client has for itself. */
  readonly privateUpstream: Upstream | null;
  /** How it is closed when too much waits for it. */
  readonly ending: { overrun(pending: number): void };
}

export class BackPressure {
  private readonly client: BackPressureContext;
  /** A consumer of this client is on a shared upstream. */
  private sharesConsumer = false;
  /** The upstream of its own that is not read, because the client does not read. */
  private pausedUpstream: Upstream | null = null;
  /** It has more waiting than it may, and is judged by that in a moment. */
  private judging = false;

  constructor(client: BackPressureContext) {
    this.client = client;
  }

  consumesFromShared(): void {
    this.sharesConsumer = true;
  }

  /** Reads the client no more until an upstream has taken what waits for it. */
  upstreamFull(upstream: Carrier): void {
    this.client.transport.pause(PAUSE.OTHER_SIDE);
    upstream.whenDrained(this);
  }

  upstreamDrained(): void {
    this.client.transport.resume(PAUSE.OTHER_SIDE);
  }

  /** Something from this upstream was written to the client. */
  written(from: Carrier): void {
    const { transport, config, privateUpstream } = this.client;
    const { out } = transport;
    const half = config.clientBuffer / 2;
    if (out.pending <= half) return;
    out.flush(); // what counts is what the client does not take
    if (out.pending <= half) return;
    out.whenDrained(() => this.drained());
    if (privateUpstream !== null && from === privateUpstream) {
      if (this.pausedUpstream !== null) return;
      this.pausedUpstream = privateUpstream;
      privateUpstream.transport.pause(PAUSE.OTHER_SIDE);
      return;
    }
    transport.pause(PAUSE.OUTPUT);
    if (out.pending <= this.most || this.judging) return;
    // TLS takes what is written only in the next turn
    this.judging = true;
    setImmediate(() => {
      this.judging = false;
      if (out.pending > this.most) this.client.ending.overrun(out.pending);
    });
  }

  /** Bytes that may wait for a client on a shared upstream. */
  private get most(): number {
    const { clientBuffer } = this.client.config;
    return this.sharesConsumer ? clientBuffer : clientBuffer + LARGEST_MESSAGE;
  }

  private drained(): void {
    this.release();
    this.client.transport.resume(PAUSE.OUTPUT);
  }

  /** The client's upstream is read again. */
  release(): void {
    this.pausedUpstream?.transport.resume(PAUSE.OTHER_SIDE);
    this.pausedUpstream = null;
  }
}
