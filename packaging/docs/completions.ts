/** Completion of flags and of the values that are a few words or a file, for three shells. */
import { OTHER_FLAGS } from '../../src/config/help.ts';
import { optionNames, optionOf } from '../../src/config/options.ts';

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

const URLS = ['amqp://', 'amqps://'];
const NOTE = '# made from src/config/options.ts by make docs';
/** One sentence is enough in a list. */
const short = (help: string): string => help.split(/[.;] |\.$/)[0];
const words = ({ flag, letter }: Flag): string[] => [...(letter ? [`-${letter}`] : []), `--${flag}`];

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
_amqproxy() {
  local cur prev
  COMPREPLY=()
  if declare -F _get_comp_words_by_ref >/dev/null; then _get_comp_words_by_ref -n := cur prev
  else cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}; fi
  case $prev in
${cases.join('\n')}
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W '${flags.flatMap(words).join(' ')}' -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W '${URLS.join(' ')}' -- "$cur")); compopt -o nospace ;;
  esac
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
}
complete -F _amqproxy amqproxy
`;
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
_arguments -s -S \\
${lines.join(' \\\n')} \\
  '1:AMQP_URL:(${URLS.map(url => url.replace(':', '\\:')).join(' ')})'
`;
}

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
    return `complete -c amqproxy${letter} -l ${flag.flag}${value} -d ${quote(short(flag.help))}`;
  });
  return `${NOTE}\ncomplete -c amqproxy -f -a ${quote(URLS.join(' '))}\n${lines.join('\n')}\n`;
}
