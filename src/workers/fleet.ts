/** Several workers that are one to the outside: started, replaced, steered and shown together. */
import type { Logger } from 'pino';
import type { Config } from '../config/options.ts';
import type { Request, Result, StepName } from '../console/acts.ts';
import { History } from '../console/history.ts';
import { eventRows, type LiveView } from '../console/rows.ts';
import type { Query, Rows } from '../console/subject.ts';
import { listenFailure } from '../exit.ts';
import type { GivenSocket } from '../proxy/listeners.ts';
import type { Buffers } from '../proxy/proxy.ts';
import { EX, ServiceError } from '../service/errors.ts';
import type { Standing } from '../service/status.ts';
import type { Counted } from '../stats.ts';
import { VERSION } from '../version.ts';
import type { Whole } from '../whole.ts';
import { count } from '../words.ts';
import { Acts } from './acts.ts';
import { Allotment } from './allotment.ts';
import { Brokers } from './brokers.ts';
import { ANSWER_MS, Gone, within } from './link.ts';
import { Member } from './member.ts';
import { mergedBuffers, mergedRoutes, mergedStanding } from './merge.ts';
import { Metrics } from './metrics.ts';
import type { Made, Report } from './protocol.ts';
import { rowsOfAll } from './rows.ts';
import { Sockets } from './sockets.ts';
import { Sum } from './tally.ts';

/** Milliseconds without a word from a worker, after which it makes no progress. */
const SILENT_MS = 5000;
/** Milliseconds before another takes the place of one that has lived for less than that long; doubled each time. */
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5000;
const SHORT_LIFE_MS = 10_000;
/** Milliseconds that workers have to end when they are to end at once. */
const ABORT_MS = 1000;
/** So many numbers are left out behind the last that a lost worker has told of: it may have given out more. */
const SKIPPED = 20_000;

/** The place of a worker, whoever has it. */
interface Seat {
  member: Member | null;
  made: Made;
  failures: number;
  timer: NodeJS.Timeout | null;
}

export class Fleet implements Whole {
  config: Config;
  readonly log: Logger;
  private readonly sum = new Sum();
  readonly history: History;
  stopping = false;
  private readonly seats: Seat[];
  private readonly acts: Acts;
  private readonly brokers: Brokers;
  private readonly allotment = new Allotment();
  private sockets = new Sockets([], 0);
  private reloading: Promise<void> = Promise.resolve();
  /** Times that all workers were told of the settings, and of their sockets. */
  private rounds = 0;
  private measured: Metrics | null = null;
  restarts = 0;

  constructor(config: Config, log: Logger, workers: number) {
    this.config = config;
    this.log = log;
    this.seats = Array.from({ length: workers }, () => ({
      member: null,
      made: { clients: 0, upstreams: 0 },
      failures: 0,
      timer: null,
    }));
    this.acts = new Acts(workers);
    this.brokers = new Brokers(log);
    this.history = new History(this, () => new Map());
  }

  /** Those that take clients. */
  private get members(): Member[] {
    return this.seats.flatMap(({ member }) => (member?.listens ? [member] : []));
  }

  get workers(): number {
    return this.members.length;
  }

  // ---- start, and what takes the place of one that has ended

  async listen(given: readonly GivenSocket[]): Promise<void> {
    this.sockets = new Sockets(given, this.seats.length);
    await this.sockets.open(this.config);
    try {
      // the first one says where all listen
      await Promise.all(this.seats.map((_, index) => this.start(index, index === 0)));
    } catch (error) {
      this.stopping = true;
      await this.abort();
      throw error;
    }
    this.log.info(`${count(this.workers, 'worker')} take clients`);
  }

  private async start(index: number, tells: boolean): Promise<void> {
    const seat = this.seats[index];
    const member = new Member(index, this.sockets.of(index), {
      reported: () => this.reported(),
      brokerTells: (member, news) => this.brokers.heard(member.index, news),
      ended: (member, how) => this.ended(member, how),
    });
    seat.member = member;
    const { config, rounds } = this;
    const order = {
      version: VERSION,
      index,
      count: this.seats.length,
      config: this.forWorkers(config),
      clients: this.allotment.begin(member, config.maxClients, this.seats.length),
      tells,
      measured: this.measured !== null,
      made: seat.made,
      orders: this.acts.orders,
    };
    try {
      await member.start(order);
      // a reload has come meanwhile
      if (rounds !== this.rounds) await this.configure(member);
    } catch (error) {
      member.kill();
      if (!(error instanceof Gone)) throw error;
      // it was there for a moment, and is replaced already
      if (member.listens) return;
      throw new ServiceError(EX.UNAVAILABLE, `worker ${index + 1} has ended before it could take clients`);
    }
  }

  private ended(member: Member, how: string): void {
    const { index, report, listens } = member;
    const seat = this.seats[index];
    seat.member = null;
    this.allotment.end(member);
    this.brokers.lose(index);
    if (report !== null) this.lose(seat, index, report);
    this.reported();
    // one that never listened is told of by who waits for its start
    if (this.stopping || !listens) return;
    this.restarts++;
    const clients = report === null ? 0 : report.tally.clients;
    this.log.warn(
      { journal: { worker: index + 1 } },
      `${member.name} has ended ${how}: its ${count(clients, 'client')} ${clients === 1 ? 'is' : 'are'} lost, another takes its place`,
    );
    seat.failures = performance.now() - member.startedAt < SHORT_LIFE_MS ? seat.failures + 1 : 0;
    this.startLater(index);
  }

