/** Completion of flags and of the values that are a few words or a file, for three shells. */

import { OTHER_FLAGS } from '../../src/config/help.ts';
import { optionNames, optionOf } from '../../src/config/options.ts';
import { type Command, commandNames, commandOf, viewNames } from '../../src/console/table.ts';

interface Flag {
  flag: string;
  letter: string | undefined;
  help: string;
  /** What its value is; undefined where it takes none. */
  value: string | undefined;
  choices: readonly string[] | undefined;
}

const flags: Flag[] = [
  ...optionNames
    .map(optionOf)
    .flatMap(({ flag, letter, help, type }) =>
      flag === undefined ? [] : [{ flag, letter, help, value: type.placeholder, choices: type.choices }],
    ),
  ...OTHER_FLAGS.map(other => ({
    flag: other.flag,
    letter: 'letter' in other ? other.letter : undefined,
    help: other.help,
    value: 'placeholder' in other ? other.placeholder : undefined,
    choices: undefined,
  })),
];

/** The words of which a command takes one; null where they are what runs right now, or there are none. */
function list(completes: Command['completes']): string | null {
  const keys = optionNames.map(optionOf).filter(({ live }) => live);
  if (completes === 'views') return viewNames.join(' ');
  return completes === 'keys' ? [...new Set(keys.map(({ key }) => key))].join(' ') : null;
}

/** What prints the words that a command's arguments may be, where they are what runs right now. */
function source(completes: Command['completes']): string {
  switch (completes) {
    case 'clients':
    case 'pools':
    case 'brokers':
      return `amqproxy show ${completes} --ids 2>/dev/null`;
    case 'places':
      return '{ amqproxy show pools --ids; amqproxy show brokers --ids; } 2>/dev/null';
    default:
      return ':';
  }
}
/** The flags of a command. */
const commandFlags = (name: (typeof commandNames)[number]): string =>
  [...(commandOf(name).options ?? []).map(({ flag }) => `--${flag}`), '--socket', '--help'].join(' ');

const URLS = ['amqp://', 'amqps://'];
const NOTE = '# made from src/config/options.ts by make docs';
/** One sentence is enough in a list. */
const short = (help: string): string => help.split(/[.;] |\.$/)[0];
const words = ({ flag, letter }: Flag): string[] => [...(letter ? [`-${letter}`] : []), `--${flag}`];

function bashWords(completes: Command['completes']): string {
  const words = list(completes);
  return words === null ? `_amqproxy_these < <(${source(completes)})` : `_amqproxy_one_of ${words}`;
}

function commandCases(): string[] {
  return commandNames.map(
    name => `      ${name})
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '${commandFlags(name)}' -- "$cur"))
        else ${bashWords(commandOf(name).completes)}; fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;`,
  );
}

export function bashCompletion(): string {
  const valued = flags.filter(flag => flag.value !== undefined);
  const cases = valued.map(flag => {
    const reply =
      flag.value === 'FILE'
        ? 'COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames'
        : flag.choices
          ? `COMPREPLY=($(compgen -W '${flag.choices.join(' ')}' -- "$cur"))`
          : flag.value === 'ADDRESS'
            ? `COMPREPLY=($(compgen -W 'localhost 127.0.0.1 0.0.0.0' -- "$cur"))`
            : ':';
    return `    ${words(flag).join(' | ')}) ${reply}; return ;;`;
  });
  return `${NOTE}
# The lines of its input that begin as the word does. Not by compgen -W, which would expand what names of pools have in them.
_amqproxy_these() {
  local word
  while IFS= read -r word; do
    [[ $word == "$cur"* ]] && COMPREPLY+=("$(printf %q "$word")")
  done
}
# The words of a list, unless one of them is there already
_amqproxy_one_of() {
  local word there
  for there in "\${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
    for word; do [[ $there == "$word" ]] && return; done
  done
  _amqproxy_these < <(printf '%s\\n' "$@")
}
_amqproxy() {
  local cur prev
  COMPREPLY=()
  if declare -F _get_comp_words_by_ref >/dev/null; then _get_comp_words_by_ref -n := cur prev
  else cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}; fi
  if [[ $COMP_CWORD -gt 1 ]]; then
    case \${COMP_WORDS[1]} in
${commandCases().join('\n')}
    esac
  fi
  case $prev in
${cases.join('\n')}
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W '${flags.flatMap(words).join(' ')}' -- "$cur")) ;;
    amqp*) COMPREPLY=($(compgen -W '${URLS.join(' ')}' -- "$cur")); compopt -o nospace ;;
    *) COMPREPLY=($(compgen -W '${[...URLS, ...commandNames].join(' ')}' -- "$cur")) ;;
  esac
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
}
complete -F _amqproxy amqproxy
`;
}

