#!/bin/sh
# Builds dist/amqproxy_VERSION_ARCH.deb, the same bytes from the same commit. `make build` comes first.
# DIST: another directory than dist/.
set -eu
umask 022
cd "$(dirname "$0")/.."
dist=${DIST:-dist}
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
# 1.0.0-rc.1 sorts before 1.0.0
debian_version=$(echo "$version" | tr - '~')
arch=$(dpkg --print-architecture)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
maintainer='amqproxy developers <dev@amqproxy.invalid>'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
chmod 755 "$work"
packaging/tree.sh "$root" /usr /etc /lib/systemd/system

doc=$root/usr/share/doc/amqproxy
{
  echo "amqproxy ($debian_version) stable; urgency=medium"
  echo
  echo "  * Version $version."
  echo
  echo " -- $maintainer  $(date -uR -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.gz"
install -D -m 644 packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/amqproxy"

# what the binaries link to decides what the package depends on
mkdir -p "$work/debian" "$root/DEBIAN"
printf 'Source: amqproxy\n\nPackage: amqproxy\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && find root/usr/lib/amqproxy \( -name '*.node' -o -name node \) -type f -print0 |
  xargs -0 dpkg-shlibdeps -O --ignore-missing-info 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
# in KiB as dpkg-gencontrol counts, whatever the file system takes
size=$(find "$root" -path "$root/DEBIAN" -prune -o -type f -printf '%s\n' -o -printf '1\n' |
  awk '{ n += int(($1 + 1023) / 1024) } END { print n }')
cat >"$root/DEBIAN/control" <<CONTROL
Package: amqproxy
Version: $debian_version
Architecture: $arch
Maintainer: $maintainer
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
echo /etc/amqproxy.ini >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "packaging/debian/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$dist"
rm -f "$dist"/amqproxy_*_"$arch".deb
file=$dist/amqproxy_${debian_version}_$arch.deb
# two threads always: their number must not show in the bytes
dpkg-deb --root-owner-group -Zxz -z"${XZ_LEVEL:-6}" --threads-max=2 --build "$root" "$file" >/dev/null
echo "$file $(stat -c %s "$file") bytes"