  private lose(seat: Seat, index: number, { tally, made }: Report): void {
    this.sum.lose(tally);
    seat.made = { clients: made.clients + SKIPPED, upstreams: made.upstreams + SKIPPED };
    void this.measured?.lose(index);
  }

  private startLater(index: number): void {
    const seat = this.seats[index];
    const delay = seat.failures === 0 ? 0 : Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** (seat.failures - 1));
    seat.timer = setTimeout(() => void this.startAgain(index), delay);
  }

  private async startAgain(index: number): Promise<void> {
    if (this.stopping) return;
    try {
      await this.start(index, false);
      this.log.info(`${this.seats[index].member?.name} takes clients`);
    } catch (error) {
      if (this.stopping) return;
      this.log.warn(`Worker ${index + 1} cannot be started, it is tried again: ${(error as Error).message}`);
      this.seats[index].failures++;
      this.startLater(index);
    }
  }

  // ---- what the service shows

  private get reports(): Report[] {
    return this.seats.flatMap(({ member }) => member?.report ?? []);
  }

  private reported(): void {
    this.sum.update(this.reports.map(({ tally }) => tally));
    this.divide();
  }

  private divide(): void {
    void this.allotment
      .balance(this.config.maxClients, this.members, this.seats.length)
      .then(again => again && this.divide());
  }

  get stats(): Counted {
    return this.sum.now;
  }

  get buffers(): Buffers {
    return mergedBuffers(
      this.reports.map(({ buffers }) => buffers),
      this.config,
    );
  }

  get standing(): Standing {
    return mergedStanding(this.reports.map(({ standing }) => standing));
  }

  get remarks(): string[] {
    const { workers, seats } = this;
    return [workers < seats.length ? `${workers} of ${seats.length} workers` : count(workers, 'worker')];
  }

  get alive(): boolean {
    const now = performance.now();
    return this.seats.every(({ member }) => member === null || now - member.heardAt < SILENT_MS);
  }

  ready(): boolean {
    const { members } = this;
    return !this.stopping && members.length > 0 && members.every(({ report }) => report?.ready);
  }

  readyRoutes(): Map<string, boolean> {
    return mergedRoutes(this.reports.map(({ routes }) => routes));
  }

  metrics(): Metrics {
    this.measured ??= new Metrics(this, async () => {
      const answers = this.members.map(async ({ index, link }): Promise<[number, string][]> => {
        // one that is stuck, or has just ended, is shown as it was
        const json = await within(ANSWER_MS, link.ask('metrics', null)).catch(() => null);
        return json === null ? [] : [[index, json]];
      });
      return (await Promise.all(answers)).flat();
    });
    return this.measured;
  }

  // ---- what the console shows, and does

  rows(view: LiveView, query: Query): Rows {
    return rowsOfAll(view, query, this.members, view === 'events' ? [...eventRows()] : []);
  }

  each<K extends StepName>(name: K, request: Request): Promise<Result<K>[]> {
    return this.acts.each(name, request, this.members);
  }

  /** Takes a checked configuration; resolves when all workers have it. */
  reload(config: Config): Promise<void> {
    this.config = config;
    // one after the other: each may close sockets, and bind others
    this.reloading = this.reloading.catch(() => {}).then(() => this.spread());
    return this.reloading;
  }

  private async spread(): Promise<void> {
    const { config } = this;
    const close = this.sockets.leave(config);
    await this.configureAll();
    close();
    // after that: they may listen where others have listened
    const there = this.sockets.count;
    for (const failure of await this.sockets.openMore(config))
      this.log.warn(`[${failure.listener.heading}] does not listen: ${listenFailure(failure).text}`);
    if (this.sockets.count > there) await this.configureAll();
  }

  private async configureAll(): Promise<void> {
    this.rounds++;
    const answers = this.members.map(member =>
      within(ANSWER_MS, this.configure(member)).catch((error: Error) => {
        // one that ends now has it from its start when it is there again, one that is stuck when it goes on
        if (!(error instanceof Gone)) throw error;
      }),
    );
    await Promise.all(answers);
  }

  private configure(member: Member): Promise<void> {
    const tells = member === this.members[0];
    return member.configure(this.forWorkers(this.config), this.sockets.of(member.index), tells);
  }

  /** They listen on what they have from here, and on nothing else. */
  private forWorkers(config: Config): Config {
    const sections = config.sections.filter(
      section => section.kind !== 'listen' || this.sockets.has(section),
    );
    return { ...config, sections };
  }

  // ---- the end

  private begin(): void {
    this.stopping = true;
    for (const { timer } of this.seats) if (timer !== null) clearTimeout(timer);
  }

  async drain(): Promise<void> {
    this.begin();
    const gone = this.seats.map(async ({ member }) => {
      if (member === null) return;
      if (member.listens) await member.link.ask('drain', null).catch(() => {});
      else member.kill();
      await member.gone;
    });
    // with the workers' copies closed, too, the next one is refused
    this.sockets.close();
    await Promise.all(gone);
  }

  async abort(): Promise<void> {
    this.begin();
    this.sockets.close();
    const members = this.seats.flatMap(({ member }) => member ?? []);
    for (const member of members) member.end();
    await within(ABORT_MS, Promise.all(members.map(({ gone }) => gone))).catch(() => {});
    for (const member of members) member.kill();
  }
}
