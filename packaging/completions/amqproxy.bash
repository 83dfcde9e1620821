# made from src/config/options.ts by make docs
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
  for there in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
    for word; do [[ $there == "$word" ]] && return; done
  done
  _amqproxy_these < <(printf '%s\n' "$@")
}
_amqproxy() {
  local cur prev
  COMPREPLY=()
  if declare -F _get_comp_words_by_ref >/dev/null; then _get_comp_words_by_ref -n := cur prev
  else cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}; fi
  if [[ $COMP_CWORD -gt 1 ]]; then
    case ${COMP_WORDS[1]} in
      show)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --ids --watch --socket --help' -- "$cur"))
        else _amqproxy_one_of clients pools upstreams brokers stats config events; fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      top)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <(:); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      debug)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <(amqproxy show clients --ids 2>/dev/null); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      kill)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--reason --socket --help' -- "$cur"))
        else _amqproxy_these < <(amqproxy show clients --ids 2>/dev/null); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      pause)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--timeout --socket --help' -- "$cur"))
        else _amqproxy_these < <({ amqproxy show pools --ids; amqproxy show brokers --ids; } 2>/dev/null); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      resume)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <({ amqproxy show pools --ids; amqproxy show brokers --ids; } 2>/dev/null); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      reconnect)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <({ amqproxy show pools --ids; amqproxy show brokers --ids; } 2>/dev/null); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      drain)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <(amqproxy show brokers --ids 2>/dev/null); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      undrain)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <(amqproxy show brokers --ids 2>/dev/null); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      switch)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--route --timeout --force --reason --socket --help' -- "$cur"))
        else _amqproxy_these < <(:); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      set)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_one_of upstream tls_ca tls_verify tls_cert tls_key close consumers max_upstream_channels idle_connection_timeout min_upstreams channel_lifetime max_lifetime message_buffer client_buffer upstream_buffer max_clients max_clients_per_user max_upstreams max_upstreams_total allow_remote_guest loopback_users dns_period connect_timeout handshake_timeout lease_timeout send_timeout upstream_heartbeat term_client_close_timeout term_timeout log_level log_connections stats_period tls_client_ca proxy_protocol proxy_from; fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      reload)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <(:); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
      check)
        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--socket --help' -- "$cur"))
        else _amqproxy_these < <(:); fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
        return ;;
    esac
  fi
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
    --as) :; return ;;
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W '--max-upstream-channels -t --idle-connection-timeout --term-client-close-timeout --term-timeout --log-level --log-format -l --listen -p --port -b --http-port -c --config --check-config --connect --as -d --debug -h --help -v --version --verbose' -- "$cur")) ;;
    amqp*) COMPREPLY=($(compgen -W 'amqp:// amqps://' -- "$cur")); compopt -o nospace ;;
    *) COMPREPLY=($(compgen -W 'amqp:// amqps:// show top debug kill pause resume reconnect drain undrain switch set reload check' -- "$cur")) ;;
  esac
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
}
complete -F _amqproxy amqproxy
