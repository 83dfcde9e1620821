#!/bin/sh
# Builds dist/amqproxy_VERSION_ARCH.deb, the same bytes from the same commit. `make build` comes first.
# TARGET: for another architecture. DIST: another directory than dist/.
set -eu
umask 022
cd "$(dirname "$0")/.."
. packaging/target
. packaging/publisher
dist=${DIST:-dist}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
chmod 755 "$work"
packaging/tree.sh "$root" /usr /etc /lib/systemd/system

# Not a conffile: AMQProxy's package has one of this name, which dpkg would ask about. The postinst puts it where there is none.
mkdir -p "$root/usr/share/amqproxy"
mv "$root/etc/amqproxy.ini" "$root/usr/share/amqproxy/amqproxy.ini"
doc=$root/usr/share/doc/amqproxy
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
rm "$doc/CHANGELOG.md"
{
  echo "amqproxy ($epoch:$package_version) stable; urgency=medium"
  echo
  echo "  * Version $version."
  echo
  echo " -- $MAINTAINER  $(date -uR -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.Debian.gz"
install -D -m 644 packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/amqproxy"

mkdir -p "$root/DEBIAN"
depends=$(find "$root/usr/libexec/amqproxy" \( -name '*.node' -o -name node \) -type f -print0 | xargs -0 packaging/depends.sh)
# in KiB as dpkg-gencontrol counts, whatever the file system takes
size=$(find "$root" -path "$root/DEBIAN" -prune -o -type f -printf '%s\n' -o -printf '1\n' |
  awk '{ n += int(($1 + 1023) / 1024) } END { print n }')
cat >"$root/DEBIAN/control" <<CONTROL
Package: amqproxy
Version: $epoch:$package_version
Architecture: $debian_arch
Maintainer: $MAINTAINER${HOMEPAGE:+
Homepage: $HOMEPAGE}
Installed-Size: $size
Depends: $depends, init-system-helpers (>= 1.54~)
Section: net
Priority: optional
Description: connection pool for AMQP 0-9-1 (RabbitMQ)
 Web applications that open a connection for each request cost a broker much
 work, and themselves many round trips. amqproxy runs beside the application,
 keeps a few long-lived connections to the broker, and lends them out.
 .
 It is a systemd service: notifications, watchdog, socket activation, reload,
 and fields in the journal. Metrics are served for Prometheus.
CONTROL
for script in postinst prerm postrm; do install -m 755 "packaging/debian/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$dist"
rm -f "$dist"/amqproxy_*_"$debian_arch".deb
file=$dist/amqproxy_${package_version}_$debian_arch.deb
# two threads always: their number must not show in the bytes
dpkg-deb --root-owner-group -Zxz -z"${XZ_LEVEL:-6}" --threads-max=2 --build "$root" "$file" >/dev/null
echo "$file $(stat -c %s "$file") bytes"
