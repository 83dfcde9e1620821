# made from src/config/options.ts by make docs
_amqproxy() {
  local cur prev
  COMPREPLY=()
  if declare -F _get_comp_words_by_ref >/dev/null; then _get_comp_words_by_ref -n := cur prev
  else cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}; fi
  case $prev in
    --max-upstream-channels) :; return ;;
    -t | --idle-connection-timeout) :; return ;;
    --term-client-close-timeout) :; return ;;
    --term-timeout) :; return ;;
    --log-level) COMPREPLY=($(compgen -W 'trace debug info warn error fatal silent' -- "$cur")); return ;;
    --log-format) COMPREPLY=($(compgen -W 'auto pretty journal json' -- "$cur")); return ;;
    -l | --listen) COMPREPLY=($(compgen -W 'localhost 127.0.0.1 0.0.0.0' -- "$cur")); return ;;
    -p | --port) :; return ;;
    -b | --http-port) :; return ;;
    -c | --config) COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames; return ;;
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W '--max-upstream-channels -t --idle-connection-timeout --term-client-close-timeout --term-timeout --log-level --log-format -l --listen -p --port -b --http-port -c --config --check-config --connect -d --debug -h --help -v --version' -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W 'amqp:// amqps://' -- "$cur")); compopt -o nospace ;;
  esac
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
}
complete -F _amqproxy amqproxy
