/**
 * The console over HTTP/1.1 with JSON: reads by GET, acts by POST. On the control socket both; on the HTTP port the reads
 * only, so that nothing can be done here from another machine or by a page in somebody's browser.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { printable } from '../config/types.ts';
import { type Request, type StepName, stepOf } from './acts.ts';
import type { History } from './history.ts';
import { Most } from './order.ts';
import { PAGE, PAGE_HEADERS } from './page.ts';
import { settingRows } from './rows.ts';
import { matcher, Refusal } from './scope.ts';
import type { Outcome, Settings } from './settings.ts';
import type { Query, Rows, Subject } from './subject.ts';
import { switchTo } from './switch.ts';
import { type COMMANDS, commandOf, isCommand, isView, type ViewName, viewNames, viewOf } from './table.ts';

/** Rows that are made before the event loop has its turn: a fraction of a millisecond. */
const SLICE = 100;

type ActName = {
  [K in keyof typeof COMMANDS]: (typeof COMMANDS)[K]['kind'] extends 'act' ? K : never;
}[keyof typeof COMMANDS];

/** Acts on the settings, which are those of all processes. */
const ON_SETTINGS: Record<
  Exclude<ActName, StepName>,
  (subject: Subject, settings: Settings, request: Request) => Promise<string>
> = {
  switch: switchTo,
  async set(_, settings, { args: [key, value] }) {
    if (key === undefined || value === undefined) throw new Refusal('set KEY VALUE');
    return outcome(await settings.set(key, value));
  },
  reload: async (_, settings) => outcome(await settings.reload()),
  check: async (_, settings) => outcome(settings.check()),
};

function outcome({ done, lines }: Outcome): string {
  if (!done) throw new Refusal(lines.join('\n'));
  return lines.join('\n');
}

export class Console {
  private readonly subject: Subject;
  private readonly settings: Settings;
  private readonly log: Logger;
  readonly page = PAGE;
  readonly pageHeaders = PAGE_HEADERS;

  constructor(subject: Subject, settings: Settings) {
    this.subject = subject;
    this.settings = settings;
    this.log = subject.log;
    this.history.start();
  }

  private get history(): History {
    return this.subject.history;
  }

  private rows(view: ViewName, query: Query): Rows {
    switch (view) {
      case 'stats':
        return this.history.spans();
      case 'config':
        return settingRows(this.subject.config, this.settings.sources);
      default:
        return this.subject.rows(view, query);
    }
  }

  private async done(name: ActName, request: Request): Promise<string> {
    if (name in ON_SETTINGS)
      return ON_SETTINGS[name as keyof typeof ON_SETTINGS](this.subject, this.settings, request);
    const step = name as StepName;
    return stepOf(step).told(await this.subject.each(step, request), request);
  }

  /** Answers a request for /show/…; false when it is for something else. */
  async read(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = URL.parse(request.url ?? '/', 'http://console');
    if (url === null) return false;
    const [, command, what, ...rest] = url.pathname.split('/');
    if (command !== 'show' || rest.length > 0) return false;
    if (what === 'history') return this.sendJson(response, 200, this.history.series);
    if (!isView(what)) {
      const known = viewNames.join(', ');
      return this.sendJson(response, 404, { error: `what can be shown: ${known}` });
    }
    try {
      await this.sendRows(what, url.searchParams, response, request.method === 'HEAD');
    } catch (error) {
      if (!(error instanceof Refusal) || response.headersSent) throw error;
      this.sendJson(response, 400, { error: error.message });
    }
    return true;
  }

  /** What is wanted of a view: filters, each `filter=…`, and with `limit` those rows only that matter most. */
  private async sendRows(
    view: ViewName,
    query: URLSearchParams,
    response: ServerResponse,
    headOnly: boolean,
  ): Promise<void> {
    const filters = query.getAll('filter');
    const matches = matcher(filters);
    const limit = Math.max(0, Number(query.get('limit') ?? Number.POSITIVE_INFINITY)) || 0;
    const most = Number.isFinite(limit) && limit > 0 ? new Most(limit, viewOf(view).order) : null;
    const rows = this.rows(view, { filters, limit: most === null ? Number.POSITIVE_INFINITY : limit });
    let head = '{"rows":[';
    let text = '';
    let n = 0;
    let matched = 0;
    for await (const row of rows) {
      // a filter that names no column is told before the answer begins
      if (matches(row)) {
        if (most !== null) most.add(row);
        else text += `${matched === 0 ? head : ',\n'}${JSON.stringify(row)}`;
        if (matched++ === 0 && most === null) head = '';
      }
      if (++n % SLICE !== 0) continue;
      if (!(await this.written(response, text))) return;
      text = '';
    }
    if (most !== null) text = most.rows.map(row => JSON.stringify(row)).join(',\n');
    this.begin(response);
    const total = matched + (rows.leftOut ?? 0);
    response.end(headOnly ? undefined : `${head}${text}],"total":${total}}\n`);
  }

  private begin(response: ServerResponse): void {
    if (!response.headersSent)
      response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  }

  /** Gives the event loop its turn, and waits for a reader that is slow; false when it has gone. */
  private async written(response: ServerResponse, text: string): Promise<boolean> {
    if (text !== '') this.begin(response);
    if (text !== '' && !response.write(text))
      await new Promise<void>(resolve => {
        const done = (): void => {
          response.off('drain', done);
          response.off('close', done);
          resolve();
        };
        response.once('drain', done);
        response.once('close', done);
      });
    await turn();
    return !response.destroyed;
  }

  /** Does what a request to the control socket asks for, in the name of `who`. */
  async act(request: IncomingMessage, response: ServerResponse, who: string): Promise<void> {
    const url = URL.parse(request.url ?? '/', 'http://console');
    const name = url?.pathname.slice(1) ?? '';
    if (url === null || !isCommand(name) || commandOf(name).kind !== 'act') {
      this.sendJson(response, 404, { error: `there is no act ${name.slice(0, 40)}` });
      return;
    }
    const args = url.searchParams.getAll('arg');
    const options = new Map([...url.searchParams].filter(([key]) => key !== 'arg'));
    const abort = new AbortController();
    response.on('close', () => abort.abort());
    const facts = {
      by: who,
      ...(args.length > 0 ? { args: args.map(printable).join(' ') } : {}),
      ...Object.fromEntries(options),
      each: true,
    };
    if (name === 'pause' || name === 'switch') this.log.info(facts, `Console: ${name} begins`);
    try {
      const text = await this.done(name as ActName, { args, options, signal: abort.signal });
      this.log.info(facts, `Console: ${name}: ${text}`);
      this.sendJson(response, 200, { text });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.log.info(facts, `Console: ${name} not done: ${error.message}`);
      this.sendJson(response, 409, { error: error.message });
    }
  }

  sendJson(response: ServerResponse, status: number, body: object): true {
    if (response.destroyed) return true;
    response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
    response.end(`${JSON.stringify(body)}\n`);
    return true;
  }
}
