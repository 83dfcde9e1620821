#!/bin/sh
# The differential and the blast-radius test against the RabbitMQ of a newer Debian, in a root of its own: run.sh [SUITE]
# The mounts live in a namespace that ends with this. Closes with "0 passed, 0 failed, 1 skipped" where it cannot run.
set -eu
cd "$(dirname "$0")/../.."
suite=${1:-trixie}
root=$PWD/.cache/rabbitmq4-$suite

skip() {
  echo "skipped: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
[ "$(id -u)" = 0 ] || skip "another Debian's root can only be entered by root"
if ! command -v mmdebstrap >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null 2>&1 ||
    skip "cannot install mmdebstrap"
fi
unshare --mount true 2>/dev/null || skip "namespaces are not permitted here"
if [ ! -d "$root" ]; then
  echo "building a root of Debian $suite with rabbitmq-server in $root"
  mkdir -p .cache
  rm -rf "$root.new"
  mmdebstrap --quiet --variant=minbase --include=rabbitmq-server "$suite" "$root.new" ||
    { rm -rf "$root.new"; skip "mmdebstrap cannot fetch rabbitmq-server of Debian $suite"; }
  mv "$root.new" "$root"
fi
echo "RabbitMQ $(chroot "$root" dpkg-query -W -f '${Version}' rabbitmq-server) of Debian $suite"

case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
export AMQPROXY_TEST_BROKER_ROOT="$root"
exec unshare --mount sh -euc '
  for dir in proc dev tmp; do mount --rbind /$dir "$AMQPROXY_TEST_BROKER_ROOT/$dir"; done
  exec "$@"' sh \
  "node_modules/node-linux-$arch/bin/node" node_modules/mocha/bin/mocha.js --no-config --require test/support/hooks.ts \
  --timeout 60000 --slow 5000 --exit test/integration/differential.test.ts test/integration/blast-radius.test.ts