function zshWords(completes: Command['completes']): string {
  const words = list(completes);
  if (words !== null) {
    const there = `\${(M)words[3,CURRENT-1]:#(${words.replaceAll(' ', '|')})}`;
    return `; [[ -z "${there}" ]] && compadd -- ${words}`;
  }
  return completes === undefined ? '' : ` \${(f)"$(${source(completes)})"}`;
}

export function zshCompletion(): string {
  const quoted = (text: string): string => text.replace(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");
  const lines = flags.map(flag => {
    const action = flag.value === 'FILE' ? '_files' : flag.choices ? `(${flag.choices.join(' ')})` : '';
    const value =
      flag.value === undefined ? '' : `:${flag.choices ? 'value' : flag.value.toLowerCase()}:${action}`;
    const help = `[${quoted(short(flag.help))}]${value}`;
    const equals = flag.value === undefined ? '' : '=';
    return flag.letter
      ? `  '(-${flag.letter} --${flag.flag})'{-${flag.letter}${equals ? '+' : ''},--${flag.flag}${equals}}'${help}'`
      : `  '--${flag.flag}${equals}${help}'`;
  });
  return `#compdef amqproxy
${NOTE}
if (( CURRENT > 2 )); then
  case $words[2] in
${commandNames.map(name => `    ${name}) compadd -- ${commandFlags(name)}${zshWords(commandOf(name).completes)}; return ;;`).join('\n')}
  esac
fi
_arguments -s -S \\
${lines.join(' \\\n')} \\
  '1:AMQP_URL or command:(${[...URLS.map(url => url.replace(':', '\\:')), ...commandNames].join(' ')})'
`;
}

const fishSource = (completes: Command['completes']): string =>
  source(completes).replace(/^\{ (.*); \} 2>\/dev\/null$/, 'begin; $1; end 2>/dev/null');

export function fishCompletion(): string {
  const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const lines = flags.map(flag => {
    const letter = flag.letter ? ` -s ${flag.letter}` : '';
    const value =
      flag.value === undefined
        ? ''
        : flag.value === 'FILE'
          ? ' -r -F'
          : flag.choices
            ? ` -x -a ${quote(flag.choices.join(' '))}`
            : ' -x';
    return `complete -c amqproxy -n __amqproxy_starts${letter} -l ${flag.flag}${value} -d ${quote(short(flag.help))}`;
  });
  const commands = commandNames.flatMap(name => {
    const { help, completes, options = [] } = commandOf(name);
    const seen = `-n '__fish_seen_subcommand_from ${name}'`;
    const words = list(completes);
    const one = `-n '__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${words}'`;
    return [
      `complete -c amqproxy -n __fish_use_subcommand -f -a ${name} -d ${quote(short(help))}`,
      `complete -c amqproxy ${seen} -f`,
      ...(words === null ? [] : [`complete -c amqproxy ${one} -f -a ${quote(words)}`]),
      ...(completes === undefined || words !== null
        ? []
        : [`complete -c amqproxy ${seen} -f -a ${quote(`(${fishSource(completes)})`)}`]),
      ...options.map(
        ({ flag, value, help }) =>
          `complete -c amqproxy ${seen} -l ${flag}${value ? ' -x' : ''} -d ${quote(short(help))}`,
      ),
    ];
  });
  const urls = `complete -c amqproxy -n __fish_use_subcommand -f -a ${quote(URLS.join(' '))}`;
  const starts = `# no command: what is typed starts a proxy
function __amqproxy_starts
    not __fish_seen_subcommand_from ${commandNames.join(' ')}
end`;
  return `${NOTE}\n${[starts, urls, ...commands, ...lines].join('\n')}\n`;
}
