/**
 * rabbitmqctl that is started once for each broker and then asked again and again: a command takes milliseconds, where a
 * new Erlang VM for each of them takes most of a second, and half of that on both processors.
 */
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { atExit, tempDir } from './cleanup.ts';

/** As the script of the same name: with its environment, and an Erlang node of its own that is nobody's neighbour. */
const START = `
  set -a
  . "\${0%/*}/rabbitmq-env"
  _rmq_env_set_erl_libs
  exec erl +B +S 1:1 +sbwt none -noshell -hidden -name "$1" -eval "$2" -extra rabbitmqctl`;

/**
 * Takes what is in the script's archive (once for all brokers of a run: the first to unpack it renames it to its place), then
 * runs each line as a command of its own: its number and its arguments, these in base64. Answers with its number, its exit
 * status and its output. A command ends with exit({shutdown, Status}).
 */
const LOOP = (dir: string): string => `
  Dir = "${dir}",
  case filelib:is_regular(Dir ++ "/rabbitmqctl_escript.beam") of
    true -> ok;
    false ->
      {ok, Sections} = escript:extract(os:getenv("ESCRIPT_DIR") ++ "/rabbitmqctl", []),
      {archive, Archive} = lists:keyfind(archive, 1, Sections),
      Own = Dir ++ "-" ++ os:getpid(),
      {ok, _} = zip:unzip(Archive, [{cwd, Own}]),
      case file:rename(Own, Dir) of
        ok -> ok;
        {error, _} -> file:del_dir_r(Own)
      end
  end,
  code:add_pathsa([Dir | filelib:wildcard(Dir ++ "/*/ebin")]),
  {ok, _} = application:ensure_all_started(elixir),
  {ok, _} = application:ensure_all_started(rabbitmqctl),
  logger:set_primary_config(level, none),
  Collect = fun Again(Chars) ->
    receive
      {io_request, From, Ref, Request} ->
        {Reply, More} = case Request of
          {put_chars, _, Text} -> {ok, Text};
          {put_chars, _, M, F, A} -> {ok, apply(M, F, A)};
          _ -> {{error, request}, []}
        end,
        From ! {io_reply, Ref, Reply},
        Again([Chars, More]);
      {all, To} -> To ! {output, unicode:characters_to_binary(Chars)}
    end
  end,
  Run = fun(Number, Args) ->
    Output = spawn_link(fun() -> Collect([]) end),
    {_, Monitor} = spawn_monitor(fun() ->
      group_leader(Output, self()),
      'Elixir.RabbitMQCtl':main(Args)
    end),
    Status = receive
      {'DOWN', Monitor, _, _, {shutdown, Code}} when is_integer(Code) -> Code;
      {'DOWN', Monitor, _, _, Why} -> io:format(standard_error, "~0p~n", [Why]), 70
    end,
    Output ! {all, self()},
    receive {output, Text} -> io:format("~s ~b ~s~n", [Number, Status, base64:encode(Text)]) end
  end,
  Loop = fun Again() ->
    case io:get_line("") of
      eof -> halt(0);
      Line ->
        [Number | Words] = string:lexemes(Line, " \\n"),
        spawn(fun() -> Run(Number, [base64:decode(Word) || Word <- Words]) end),
        Again()
    end
  end,
  Loop().`;

type Start = (file: string, ...args: string[]) => ChildProcessByStdio<Writable, Readable, Readable>;
interface Answer {
  status: number;
  output: string;
}

/** Milliseconds that a command may take: RabbitMQ has been seen to stand still for ever in one that joins a cluster. */
const MOST_MS = 180_000;
const OVER: Answer = { status: 70, output: 'rabbitmqctl itself has ended: ' };

/** Where its modules are, for all brokers of this process. */
let modules: string | null = null;
let shells = 0;

export class Rabbitmqctl {
  private readonly shell: ReturnType<Start>;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private commands = 0;
  private output = '';
  private errors = '';
  private over = false;

  /** `start` runs a program in the broker's environment, `sbin` has the broker's scripts. */
  constructor(start: Start, sbin: string) {
    modules ??= tempDir('rabbitmqctl');
    const name = `rabbitmqctl-${process.pid}-${++shells}@127.0.0.1`;
    this.shell = start('sh', '-c', START, `${sbin}/rabbitmqctl`, name, LOOP(modules));
    const gone = atExit(() => this.end());
    this.shell.stdout.on('data', (text: Buffer) => this.read(String(text)));
    this.shell.stderr.on('data', (text: Buffer) => {
      this.errors += text;
    });
    this.shell.stdin.on('error', () => {});
    // whoever still waits hears of it
    this.shell.on('close', () => {
      gone();
      this.over = true;
      for (const answer of this.waiting.values()) answer(OVER);
      this.waiting.clear();
    });
  }

  private read(text: string): void {
    const lines = (this.output + text).split('\n');
    this.output = lines.pop()!;
    for (const line of lines) {
      const [number, status, output] = line.split(' ');
      this.waiting.get(Number(number))?.({
        status: Number(status),
        output: Buffer.from(output, 'base64').toString(),
      });
      this.waiting.delete(Number(number));
    }
  }

  /** The output of a command, without headings; fails as the command does. */
  async run(...args: string[]): Promise<string> {
    const number = ++this.commands;
    const words = ['-q', ...args].map(arg => Buffer.from(arg).toString('base64'));
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<Answer>(resolve => {
      if (this.over) resolve(OVER);
      else this.waiting.set(number, resolve);
      timer = setTimeout(
        () => resolve({ status: 70, output: `no answer within ${MOST_MS / 1000} s` }),
        MOST_MS,
      );
    });
    this.shell.stdin.write(`${[number, ...words].join(' ')}\n`);
    // what it said before it ended says why
    const said = this.over ? 0 : this.errors.length;
    const { status, output } = await answer;
    clearTimeout(timer);
    this.waiting.delete(number);
    if (status !== 0)
      throw new Error(`rabbitmqctl ${args.join(' ')}: ${status}\n${output}${this.errors.slice(said)}`);
    return output;
  }

  end(): void {
    this.shell.kill('SIGKILL');
  }
}
