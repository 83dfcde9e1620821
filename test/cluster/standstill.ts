/**
 * Whether who waits for long does so because RabbitMQ itself stands still: a quorum queue has no leader, or a channel's process
 * waits in the middle of what it does, as for a leader that is frozen, and answers nothing, whoever asks.
 */
import type { AmqProxy } from '../support/proxy.ts';
import { type RabbitMQ, sleep, until } from '../support/rabbitmq.ts';
import type { Ledger } from './ledger.ts';

/** Seconds after which somebody waits for long. */
const LONG = 2;
const EVERY_MS = 500;
/** Seconds in which RabbitMQ gives up what it waits for: net_ticktime and some more. */
const AT_REST = 90;

/** 'PEER -> NODE MODULE:FUNCTION' for each channel that waits although it has something to do. */
const STANDING = `
[list_to_atom(lists:flatten(io_lib:format("~s ~s:~s", [Name, Module, Function])))
 || Channel <- rabbit_channel:list_local(),
    [{status, waiting}, {current_stacktrace, Stack}, {dictionary, Facts}]
      <- [erlang:process_info(Channel, [status, current_stacktrace, dictionary])],
    {rabbit_channel, {Name, _}} <- [proplists:get_value(process_name, Facts)],
    [{Module, Function, _, _} | _]
      <- [[Frame || Frame <- Stack, lists:prefix("rabbit_", atom_to_list(element(1, Frame)))]]]`;
/** 'leads VHOST_QUEUE' for each quorum queue that this node leads. */
const LED = `[list_to_atom("leads " ++ atom_to_list(Queue)) || {Queue, leader} <- ets:tab2list(ra_state)]`;
const LOOK = `${STANDING} ++ ${LED}.`.replace(/\s+/g, ' ');

/** What the proxy's log says of each lease. */
const LEASES = / Lease .*client=(\S+) .*on=(\S+) /g;

/** What was seen at one look. */
interface Sight {
  /** What a channel that stands still does, by the other side of its connection. */
  readonly channels: Map<string, string>;
  /** Queues without a leader, as far as that can be known. */
  readonly leaderless: Set<string>;
}

/** A connection to RabbitMQ, named in the same way. */
interface Place {
  readonly peer: string;
  readonly node: string;
}

export class Standstill {
  private readonly nodes: readonly RabbitMQ[];
  private readonly queues: readonly string[];
  private readonly proxy: AmqProxy;
  /** The node that cannot be asked, being frozen. */
  frozen: RabbitMQ | null = null;

  constructor(nodes: readonly RabbitMQ[], queues: readonly string[], proxy: AmqProxy) {
    this.nodes = nodes;
    this.queues = queues;
    this.proxy = proxy;
  }

  private async look(): Promise<Sight> {
    const channels = new Map<string, string>();
    const leaderless = new Set(this.queues);
    for (const node of this.nodes) {
      if (node === this.frozen) continue;
      const said = await node.ctl('eval', LOOK).catch(() => ''); // it is away
      for (const [, peer, where] of said.matchAll(/'(\S+) -> \S+ ([^']+)'/g)) channels.set(peer, where);
      for (const [, queue] of said.matchAll(/'leads %2F_([^']+)'/g)) leaderless.delete(queue);
    }
    return { channels, leaderless };
  }

  /** Where each client behind the proxy had its last lease. */
  private async places(): Promise<Map<string, Place>> {
    const response = await fetch(`${this.proxy.http}/show/upstreams`);
    const { rows } = (await response.json()) as { rows: { id: string; broker: string; name: string }[] };
    const upstreams = new Map(rows.map(row => [row.id, row]));
    const found = new Map<string, Place>();
    for (const [, client, id] of this.proxy.log.matchAll(LEASES)) {
      const { name = '', broker = '' } = upstreams.get(id) ?? {};
      found.set(client, { peer: name.split(' -> ')[0], node: broker });
    }
    return found;
  }

  /** Looks again and again at those who wait for long. */
  async watch(ledger: Ledger, goesOn: () => boolean): Promise<void> {
    for (; goesOn(); await sleep(EVERY_MS)) {
      const waiting = ledger.waiting(LONG);
      if (waiting.length === 0) continue;
      const places = await this.places();
      const { channels, leaderless } = await this.look();
      const frozen = `127.0.0.1:${this.frozen?.port}`;
      for (const attempt of waiting) {
        const { by, queue, ended } = attempt;
        if (ended !== Number.POSITIVE_INFINITY) continue;
        const { peer, node } = places.get(by) ?? { peer: by, node: '' };
        // who waits at the frozen node waits for the proxy to see that, and who uses other queues for none of these
        const excused = node !== frozen && this.queues.includes(queue);
        const election = leaderless.has(queue) ? `the election of a leader of ${queue}` : null;
        attempt.seen(excused ? (channels.get(peer) ?? election) : null);
      }
    }
  }

  /** Waits until RabbitMQ has given up what it waits for, so that the next mishap is not blamed for it. */
  async atRest(): Promise<void> {
    let restless: string[] = [];
    const rests = async (): Promise<boolean> => {
      const { channels, leaderless } = await this.look();
      restless = [
        ...[...channels].map(one => one.join(' ')),
        ...[...leaderless].map(one => `no leader of ${one}`),
      ];
      return restless.length === 0;
    };
    await until('RabbitMQ to be at rest', rests, AT_REST).catch((error: Error) => {
      throw new Error(`${error.message} (${restless.join(', ')})`);
    });
  }
}
