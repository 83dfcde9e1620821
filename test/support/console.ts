/** An Erlang shell beside a broker: what `rabbitmqctl eval` does, in a millisecond instead of half a second. */
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { atExit } from './cleanup.ts';
import type { RabbitMQ } from './rabbitmq.ts';

/** Evaluates each line on the broker's node, and answers with one line. */
const shell = (node: string): string => `
  Loop = fun(Again) ->
    case io:get_line("") of
      Line when is_list(Line) ->
        {ok, Tokens, _} = erl_scan:string(Line),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        io:format("~0p~n", [rpc:call('${node}', erl_eval, exprs, [Expressions, []], 10000)]),
        Again(Again);
      _ -> halt(0)
    end
  end,
  Loop(Loop).`;

const MEMORY = '{resource_limit, memory, node()}';
let consoles = 0;

export class Console {
  private readonly shell: ChildProcessByStdio<Writable, Readable, null>;
  private readonly gone: () => void;
  private waiting: ((line: string) => void)[] = [];
  private output = '';

  constructor(broker: RabbitMQ) {
    const name = `console-${process.pid}-${++consoles}@127.0.0.1`;
    this.shell = broker.beside('erl', '-noshell', '-hidden', '-name', name, '-eval', shell(broker.node));
    this.gone = atExit(() => this.shell.kill('SIGKILL'));
    this.shell.stdout.on('data', (text: Buffer) => this.read(String(text)));
    // whoever still waits hears of it
    this.shell.on('exit', () => {
      for (const answer of this.waiting.splice(0)) answer('the console has ended');
    });
  }

  private read(text: string): void {
    const lines = (this.output + text).split('\n');
    this.output = lines.pop()!;
    for (const line of lines) this.waiting.shift()?.(line);
  }

  /** Evaluates Erlang expressions on the broker; fails when they do. */
  async eval(expressions: string): Promise<string> {
    const answer = new Promise<string>(resolve => this.waiting.push(resolve));
    this.shell.stdin.write(`${expressions}.\n`);
    const value = /^\{value,(.*),[^,]*\}$/.exec(await answer);
    if (value === null) throw new Error(`${expressions}: ${await answer}`);
    return value[1];
  }

  /** Raises or clears the memory alarm; the broker's own look at its memory does not change it back. */
  async alarm(on: boolean): Promise<void> {
    await this.eval(on ? `rabbit_alarm:set_alarm({${MEMORY}, []})` : `rabbit_alarm:clear_alarm(${MEMORY})`);
  }

  async end(): Promise<void> {
    const ended = new Promise(resolve => this.shell.once('exit', resolve));
    this.shell.stdin.end();
    await ended;
    this.gone();
  }
}
