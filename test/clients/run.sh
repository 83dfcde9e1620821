#!/bin/sh
# run.sh [SUITE…]: fetches the suites, then runs them in a network namespace of its own, where their port 5672 is free and
# localhost is 127.0.0.1 alone.
set -eu
cd "$(dirname "$0")/../.."
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
node=node_modules/node-linux-$arch/bin/node

"$node" test/clients/fetch.ts "$@"
if [ "$(id -u)" = 0 ]; then user=; else user=--map-root-user; fi
# shellcheck disable=SC2086
if ! unshare $user --net true 2>/dev/null; then
  echo "skipped: namespaces are not permitted here"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
# a namespace of processes, too: whatever ends this ends the brokers with it
# shellcheck disable=SC2086
exec unshare $user --net --mount --pid --fork --kill-child --mount-proc sh -euc '
  ip link set lo up
  hosts=$(mktemp)
  echo 127.0.0.1 localhost >"$hosts"
  mount --bind "$hosts" /etc/hosts
  rm "$hosts"
  exec "$@"' sh \
  "$node" test/clients/run.ts "$@"
