#!/bin/sh
# The story of the package under a real systemd: story.ts, in a network and mount namespace of its own, so that the
# package's ports are free and nothing is left behind. Closes with "N passed, N failed[, N skipped]".
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/.cache/systemd-root

skip() {
  echo "skipped: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
[ "$(id -u)" = 0 ] || skip "a container can only be booted by root"
missing=
command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
command -v systemd-nspawn >/dev/null || missing="$missing systemd-container"
command -v ip >/dev/null || missing="$missing iproute2"
command -v rpmbuild >/dev/null || missing="$missing rpm"
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
    skip "cannot install$missing"
fi
unshare --mount --net true 2>/dev/null || skip "namespaces are not permitted here"

ls dist/amqproxy_*.deb >/dev/null 2>&1 || make -s deb
if [ ! -d "$root" ]; then
  echo "building a Debian root in $root"
  mkdir -p .cache
  mmdebstrap --quiet --variant=minbase \
    --include=systemd,systemd-sysv,dbus,libatomic1,libstdc++6,libsystemd0,init-system-helpers,rpm,iproute2 \
    bookworm "$root.new" || { rm -rf "$root.new"; skip "mmdebstrap cannot build a root"; }
  mv "$root.new" "$root"
fi
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
# a namespace of processes, too: whatever ends this ends the broker and the container with it
exec unshare --mount --net --pid --fork --kill-child --mount-proc sh -c 'ip link set lo up; exec "$@"' sh \
  "node_modules/node-linux-$arch/bin/node" test/systemd/story.ts "$root"
