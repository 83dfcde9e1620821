/** The upstreams that scenarios ask for; each is started when the first asks. */
import { execFileSync, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RabbitMQ } from '../support/rabbitmq.ts';
import { message, type Sink } from './parts.ts';
import type { Scenario } from './scenarios.ts';

/** Milliseconds of a round trip to the broker that is far away. */
const FAR = 50;

export interface UpstreamInUse {
  kind: Scenario['upstream'];
  port: number;
  tls?: boolean;
  /** Whose CPU counts as the upstream's. */
  pid: number;
  /** What amqproxy has to be told about it. */
  settings: string[];
  /** Messages published to it so far, by its own count; null where it has none. */
  published: (() => Promise<number>) | null;
}

/** Sums up what RabbitMQ counts, by protocol. */
const RECEIVED =
  'lists:sum([maps:get(messages_received_total, C, 0) || {_, C} <- maps:to_list(rabbit_global_counters:overview())]).';

interface Closeable {
  close(): void;
}

export class Upstreams {
  private readonly sink: Sink;
  /** 0: any that is free. */
  private readonly brokerPort: number;
  private broker: Promise<RabbitMQ> | null = null;
  private dir: string | null = null;
  private readonly relays = new Map<number, Promise<number>>();
  private readonly running: Closeable[] = [];

  constructor(sink: Sink, brokerPort = 0) {
    this.sink = sink;
    this.brokerPort = brokerPort;
  }

  async get(kind: Scenario['upstream']): Promise<UpstreamInUse> {
    if (kind === 'sink')
      return { kind, port: this.sink.port, pid: this.sink.pid, settings: [], published: null };
    const broker = await (this.broker ??= this.startBroker());
    const { port, tlsPort, pid } = broker;
    const published = async (): Promise<number> => Number(await broker.ctl('eval', RECEIVED));
    switch (kind) {
      case 'broker':
        return { kind, port, pid, settings: [], published };
      case 'far':
        return { kind, port: await this.relay(port), pid, settings: [], published };
      case 'far-tls':
        return {
          kind,
          port: await this.relay(tlsPort),
          tls: true,
          pid,
          settings: [`tls_ca = ${this.dir}/bench.crt`],
          published,
        };
    }
  }

  private startBroker(): Promise<RabbitMQ> {
    this.dir = mkdtempSync(join(tmpdir(), 'amqproxy-bench-'));
    const cert = join(this.dir, 'bench.crt');
    const key = join(this.dir, 'bench.key');
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost'],
        ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ],
      { stdio: 'ignore' },
    );
    const port = this.brokerPort > 0 ? { port: this.brokerPort } : {};
    return RabbitMQ.start({ ...port, tls: { ca: cert, cert, key } });
  }

  private relay(port: number): Promise<number> {
    let relay = this.relays.get(port);
    if (relay === undefined) {
      const child = fork(join(import.meta.dirname, 'relay.ts'), [String(port), String(FAR)]);
      this.running.push({ close: () => child.disconnect() });
      this.relays.set(port, (relay = message<number>(child)));
    }
    return relay;
  }

  async stop(): Promise<void> {
    for (const part of this.running) part.close();
    await (await this.broker)?.stop();
    if (this.dir !== null) rmSync(this.dir, { recursive: true, force: true });
  }
}
