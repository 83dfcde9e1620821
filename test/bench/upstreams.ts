/** The upstreams that scenarios ask for; each is started when the first asks. */
import { RabbitMQ } from '../support/rabbitmq.ts';
import type { Sink } from './parts.ts';
import type { Scenario } from './scenarios.ts';

export interface UpstreamInUse {
  port: number;
  tls?: boolean;
  /** Whose CPU counts as the upstream's. */
  pid: number;
  /** What amqproxy has to be told about it. */
  settings: string[];
}

export class Upstreams {
  private readonly sink: Sink;
  private broker: Promise<RabbitMQ> | null = null;

  constructor(sink: Sink) {
    this.sink = sink;
  }

  async get(kind: Scenario['upstream']): Promise<UpstreamInUse> {
    if (kind === 'sink') return { port: this.sink.port, pid: this.sink.pid, settings: [] };
    const broker = await (this.broker ??= RabbitMQ.start());
    return { port: broker.port, pid: broker.pid, settings: [] };
  }

  async stop(): Promise<void> {
    await (await this.broker)?.stop();
  }
}
