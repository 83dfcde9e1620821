#!/bin/sh
# Builds the two small addons for TARGET: packaging/addons.sh FILE..., each named journal.node (fields in the journal) or
# notify.node (sd_notify(3)). Without one of them the program works all the same, and says what it does without; so a
# compiler that is missing is told, and no failure.
# Not by node-gyp: Debian's links addons with its own libnode, which brings a second V8 into the process and crashes it.
set -eu
cd "$(dirname "$0")/.."
. packaging/target
headers=$PWD/$runtime/include/node
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
hardened='-Wl,-z,relro,-z,now'

journal() {
  "${tool}gcc" -shared -fPIC -O2 -I"$headers" $hardened -o "$1" src/journal.c
}

# linked with names only, so that no other architecture's libsystemd is needed; the real one is found at run time
names() {
  cat >"$work/names.c" <<'C'
int sd_notify(int unset, const char *state) { return 0; }
int sd_watchdog_enabled(int unset, unsigned long long *usec) { return 0; }
int sd_journal_print(int priority, const char *format, ...) { return 0; }
int sd_pid_notify(int pid, int unset, const char *state) { return 0; }
C
  cat >"$work/names.map" <<'MAP'
LIBSYSTEMD_209 { global: sd_notify; sd_watchdog_enabled; sd_journal_print; local: *; };
LIBSYSTEMD_214 { global: sd_pid_notify; } LIBSYSTEMD_209;
MAP
  "${tool}gcc" -shared -fPIC -w -Wl,-soname,libsystemd.so.0 -Wl,--version-script="$work/names.map" \
    -o "$work/libsystemd.so" "$work/names.c"
}

notify() {
  names && "${tool}g++" -shared -fPIC -O2 -std=gnu++20 -fno-rtti -fno-exceptions -w \
    -DNODE_GYP_MODULE_NAME=notify -DBUILDING_NODE_EXTENSION -DUSING_UV_SHARED=1 -DUSING_V8_SHARED=1 -D_FILE_OFFSET_BITS=64 \
    -I"$headers" -idirafter /usr/include -L"$work" $hardened -o "$1" node_modules/sd-notify/notify.cc -lsystemd
}

for file in "$@"; do
  mkdir -p "$(dirname "$file")"
  case $(basename "$file") in
    journal.node) journal "$file" || echo "journal.node was not built for $TARGET: the journal gets no fields" ;;
    notify.node) notify "$file" || echo "notify.node was not built for $TARGET: systemd-notify(1) takes its place" ;;
    *) echo "there is no addon $file" >&2; exit 64 ;;
  esac
done
