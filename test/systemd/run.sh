#!/bin/sh
# The packages in dist/ under a real systemd, in each Debian of SUITES: story.ts, in namespaces of its own, so that the
# package's ports are free and nothing is left behind. Closes with "N passed, N failed[, N skipped]".
# --check: only whether it can run here; if not, the exit code is 1 and the output says why.
set -eu
cd "$(dirname "$0")/../.."

cannot() {
  if [ "${check-}" ]; then
    echo "$1"
    exit 1
  fi
  echo "skipped: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
[ "${1-}" != --check ] || check=yes
[ "$(id -u)" = 0 ] || cannot "a container can only be booted by root"
unshare --mount --net --pid --fork true 2>/dev/null || cannot "namespaces are not permitted here"
[ -z "${check-}" ] || exit 0

other=aarch64 target=arm64
[ "$(uname -m)" != aarch64 ] || other=x86-64 target=x64
packaging/install-debs mmdebstrap systemd-container iproute2 rpm dpkg-dev lintian rpmlint binutils gnupg apt-utils \
  createrepo-c dnf curl g++-$other-linux-gnu qemu-user-static ||
  cannot "Debian packages cannot be installed"
# there is no network where the story is played
TARGET=$target packaging/runtime.sh

suites=${SUITES:-bookworm trixie}
packages=systemd,systemd-sysv,dbus,libstdc++6,libsystemd0,init-system-helpers,rpm,iproute2,curl
root() { echo "$PWD/.cache/systemd-root-$1-$(echo "$packages" | cksum | cut -d ' ' -f 1)"; }
mkdir -p .cache
skipped=0 had=
for suite in $suites; do
  if [ ! -d "$(root "$suite")" ]; then
    echo "building a root of Debian $suite"
    rm -rf .cache/systemd-root-"$suite"-*
    # whatever this machine runs itself
    if mmdebstrap --quiet --variant=minbase --include="$packages" "$suite" "$(root "$suite").new"; then
      mv "$(root "$suite").new" "$(root "$suite")"
    else
      rm -rf "$(root "$suite").new"
      echo "skipped: mmdebstrap cannot build a root of $suite"
      skipped=$((skipped + 1))
      continue
    fi
  fi
  had="$had $suite"
done
[ "$had" ] || cannot "no root of Debian can be built"
suites=${had# }

# one at a time: all containers are in the same control group
exec 9>/run/amqproxy-systemd.lock
flock 9

# temporary files in memory, and a namespace of processes: whatever ends this ends all that belongs to it
mkdir -p .cache/tmp
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
inside() {
  exec unshare --mount --net --pid --fork --kill-child --mount-proc sh -ec '
    mount -t tmpfs -o size=2g,mode=1777 amqproxy-systemd .cache/tmp
    export TMPDIR=$PWD/.cache/tmp
    ip link set lo up
    exec "$@"' sh "$@"
}
first=${suites%% *}
why=$(inside systemd-nspawn --quiet --register=no --keep-unit --volatile=overlay -D "$(root "$first")" true 2>&1) ||
  cannot "systemd-nspawn cannot run here: $why"

passed=0 failed=0 status=0 dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
log=$dir/log
mkfifo "$dir/output"
# unshare itself is deaf to the other signals
story=
trap 'kill -KILL $story 2>/dev/null; exit 1' INT TERM HUP
for suite in $suites; do
  echo "# Debian $suite"
  # what is in the packages is looked at once
  what=${STORY:-$([ "$suite" = "$first" ] && echo all || echo life)}
  (inside "node_modules/node-linux-$arch/bin/node" test/systemd/story.ts "$(root "$suite")" "$what") >"$dir/output" 2>&1 &
  story=$!
  tee "$log" <"$dir/output" &
  wait $story || status=1
  wait $!
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  if [ "$counts" ]; then
    passed=$((passed + ${counts%% *}))
    counts=${counts#*, }
    failed=$((failed + ${counts%% *}))
  else
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
exit $status
