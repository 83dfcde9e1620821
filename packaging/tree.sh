#!/bin/sh
# Puts the installed files below a directory: packaging/tree.sh DESTDIR PREFIX SYSCONFDIR UNITDIR
# Used by `make install` and by both kinds of packages. `make build` comes first.
set -eu
umask 022
dest=$1 prefix=$2 sysconf=$3 units=$4
cd "$(dirname "$0")/.."
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
runtime=node_modules/node-linux-$arch
home=$prefix/lib/amqproxy
share=$dest$prefix/share

rm -rf "$dest$home"
mkdir -p "$dest$home" "$dest$prefix/bin" "$dest$sysconf" "$dest$units" "$share/doc/amqproxy"

# the program, its modules, its runtime
cp -R dist/lib "$dest$home/lib"
if [ ! -e "$dest$home/lib/src/journal.node" ]; then
  # without it the journal gets lines with a priority, but no fields
  cc -shared -fPIC -O2 -I"$runtime/include/node" -o "$dest$home/lib/src/journal.node" src/journal.c -Wl,-z,relro,-z,now || true
fi
licences=$(mktemp)
"$runtime/bin/node" packaging/copy-modules.ts "$dest$home/lib/node_modules" "$licences"
install -m 755 "$runtime/bin/node" "$dest$home/node"
install -m 755 dist/amqproxy "$dest$home/amqproxy"
find "$dest$home" -name '*.node' -exec chmod 644 {} + -exec strip --strip-unneeded {} +
strip --strip-unneeded "$dest$home/node"
find "$dest$home/lib" -type f -exec chmod 644 {} +
ln -sf ../lib/amqproxy/amqproxy "$dest$prefix/bin/amqproxy"

# settings: an edited file is left alone
[ -e "$dest$sysconf/amqproxy.ini" ] || install -m 644 etc/amqproxy.ini "$dest$sysconf/amqproxy.ini"

for unit in packaging/systemd/*; do
  sed "s#@bindir@#$prefix/bin#g; s#@libdir@#$home#g; s#@sysconfdir@#$sysconf#g" "$unit" >"$dest$units/$(basename "$unit")"
done

# papers
for page in packaging/man/*.[0-9]; do
  [ -e "$page" ] || continue
  section=${page##*.}
  mkdir -p "$share/man/man$section"
  gzip -9n <"$page" >"$share/man/man$section/$(basename "$page").gz"
done
completion() { # FILE DIRECTORY NAME
  [ -e "packaging/completions/$1" ] || return 0
  mkdir -p "$share/$2"
  install -m 644 "packaging/completions/$1" "$share/$2/$3"
}
completion amqproxy.bash bash-completion/completions amqproxy
completion _amqproxy zsh/vendor-completions _amqproxy
completion amqproxy.fish fish/vendor_completions.d amqproxy.fish
{
  echo "amqproxy is its authors' work; the packages and the runtime in $home are their authors'."
  echo "Each is distributed under its own licence, given below."
  echo
  cat LICENSE "$licences"
} >"$share/doc/amqproxy/copyright"
rm -f "$licences"
find "$dest$units" "$share" -type f -exec chmod 644 {} +
