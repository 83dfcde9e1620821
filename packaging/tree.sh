#!/bin/sh
# Puts the installed files below a directory: packaging/tree.sh DESTDIR PREFIX SYSCONFDIR UNITDIR
# Used by `make install` and by both kinds of packages. `make build` comes first. TARGET: for another architecture.
set -eu
umask 022
dest=$1 prefix=$2 sysconf=$3 units=$4
cd "$(dirname "$0")/.."
. packaging/target
packaging/runtime.sh
# libexec: SELinux takes what is there for programs (bin_t), what is below lib for data (lib_t)
home=$prefix/libexec/amqproxy
share=$dest$prefix/share
doc=$share/doc/amqproxy

rm -rf "$dest$home"
mkdir -p "$dest$home" "$dest$prefix/bin" "$dest$sysconf/amqproxy.d" "$dest$units" "$doc/examples"

# the program, its modules, its runtime
cp -R dist/lib "$dest$home/lib"
licences=$(mktemp)
"node_modules/node-linux-$host/bin/node" packaging/copy-modules.ts "$dest$home/lib/node_modules" "$licences" "$runtime"
addons="$dest$home/lib/src/journal.node $dest$home/lib/node_modules/sd-notify/build/Release/notify.node"
# shellcheck disable=SC2086 # a list of words
{ rm -f $addons; packaging/addons.sh $addons; }
install -m 755 "$runtime/bin/node" "$dest$home/node"
install -m 755 dist/amqproxy "$dest$home/amqproxy"
install -m 755 packaging/reload packaging/handover "$dest$home/"
find "$dest$home" -name '*.node' -exec chmod 644 {} + -exec "${tool}strip" --strip-unneeded {} +
"${tool}strip" --strip-unneeded "$dest$home/node"
find "$dest$home/lib" -type f -exec chmod 644 {} +
ln -sf ../libexec/amqproxy/amqproxy "$dest$prefix/bin/amqproxy"

# settings: an edited file is left alone
[ -e "$dest$sysconf/amqproxy.ini" ] || install -m 644 etc/amqproxy.ini "$dest$sysconf/amqproxy.ini"

for unit in packaging/systemd/*; do
  sed "s#@bindir@#$prefix/bin#g; s#@libdir@#$home#g; s#@sysconfdir@#$sysconf#g" "$unit" >"$dest$units/$(basename "$unit")"
done

# papers
for page in packaging/man/*.[0-9]; do
  section=${page##*.}
  mkdir -p "$share/man/man$section"
  gzip -9n <"$page" >"$share/man/man$section/$(basename "$page").gz"
done
completion() { # FILE DIRECTORY NAME
  mkdir -p "$share/$2"
  install -m 644 "packaging/completions/$1" "$share/$2/$3"
}
completion amqproxy.bash bash-completion/completions amqproxy
completion _amqproxy zsh/vendor-completions _amqproxy
completion amqproxy.fish fish/vendor_completions.d amqproxy.fish
cp README.md CHANGELOG.md packaging/doc/*.md "$doc/"
mkdir -p "$doc/monitoring"
cp packaging/monitoring/* "$doc/monitoring/"
cp etc/amqproxy.ini.example "$doc/examples/amqproxy.ini"
{
  echo "amqproxy is its authors' work; the packages and the runtime in $home are their authors'."
  echo "Each is distributed under its own licence, given below."
  echo
  cat LICENSE "$licences"
} >"$doc/copyright"
rm -f "$licences"
find "$dest$units" "$share" -type f -exec chmod 644 {} +
